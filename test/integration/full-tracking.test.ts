// Groups in `full` tracking over the wire, by real MLS clients: every commit followed without a secret
// (PROTOCOL §5), membership known leaf by leaf, nobody stopped who follows RFC 9420.
import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { InboxEvents } from "../../src/protocol/schemas/events.ts";
import { AppWorld, refusal, type TestApplication } from "../support/app-world.ts";
import { createDevice, hexOf, type Device } from "../support/devices.ts";
import { inboxEvents, Member } from "../support/members.ts";
import { MlsClient } from "../support/mls-client.ts";

let world: AppWorld;
let app: TestApplication;
beforeAll(async () => {
  // No tree but the last one used stays in memory: each change of group loads a snapshot and replays the log.
  world = await AppWorld.start({ limits: { followedTreeBytesMax: 0 } });
  app = await world.application();
});
afterAll(() => world.stop());

let made = 0;
function device(): Promise<Device> {
  made += 1;
  return createDevice(app.client, `full-${String(made)}`);
}

async function founded(): Promise<Member> {
  return Member.create(app.client, await device(), { tracking: "full" });
}

async function joined(one: Device): Promise<Member> {
  await expect
    .poll(async () => (await inboxEvents(app.client, one.clientId)).some(({ type }) => type === "welcome"))
    .toBe(true);
  return Member.join(app.client, one);
}

/** Adds without saying who: the back-end sees it. */
async function add(by: Member, devices: readonly Device[]): Promise<Member[]> {
  const packages = await Promise.all(devices.map(({ mls }) => mls.createKeyPackage()));
  const pending = await by.group.commit({ add: packages.map(({ message }) => message) });
  const { commit, groupInfo, welcome } = pending;
  await app.client.group.commit({
    groupId: by.groupId,
    commit,
    groupInfo,
    welcomes: welcome === undefined ? [] : [welcome],
  });
  pending.accept();
  return Promise.all(devices.map(joined));
}

async function commit(by: Member, options: Parameters<Member["group"]["commit"]>[0] = {}): Promise<void> {
  const pending = await by.group.commit(options);
  await app.client.group.commit({
    groupId: by.groupId,
    commit: pending.commit,
    groupInfo: pending.groupInfo,
    as: by.device.clientId,
  });
  pending.accept();
}

function agree(members: readonly Member[]): void {
  expect(new Set(members.map(({ group }) => hexOf(group.epochAuthenticator))).size).toBe(1);
}

