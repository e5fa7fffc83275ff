// [M5] [M7] Whose a leaf may be, over the wire: each rule broken by a real client that nobody else would stop.
import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { AppWorld, refusal, type TestApplication } from "../support/app-world.ts";
import { createDevice, type Device } from "../support/devices.ts";
import { inboxEvents, Member } from "../support/members.ts";
import { MlsClient } from "../support/mls-client.ts";

let world: AppWorld;
let app: TestApplication;
beforeAll(async () => {
  world = await AppWorld.start();
  app = await world.application({ externalJoin: "open" });
});
afterAll(() => world.stop());

let made = 0;
function device(): Promise<Device> {
  made += 1;
  return createDevice(app.client, `leaf-${String(made)}`);
}

async function founded(): Promise<Member> {
  return Member.create(app.client, await device(), { tracking: "full" });
}

async function joined(founder: Member, one: Device): Promise<Member> {
  await founder.add([one]);
  await expect.poll(async () => (await inboxEvents(app.client, one.clientId)).length).toBe(1);
  return Member.join(app.client, one);
}

/** The refusal of a commit that adds what another client object of the same name made. */
async function addRefused(founder: Member, ...clients: readonly MlsClient[]) {
  const packages = await Promise.all(clients.map((client) => client.createKeyPackage()));
  const pending = await founder.group.commit({ add: packages.map(({ message }) => message) });
  return refusal(app.client.group.commit(founder.params(pending)));
}

async function external({ client, groupId }: Member, mls: MlsClient, resync: boolean) {
  const { groupInfo } = await client.group.get({ groupId, include: ["groupInfo"] });
  const { ratchetTree } = await client.group.tree({ groupId });
  const { commit, groupInfo: next } = await mls.joinExternally(groupInfo as Uint8Array, { ratchetTree, resync });
  return { groupId, commit, groupInfo: next };
}

describe("[M5] whose a leaf is", () => {
  test("LEAF_CLIENT: who is no client is not added, and joins no group from outside", async () => {
    const founder = await founded();
    const nobody = await MlsClient.create({ identity: "nobody-knows" });
    expect(await addRefused(founder, nobody)).toMatchObject({
      reason: "COMMIT_INVALID",
      details: { rule: "LEAF_CLIENT" },
    });
    expect(await refusal(app.client.group.commit(await external(founder, nobody, false)))).toMatchObject({
      reason: "COMMIT_INVALID",
      details: { rule: "LEAF_CLIENT" },
    });
  });

  test("LEAF_CLIENT: a group is not founded by who is no client", async () => {
    const nobody = await MlsClient.create({ identity: "nobody-at-all" });
    const group = await nobody.createGroup(Uint8Array.from(randomBytes(16)));
    const params = { groupInfo: await group.groupInfo(), ratchetTree: group.ratchetTree() };
    expect(await refusal(app.client.group.create(params))).toMatchObject({
      reason: "TREE_INVALID",
      details: { rule: "LEAF_CLIENT" },
    });
  });

  test("ONE_LEAF_A_CLIENT: no client is added beside its own leaf, nor twice at once", async () => {
    const founder = await founded();
    const one = await device();
    await joined(founder, one);
    const { identity } = one.mls;
    const again = await MlsClient.create({ identity });
    expect(await addRefused(founder, again)).toMatchObject({
      reason: "COMMIT_INVALID",
      details: { rule: "ONE_LEAF_A_CLIENT" },
    });
    const other = await device();
    const twins = await Promise.all([other, other].map(({ mls }) => MlsClient.create({ identity: mls.identity })));
    expect(await addRefused(founder, ...twins)).toMatchObject({
      reason: "COMMIT_INVALID",
      details: { rule: "ONE_LEAF_A_CLIENT" },
    });
  });

  test("ONE_LEAF_A_CLIENT: a group does not begin with two leaves of one client", async () => {
    const one = await device();
    const group = await one.mls.createGroup(Uint8Array.from(randomBytes(16)));
    const twin = await MlsClient.create({ identity: one.mls.identity });
    (await group.commit({ add: [(await twin.createKeyPackage()).message] })).accept();
    const params = { groupInfo: await group.groupInfo(), ratchetTree: group.ratchetTree() };
    expect(await refusal(app.client.group.create(params))).toMatchObject({
      reason: "TREE_INVALID",
      details: { rule: "ONE_LEAF_A_CLIENT" },
    });
  });

  test("AS_MISMATCH: `as` owns the leaf that commits", async () => {
    const founder = await founded();
    const other = await joined(founder, await device());
    const pending = await founder.group.commit();
    const params = founder.params(pending, { as: other.device.clientId });
    expect((await refusal(app.client.group.commit(params))).reason).toBe("AS_MISMATCH");
  });
});

describe("[M7] who comes back from outside", () => {
  test("RESYNC_CLIENT: a joiner removes no leaf but its own client's", async () => {
    const founder = await founded();
    const victim = await device();
    await joined(founder, victim);
    // The thief holds the victim's signature key, so that its library takes the victim's leaf for its own.
    const { identity } = (await device()).mls;
    const { signatureKey: publicKey, signaturePrivateKey: signKey } = victim.mls;
    const thief = await MlsClient.create({ identity, signatureKeyPair: { publicKey, signKey } });
    expect(await refusal(app.client.group.commit(await external(founder, thief, true)))).toMatchObject({
      reason: "COMMIT_INVALID",
      details: { rule: "RESYNC_CLIENT", section: "12.4.3.2" },
    });
  });

  test("[M5] RESYNC_CLIENT: a stranger takes no other stranger's leaf, and comes back to its own", async () => {
    const open = await world.application({ strangers: true });
    const founder = await Member.create(open.client, await createDevice(open.client, "host"), { tracking: "full" });
    const guest = await MlsClient.create({ identity: "guest" });
    await founder.commit({ add: [(await guest.createKeyPackage()).message] });
    const { signatureKey: publicKey, signaturePrivateKey: signKey } = guest;
    const thief = await MlsClient.create({ identity: "thief", signatureKeyPair: { publicKey, signKey } });
    expect(await refusal(open.client.group.commit(await external(founder, thief, true)))).toMatchObject({
      reason: "COMMIT_INVALID",
      details: { rule: "RESYNC_CLIENT", section: "12.4.3.2" },
    });
    expect(await open.client.group.commit(await external(founder, guest, true))).toMatchObject({ epoch: 2n });
  });
});
