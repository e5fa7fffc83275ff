// External commits over the wire (PROTOCOL M7), under both kinds of tracking.
import { decodeMlsMessage, encodeMlsMessage, proposeAddExternal } from "ts-mls";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { GroupEvents } from "../../src/protocol/schemas/events.ts";
import { AppWorld, refusal, type TestApplication } from "../support/app-world.ts";
import { createDevice, hexOf, type Device } from "../support/devices.ts";
import { groupEvents, inboxEvents, Member } from "../support/members.ts";

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

async function pair(tracking: "ordering" | "full", application = app): Promise<[Member, Member]> {
  const founder = await Member.create(application.client, await device(application), { tracking });
  const second = await device(application);
  await founder.add([second]);
  await expect.poll(async () => (await inboxEvents(application.client, second.clientId)).length).toBe(1);
  return [founder, await Member.join(application.client, second)];
}

function agree(...members: Member[]): void {
  expect(new Set(members.map(({ group }) => hexOf(group.epochAuthenticator))).size).toBe(1);
}

describe.each(["ordering", "full"] as const)("external joins, %s", (tracking) => {
  async function external(member: Member, joiner: Device, resync = false) {
    const { groupId } = member;
    const { groupInfo } = await member.client.group.get({ groupId, include: ["groupInfo"] });
    const { ratchetTree } = await member.client.group.tree({ groupId });
    const joined = await joiner.mls.joinExternally(groupInfo as Uint8Array, { ratchetTree, resync });
    const params = {
      groupId,
      commit: joined.commit,
      groupInfo: joined.groupInfo,
      ratchetTree: joined.group.ratchetTree(),
      as: joiner.clientId,
    };
    return { params, group: joined.group };
  }

  test("[M7] under `members` a member resyncs and nobody else joins; under `none` nobody does", async () => {
    const [alice, bob] = await pair(tracking);
    const { groupId } = alice;
    const stranger = await external(alice, await device());
    const error = await refusal(app.client.group.commit(stranger.params));
    expect(error).toMatchObject({ code: "PERMISSION_DENIED", reason: "EXTERNAL_JOIN" });
    const resync = await external(alice, bob.device, true);
    const { epoch } = await app.client.group.commit(resync.params);
    expect(epoch).toBe(2n);
    await alice.catchUp();
    agree(alice, new Member(app.client, bob.device, resync.group));
    const event = (await groupEvents(app.client, groupId)).at(-1)?.body as GroupEvents["commit"];
    const committer = { type: "newMember", clientId: bob.device.clientId };
    expect(event).toMatchObject({ epoch: 2n, external: true, added: [bob.device.clientId], removed: [], committer });
    expect((await app.client.group.get({ groupId })).members).toBe(2);
    await app.client.group.update({ groupId, settings: { externalJoin: "none" } });
    const again = await external(alice, bob.device, true);
    expect((await refusal(app.client.group.commit(again.params))).reason).toBe("EXTERNAL_JOIN");
  });

  test("[M8] a GroupInfo is served in its own epoch: after a commit without one there is none until a member puts it", async () => {
    const alice = await Member.create(app.client, await device(), { tracking, settings: { externalJoin: "none" } });
    const { groupId } = alice;
    const served = async () => (await app.client.group.get({ groupId, include: ["groupInfo"] })).groupInfo;
    expect(await served()).toBeDefined();
    const pending = await alice.group.commit();
    await app.client.group.commit({ groupId, commit: pending.commit });
    pending.accept();
    expect(await served()).toBeUndefined();
    await app.client.group.putGroupInfo({ groupId, groupInfo: pending.groupInfo });
    expect(await served()).toEqual(pending.groupInfo);
  });

  test("[M7] under `open` a registered client joins and is a member; one that is not registered is refused", async () => {
    const open = await world.application({ externalJoin: "open" });
    const [alice, bob] = await pair(tracking, open);
    const { groupId } = alice;
    const carol = await device(open);
    const joined = await external(alice, carol);
    await open.client.group.commit(joined.params);
    await alice.catchUp();
    await bob.catchUp();
    agree(alice, bob, new Member(open.client, carol, joined.group));
    const { members } = await open.client.group.members({ groupId });
    expect(members.map(({ clientId }) => clientId)).toContain(carol.clientId);
    await expect.poll(async () => (await open.client.group.list({ clientId: carol.clientId })).groups.length).toBe(1);
    const nobody = await device();
    const { as: _as, ...params } = (await external(alice, nobody)).params;
    const error = await refusal(open.client.group.commit(params));
    expect(error).toMatchObject({ reason: "COMMIT_INVALID", details: { rule: "LEAF_CLIENT" } });
  });

  test("[M2] who asks to be added is `as` of the package that it asks with, and the proposal says so", async () => {
    const [alice, bob] = await pair(tracking);
    const carol = await device();
    const { publicPackage, privatePackage } = await carol.mls.ownKeyPackage();
    const [info] = decodeMlsMessage(await alice.group.groupInfo(), 0) ?? [];
    if (info?.wireformat !== "mls_group_info") throw new Error("no GroupInfo");
    const asking = await proposeAddExternal(info.groupInfo, publicPackage, privatePackage, carol.mls.impl);
    const params = { groupId: alice.groupId, proposal: encodeMlsMessage(asking) };
    const error = await refusal(app.client.group.propose({ ...params, as: bob.device.clientId }));
    expect(error).toMatchObject({ code: "PERMISSION_DENIED", reason: "AS_MISMATCH" });
    await app.client.group.propose({ ...params, as: carol.clientId });
    const [event] = (await groupEvents(app.client, alice.groupId)).slice(-1);
    expect(event).toMatchObject({
      type: "proposal",
      body: { sender: { type: "newMember", clientId: carol.clientId } },
    });
  });
});