describe("full tracking", () => {
  test("[M5] knows who enters, stays and leaves, with nobody telling", async () => {
    const founder = await founded();
    const devices = await Promise.all([device(), device(), device()]);
    const members = await add(founder, devices);
    const all = [founder, ...members];
    agree(all);
    const listed = await app.client.group.members({ groupId: founder.groupId });
    expect(listed.members.map(({ leaf, clientId }) => [leaf, clientId])).toEqual(
      all.map(({ device: { clientId } }, leaf) => [leaf, clientId]),
    );
    const gone = members[1] as Member;
    await commit(members[0] as Member, { remove: [gone.group.leafIndex] });
    await Promise.all([founder, members[2] as Member].map((member) => member.catchUp()));
    agree([founder, members[0] as Member, members[2] as Member]);
    await expect
      .poll(async () => (await inboxEvents(app.client, gone.device.clientId)).at(-1))
      .toMatchObject({ type: "removed", body: { epoch: 2n } satisfies Partial<InboxEvents["removed"]> });
    const after = await app.client.group.members({ groupId: founder.groupId });
    expect(after.members.map(({ leaf }) => leaf)).toEqual([0, 1, 3]);
    expect(await app.client.group.get({ groupId: founder.groupId })).toMatchObject({
      members: 3,
      epoch: 2n,
      tracking: "full",
    });
    await expect.poll(async () => (await app.client.group.list({ clientId: gone.device.clientId })).groups).toEqual([]);
  });

  test("[M3] serves the tree of every epoch, though no member ever sends one", async () => {
    const founder = await founded();
    const [other] = (await add(founder, [await device()])) as [Member];
    const trees: string[] = [hexOf(founder.group.ratchetTree())];
    for (let round = 0; round < 3; round += 1) {
      await commit(round % 2 === 0 ? founder : other);
      await Promise.all([founder, other].map((member) => member.catchUp()));
      trees.push(hexOf(founder.group.ratchetTree()));
    }
    const another = await founded();
    await commit(another);
    for (const [n, tree] of trees.entries()) {
      const answer = await app.client.group.tree({ groupId: founder.groupId, epoch: BigInt(n + 1) });
      expect(hexOf(answer.ratchetTree)).toBe(tree);
    }
  });

  test("[M9] goes on from a snapshot once the journal is long", async () => {
    const founder = await founded();
    const [other] = (await add(founder, [await device()])) as [Member];
    const rounds = 90;
    for (let round = 0; round < rounds; round += 1) await commit(founder);
    const another = await founded();
    await commit(another);
    await other.catchUp();
    agree([founder, other]);
    await commit(other);
    await founder.catchUp();
    agree([founder, other]);
    const { groupId } = founder;
    expect(hexOf((await app.client.group.tree({ groupId })).ratchetTree)).toBe(hexOf(founder.group.ratchetTree()));
  }, 60_000);

  test("[M2] refuses a commit that members would choke on, under its rule, and the group goes on", async () => {
    const founder = await founded();
    const [other] = (await add(founder, [await device()])) as [Member];
    const pending = await founder.group.commit();
    const broken = pending.commit.slice();
    broken[broken.length - 90] = (broken[broken.length - 90] ?? 0) ^ 1;
    const { groupId } = founder;
    const refused = await refusal(app.client.group.commit({ groupId, commit: broken, groupInfo: pending.groupInfo }));
    expect(refused).toMatchObject({ reason: "COMMIT_INVALID", details: { rule: expect.any(String) as string } });
    const forOther = await refusal(
      app.client.group.commit({
        groupId,
        commit: pending.commit,
        groupInfo: pending.groupInfo,
        as: other.device.clientId,
      }),
    );
    expect(forOther.reason).toBe("AS_MISMATCH");
    const without = await refusal(app.client.group.commit({ groupId, commit: pending.commit }));
    expect(without.reason).toBe("GROUP_INFO_REQUIRED");
    await commit(other);
    await founder.catchUp();
    agree([founder, other]);
  });

  test("[E2] a tree beside a commit serves ordering tracking only; bytes that are none are TREE_INVALID all the same", async () => {
    const founder = await founded();
    const params = founder.params(await founder.group.commit());
    for (const ratchetTree of [new Uint8Array(0), Uint8Array.of(1, 2), params.commit]) {
      const error = await refusal(app.client.group.commit({ ...params, ratchetTree }));
      expect(error).toMatchObject({
        code: "INVALID_ARGUMENT",
        reason: "TREE_INVALID",
        details: { rule: "MALFORMED" },
      });
    }
    const former = (await app.client.group.tree({ groupId: founder.groupId })).ratchetTree;
    expect(await app.client.group.commit({ ...params, ratchetTree: former })).toMatchObject({ epoch: 1n });
  });

  test("[M4] [M5] refuses an Add without its Welcome, and a leaf that is no client's", async () => {
    const founder = await founded();
    const { groupId } = founder;
    const one = await device();
    const known = await one.mls.createKeyPackage();
    const pending = await founder.group.commit({ add: [known.message] });
    const { commit: bytes, groupInfo } = pending;
    expect(await refusal(app.client.group.commit({ groupId, commit: bytes, groupInfo }))).toMatchObject({
      reason: "WELCOME_MISMATCH",
      details: { rule: "WELCOME_MISSING" },
    });
    const stranger = await (await MlsClient.create({ identity: "nobody-knows" })).createKeyPackage();
    const strange = await founder.group.commit({ add: [stranger.message] });
    const welcomes = strange.welcome === undefined ? [] : [strange.welcome];
    expect(
      await refusal(
        app.client.group.commit({ groupId, commit: strange.commit, groupInfo: strange.groupInfo, welcomes }),
      ),
    ).toMatchObject({ reason: "COMMIT_INVALID", details: { rule: "LEAF_CLIENT" } });
  });

  test("[M7] lets a member that lost its state come back by an external commit, and nobody else", async () => {
    const founder = await founded();
    const lost = await device();
    await add(founder, [lost]);
    const { groupId } = founder;
    const groupInfo = (await app.client.group.get({ groupId, include: ["groupInfo"] })).groupInfo as Uint8Array;
    const tree = (await app.client.group.tree({ groupId })).ratchetTree;
    const outsider = await device();
    const intruder = await outsider.mls.joinExternally(groupInfo, { ratchetTree: tree, resync: false });
    expect(
      await refusal(
        app.client.group.commit({
          groupId,
          commit: intruder.commit,
          groupInfo: intruder.groupInfo,
          as: outsider.clientId,
        }),
      ),
    ).toMatchObject({ reason: "EXTERNAL_JOIN" });
    const back = await lost.mls.joinExternally(groupInfo, { ratchetTree: tree, resync: true });
    await app.client.group.commit({ groupId, commit: back.commit, groupInfo: back.groupInfo, as: lost.clientId });
    await founder.catchUp();
    agree([founder, new Member(app.client, lost, back.group)]);
    expect((await app.client.group.members({ groupId })).members).toHaveLength(2);
  });

  test("[M6] proposes that a deleted client's leaf goes, again in every epoch, and commits must take it in", async () => {
    const one = await device();
    const { externalSenders } = await app.client.application.get({});
    const own = externalSenders.find(({ ciphersuite }) => ciphersuite === 1)?.externalSender as Uint8Array;
    const group = await one.mls.createGroup(Uint8Array.from(randomBytes(16)), [
      { extensionType: "external_senders", extensionData: own },
    ]);
    const { groupId } = group;
    await app.client.group.create({
      groupInfo: await group.groupInfo(),
      ratchetTree: group.ratchetTree(),
      as: one.clientId,
    });
    const founder = new Member(app.client, one, group);
    const [leaving, staying] = (await add(founder, [await device(), await device()])) as [Member, Member];
    await staying.catchUp();
    await app.client.identity.delete({ clientId: leaving.device.clientId });
    const proposals = async () => (await app.client.group.get({ groupId, include: ["proposals"] })).proposals ?? [];
    await expect.poll(async () => (await proposals()).length).toBe(1);
    expect((await proposals())[0]).toMatchObject({ sender: { type: "external" } });
    const heedless = await founder.group.commit();
    expect(
      await refusal(app.client.group.commit({ groupId, commit: heedless.commit, groupInfo: heedless.groupInfo })),
    ).toMatchObject({ reason: "PROPOSALS_MISSING", details: { proposalRefs: [expect.anything()] } });
    await app.client.group.update({ groupId, settings: { externalJoin: "members" } });
    await Promise.all([founder, staying].map((member) => member.catchUp()));
    await commit(staying);
    await founder.catchUp();
    agree([founder, staying]);
    expect((await app.client.group.members({ groupId })).members.map(({ leaf }) => leaf)).toEqual([0, 2]);
    expect(await proposals()).toEqual([]);
  });
});
