// Groups over the wire by real MLS clients (PROTOCOL §4): settings, tree, GroupInfo, members and end.
import { randomBytes, randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { AppWorld, refusal, type TestApplication } from "../support/app-world.ts";
import { createDevice, hexOf, type Device } from "../support/devices.ts";
import { groupEvents, Member } from "../support/members.ts";

let world: AppWorld;
let app: TestApplication;
beforeAll(async () => {
  world = await AppWorld.start();
  app = await world.application();
});
afterAll(() => world.stop());

let made = 0;
function device(application = app): Promise<Device> {
  made += 1;
  return createDevice(application.client, `member-${String(made)}`);
}

function freshId(): Uint8Array {
  return Uint8Array.from(randomBytes(16));
}

describe("settings", () => {
  test("a group narrows its application's settings, and an event says so; what is wider is SETTING_WIDENED", async () => {
    const groupRetention = { ms: 86_400_000, events: 500 };
    const narrow = await world.application({
      externalJoin: "members",
      pastEpochs: 2,
      groupMembersMax: 10,
      groupRetention,
    });
    const member = await Member.create(narrow.client, await device(narrow), { settings: { pastEpochs: 1 } });
    const { groupId } = member;
    for (const settings of [
      { externalJoin: "open" as const },
      { pastEpochs: 3 },
      { groupMembersMax: 11 },
      { enforceProposals: false },
      { groupRetention: { ms: 31 * 86_400_000 } },
    ]) {
      const error = await refusal(narrow.client.group.update({ groupId, settings }));
      const setting = Object.keys(settings)[0];
      expect(error).toMatchObject({ code: "INVALID_ARGUMENT", reason: "SETTING_WIDENED", details: { setting } });
    }
    const settings = { externalJoin: "none" as const, groupRetention: { events: 50 } };
    const updated = await narrow.client.group.update({ groupId, settings });
    expect(updated).toEqual({ settings: { pastEpochs: 1, ...settings } });
    expect((await narrow.client.group.get({ groupId, include: ["settings"] })).settings).toEqual(updated.settings);
    expect(await groupEvents(narrow.client, groupId)).toEqual([{ offset: 1, type: "settings", body: updated }]);
  });

  test("[E4] an update and a GroupInfo again under their keys answer as the first time, though all went on", async () => {
    const narrowed = await world.application({ pastEpochs: 3 });
    const member = await Member.create(narrowed.client, await device(narrowed));
    const { groupId, group } = member;
    const wire = await world.wire(narrowed.token);
    const update = { groupId, settings: { pastEpochs: 3 } };
    const put = { groupId, groupInfo: await group.groupInfo() };
    const updated = await wire.call("group.update", update, { key: "u" });
    expect((await wire.call("group.putGroupInfo", put, { key: "p" })).result).toEqual({});
    await world.operator.application.update({
      applicationId: narrowed.applicationId,
      settings: { pastEpochs: 1 },
    });
    await member.commit();
    expect((await wire.call("group.update", update)).error).toMatchObject({ reason: "SETTING_WIDENED" });
    expect((await wire.call("group.putGroupInfo", put)).error).toMatchObject({ reason: "GROUP_INFO_INVALID" });
    expect((await wire.call("group.update", update, { key: "u" })).result).toEqual(updated.result);
    expect((await wire.call("group.putGroupInfo", put, { key: "p" })).result).toEqual({});
  });

  test("GROUP_INFO_REQUIRED while others may join from outside; with externalJoin none it may stay away", async () => {
    const member = await Member.create(app.client, await device());
    const pending = await member.group.commit();
    const { groupInfo: _info, ratchetTree: _tree, ...bare } = member.params(pending);
    const error = await refusal(app.client.group.commit(bare));
    expect(error).toMatchObject({ code: "INVALID_ARGUMENT", reason: "GROUP_INFO_REQUIRED" });
    await app.client.group.update({ groupId: member.groupId, settings: { externalJoin: "none" } });
    expect(await app.client.group.commit(bare)).toMatchObject({ epoch: 1n });
    expect((await refusal(app.client.group.tree({ groupId: member.groupId }))).reason).toBe("EPOCH_PRUNED");
  });
});

describe("reading a group", () => {
  test("the tree comes in slices that make up the whole, with its hash", async () => {
    const member = await Member.create(app.client, await device());
    const { groupId } = member;
    const whole = member.group.ratchetTree();
    const slices: Uint8Array[] = [];
    for (let from = 0; ;) {
      const slice = await app.client.group.tree({ groupId, from, bytesMax: 100 });
      expect(slice).toMatchObject({ total: whole.length, epoch: 0n });
      expect(hexOf(slice.treeHash)).toBe(hexOf(member.group.treeHash));
      if (slice.ratchetTree.length === 0) break;
      expect(slice.ratchetTree.length).toBeLessThanOrEqual(100);
      slices.push(slice.ratchetTree);
      from += slice.ratchetTree.length;
    }
    expect(hexOf(Buffer.concat(slices))).toBe(hexOf(whole));
    for (const epoch of [1n, 2n ** 64n - 1n]) {
      const error = await refusal(app.client.group.tree({ groupId, epoch }));
      expect(error).toMatchObject({ code: "OUT_OF_RANGE", reason: "EPOCH_PRUNED" });
    }
  });

  test("ordering: the tree of a Welcome that is unread is served, however many commits welcomed others since", async () => {
    const member = await Member.create(app.client, await device());
    const { groupId } = member;
    const bob = await device();
    await member.add([bob]);
    const treeThen = member.group.ratchetTree();
    // One comes and one goes, so that the group stays small.
    for (let n = 0; n < 20; n += 1) {
      await member.add([await device()]);
      await member.commit({ remove: [2] });
    }
    const { ratchetTree, total, treeHash } = await app.client.group.tree({ groupId, epoch: 1n });
    expect({ hex: hexOf(ratchetTree), total }).toEqual({ hex: hexOf(treeThen), total: treeThen.length });
    const joined = await Member.join(app.client, bob);
    expect(hexOf(joined.group.treeHash)).toBe(hexOf(treeHash));
    // Nobody was welcomed into epoch 3.
    expect((await refusal(app.client.group.tree({ groupId, epoch: 3n }))).reason).toBe("EPOCH_PRUNED");
  });

  test("members come in pages, each once, with handles; list names a client's groups", async () => {
    const founder = await Member.create(app.client, await device());
    const others = await Promise.all(Array.from({ length: 4 }, () => device()));
    const { position } = await founder.add(others);
    const { groupId } = founder;
    const seen: (string | undefined)[] = [];
    let cursor: string | undefined;
    do {
      const page = await app.client.group.members({ groupId, limit: 2, ...(cursor === undefined ? {} : { cursor }) });
      expect(page.members.length).toBeLessThanOrEqual(2);
      seen.push(...page.members.map(({ handle }) => handle));
      cursor = page.cursor;
    } while (cursor !== undefined);
    expect(seen.sort()).toEqual([founder.device, ...others].map(({ mls }) => mls.identity).sort());
    const clientId = (others[0] as Device).clientId;
    await expect
      .poll(() => app.client.group.list({ clientId }))
      .toEqual({ groups: [{ groupId, epoch: 1n, position }] });
    expect((await refusal(app.client.group.list({ clientId: randomUUID() }))).reason).toBe("CLIENT_NOT_FOUND");
  });

  test.each(["ordering", "full"] as const)(
    "%s: putGroupInfo takes a member's of the same epoch, byte for byte",
    async (tracking) => {
      const member = await Member.create(app.client, await device(), { tracking });
      const { groupId, group } = member;
      const again = await group.groupInfo({ externalPub: false });
      await app.client.group.putGroupInfo({ groupId, groupInfo: again });
      const { groupInfo } = await app.client.group.get({ groupId, include: ["groupInfo"] });
      expect(hexOf(groupInfo as Uint8Array)).toBe(hexOf(again));
      const other = await member.device.mls.createGroup(freshId());
      const twin = await member.device.mls.createGroup(groupId);
      const old = again;
      await member.commit();
      const cases: [Uint8Array, string][] = [
        [await other.groupInfo(), "GROUP_INFO_CONTEXT"],
        [old, "GROUP_INFO_CONTEXT"],
        [Uint8Array.of(1), "MALFORMED"],
      ];
      const forged = Uint8Array.from(await group.groupInfo());
      forged[forged.length - 1] = (forged.at(-1) as number) ^ 1;
      cases.push([forged, "GROUP_INFO_SIGNATURE"]);
      (await twin.commit()).accept();
      cases.push([await twin.groupInfo(), "GROUP_INFO_CONTEXT"]);
      for (const [wrong, rule] of cases) {
        const error = await refusal(app.client.group.putGroupInfo({ groupId, groupInfo: wrong }));
        expect(error).toMatchObject({ code: "INVALID_ARGUMENT", reason: "GROUP_INFO_INVALID", details: { rule } });
      }
    },
  );
});

describe("group.delete", () => {
  test("closes the group for good: a `closed` event, then nothing of it is there", async () => {
    const member = await Member.create(app.client, await device());
    const { groupId, group } = member;
    await member.commit();
    const wire = await world.wire(app.token);
    expect((await wire.call("group.delete", { groupId }, { key: "d" })).result).toEqual({});
    expect((await wire.call("group.delete", { groupId }, { key: "d" })).result).toEqual({});
    const message = await group.send(Buffer.from("late"));
    const refused = [
      app.client.group.delete({ groupId }),
      app.client.group.tree({ groupId }),
      app.client.group.members({ groupId }),
      app.client.group.update({ groupId, settings: {} }),
      app.client.group.send({ groupId, message }),
      app.client.group.putGroupInfo({ groupId, groupInfo: await group.groupInfo() }),
      app.client.group.commit(member.params(await group.commit())),
    ].map(refusal);
    for (const error of await Promise.all(refused)) {
      expect(error).toMatchObject({ code: "NOT_FOUND", reason: "GROUP_NOT_FOUND" });
    }
    const include = ["groupInfo", "proposals"] as const;
    const { state, epoch, position, ...left } = await app.client.group.get({ groupId, include: [...include] });
    expect({ state, epoch, offset: position.offset }).toEqual({ state: "closed", epoch: 1n, offset: 2 });
    expect(left).toEqual({ groupId, tracking: "ordering", ciphersuite: 1, members: 0, treeBytes: 0, proposals: [] });
    expect((await refusal(app.client.stream.read({ kind: "group", id: groupId }))).reason).toBe("STREAM_NOT_FOUND");
    expect(await app.client.group.list({ clientId: member.device.clientId })).toEqual({ groups: [] });
  });
});
