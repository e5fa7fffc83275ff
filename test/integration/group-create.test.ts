// group.create over the wire by real MLS clients (PROTOCOL §4): what a group begins from, and whose it is.
import { randomBytes, randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ParamsInput } from "../../src/client/client.ts";
import { AppWorld, refusal, type TestApplication } from "../support/app-world.ts";
import { createDevice, hexOf, type Device } from "../support/devices.ts";
import { Member } from "../support/members.ts";

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

describe("group.create", () => {
  test("takes the tree in the extension, beside it, or not at all, and answers the epoch and where the log begins", async () => {
    const alice = await device();
    for (const how of ["extension", "beside", "both", "absent"]) {
      const group = await alice.mls.createGroup(freshId());
      const { groupId } = group;
      const ratchetTree = group.ratchetTree();
      const result = await app.client.group.create({
        groupInfo: await group.groupInfo({ ratchetTree: how === "extension" || how === "both" }),
        ...(how === "beside" || how === "both" ? { ratchetTree } : {}),
        tracking: "ordering",
        as: alice.clientId,
      });
      expect(result).toMatchObject({ groupId, epoch: 0n, position: { offset: 0 } });
      const got = await app.client.group.get({ groupId });
      expect(got, how).toEqual({
        groupId,
        epoch: 0n,
        position: result.position,
        state: "active",
        tracking: "ordering",
        ciphersuite: 1,
        members: 1,
        treeBytes: how === "absent" ? 0 : ratchetTree.length,
      });
      const { members } = await app.client.group.members({ groupId });
      expect(members).toEqual([{ clientId: alice.clientId, handle: alice.mls.identity }]);
      if (how === "absent") {
        const error = await refusal(app.client.group.tree({ groupId }));
        expect(error).toMatchObject({ code: "OUT_OF_RANGE", reason: "EPOCH_PRUNED" });
      } else expect(hexOf((await app.client.group.tree({ groupId })).ratchetTree)).toBe(hexOf(ratchetTree));
    }
    await expect.poll(async () => (await app.client.group.list({ clientId: alice.clientId })).groups.length).toBe(4);
  });

  test("at whatever epoch the group is", async () => {
    const alice = await device();
    const group = await alice.mls.createGroup(freshId());
    for (let n = 0; n < 3; n += 1) (await group.commit()).accept();
    const params = { groupInfo: await group.groupInfo(), ratchetTree: group.ratchetTree(), as: alice.clientId };
    expect(await app.client.group.create({ ...params, tracking: "ordering" })).toMatchObject({ epoch: 3n });
    const member = new Member(app.client, alice, group);
    expect(await member.commit()).toMatchObject({ epoch: 4n, position: { offset: 1 } });
  });

  test("refuses a GroupInfo or a tree that is spoilt, and stores nothing of it", async () => {
    const alice = await device();
    const group = await alice.mls.createGroup(freshId());
    const other = await alice.mls.createGroup(freshId());
    const groupInfo = await group.groupInfo();
    const flipped = Uint8Array.from(groupInfo);
    flipped[flipped.length - 1] = (flipped.at(-1) as number) ^ 1;
    const cases: [Partial<ParamsInput<"group.create">>, string, string][] = [
      [{ groupInfo: new Uint8Array(0) }, "GROUP_INFO_INVALID", "MALFORMED"],
      [{ groupInfo: groupInfo.subarray(4) }, "GROUP_INFO_INVALID", "MALFORMED"],
      [{ groupInfo: Uint8Array.from([...groupInfo, 0]) }, "GROUP_INFO_INVALID", "MALFORMED"],
      [{ groupInfo: flipped }, "GROUP_INFO_INVALID", "GROUP_INFO_SIGNATURE"],
      [{ ratchetTree: other.ratchetTree() }, "TREE_INVALID", "TREE_HASH"],
      [{ ratchetTree: new Uint8Array(0) }, "TREE_INVALID", "MALFORMED"],
      [{ ratchetTree: Uint8Array.of(1, 2) }, "TREE_INVALID", "MALFORMED"],
    ];
    for (const [change, reason, rule] of cases) {
      const params = { groupInfo, ratchetTree: group.ratchetTree(), tracking: "ordering" as const, ...change };
      const error = await refusal(app.client.group.create(params));
      expect(error).toMatchObject({ code: "INVALID_ARGUMENT", reason, details: { rule } });
    }
    expect((await refusal(app.client.group.get({ groupId: group.groupId }))).reason).toBe("GROUP_NOT_FOUND");
  });

  test("`tracking` omitted is full, which wants the tree; a suite that is not allowed is no group's", async () => {
    const alice = await device();
    const group = await alice.mls.createGroup(freshId());
    const params = { groupInfo: await group.groupInfo(), ratchetTree: group.ratchetTree() };
    const missing = await refusal(app.client.group.create({ groupInfo: params.groupInfo }));
    expect(missing).toMatchObject({ reason: "TREE_INVALID", details: { rule: "TREE_MISSING" } });
    await app.client.group.create(params);
    expect(await app.client.group.get({ groupId: group.groupId })).toMatchObject({ tracking: "full", members: 1 });
    const strict = await world.application({ ciphersuites: [2] });
    const error = await refusal(strict.client.group.create({ ...params, tracking: "ordering" }));
    expect(error).toMatchObject({ reason: "GROUP_INFO_INVALID", details: { rule: "CIPHERSUITE" } });
  });

  test("an id is taken once and for ever, by one of 20 at once; the same key answers as the first time", async () => {
    const alice = await device();
    const group = await alice.mls.createGroup(freshId());
    const params = { groupInfo: await group.groupInfo(), tracking: "ordering" as const, as: alice.clientId };
    const outcomes = await Promise.allSettled(
      Array.from({ length: 20 }, (_, n) => app.client.group.create(params, { key: `create-${String(n)}` })),
    );
    const won = outcomes.findIndex(({ status }) => status === "fulfilled");
    expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    for (const outcome of outcomes) {
      if (outcome.status === "fulfilled") continue;
      expect(outcome.reason).toMatchObject({ code: "ALREADY_EXISTS", reason: "GROUP_EXISTS" });
    }
    const again = await app.client.group.create(params, { key: `create-${String(won)}` });
    expect(again).toEqual((outcomes[won] as PromiseFulfilledResult<unknown>).value);
    await app.client.group.delete({ groupId: group.groupId });
    expect((await refusal(app.client.group.create(params))).reason).toBe("GROUP_EXISTS");
  });

  test("`as` must be the signer, where the tree tells: AS_MISMATCH", async () => {
    const [alice, bob] = await Promise.all([device(), device()]);
    const group = await alice.mls.createGroup(freshId());
    const params = {
      groupInfo: await group.groupInfo(),
      ratchetTree: group.ratchetTree(),
      tracking: "ordering" as const,
    };
    for (const as of [bob.clientId, randomUUID()]) {
      const error = await refusal(app.client.group.create({ ...params, as }));
      expect(error).toMatchObject({ code: "PERMISSION_DENIED", reason: "AS_MISMATCH" });
    }
  });

  test("[E4] quotas and members: QUOTA and MEMBERS_LIMIT; a retry of what was applied is no new group", async () => {
    const small = await world.application({ quotas: { groups: 1 }, groupMembersMax: 1 });
    const alice = await device(small);
    const group = await alice.mls.createGroup(freshId());
    const params = { groupInfo: await group.groupInfo(), tracking: "ordering" as const, as: alice.clientId };
    const first = await small.client.group.create(params, { key: "g" });
    const second = await alice.mls.createGroup(freshId());
    const more = { ...params, groupInfo: await second.groupInfo() };
    const error = await refusal(small.client.group.create(more));
    expect(error).toMatchObject({ code: "RESOURCE_EXHAUSTED", reason: "QUOTA", details: { quota: "groups" } });
    expect(await small.client.group.create(params, { key: "g" })).toEqual(first);
    const member = new Member(small.client, alice, group);
    expect((await refusal(member.add([await device(small)]))).reason).toBe("MEMBERS_LIMIT");
    await small.client.group.delete({ groupId: group.groupId });
    expect(await small.client.group.create(more)).toMatchObject({ epoch: 0n });
  });

  test("a group with more members than a limit that was narrowed since goes on and shrinks, and does not grow", async () => {
    const narrowing = await world.application();
    const member = await Member.create(narrowing.client, await device(narrowing));
    await member.add([await device(narrowing), await device(narrowing)]);
    await narrowing.client.group.update({ groupId: member.groupId, settings: { groupMembersMax: 1 } });
    await member.commit();
    const added = await device(narrowing);
    expect((await refusal(member.add([added]))).reason).toBe("MEMBERS_LIMIT");
    await member.commit({ remove: [2] });
    expect((await narrowing.client.group.get({ groupId: member.groupId })).members).toBe(2);
  });

  test("a quota of groups holds for 6 creates at once: as many as there is room for are made", async () => {
    const small = await world.application({ quotas: { groups: 2 } });
    const alice = await device(small);
    const create = async () => {
      const group = await alice.mls.createGroup(freshId());
      const groupInfo = await group.groupInfo();
      return () => small.client.group.create({ groupInfo, tracking: "ordering", as: alice.clientId });
    };
    const ready = await Promise.all(Array.from({ length: 6 }, create));
    const outcomes = await Promise.allSettled(ready.map((send) => send()));
    const lost = outcomes.flatMap((outcome) => (outcome.status === "rejected" ? [outcome.reason as object] : []));
    expect(lost).toHaveLength(4);
    for (const error of lost) expect(error).toMatchObject({ reason: "QUOTA", details: { quota: "groups" } });
  });
});
