// What follows a ReInit (RFC 9420 §11.2): the group under the announced id is founded by a member of the one that
// ended, on the announced terms, whatever dies in between and wherever the two live.
import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { connect, type AegisClient } from "../../src/client/client.ts";
import { groupActorId } from "../../src/services/service-ports.ts";
import { AppWorld, refusal } from "../support/app-world.ts";
import { createDevice, type Device } from "../support/devices.ts";
import { groupEvents, inboxEvents, Member } from "../support/members.ts";
import { MlsClient } from "../support/mls-client.ts";
import { ServerProcess } from "../support/server-process.ts";

let world: AppWorld;
let client: AegisClient;
beforeAll(async () => {
  world = await AppWorld.start();
  ({ client } = await world.application({ externalJoin: "none" }));
});
afterAll(() => world.stop());

let made = 0;
function device(): Promise<Device> {
  made += 1;
  return createDevice(client, `reinit-${String(made)}`);
}

async function pair(): Promise<readonly [Member, Member]> {
  const founder = await Member.create(client, await device(), { tracking: "full" });
  const second = await device();
  await founder.add([second]);
  await expect.poll(async () => (await inboxEvents(client, second.clientId)).length).toBe(1);
  return [founder, await Member.join(client, second)];
}

/** Ends the group into a new id, on the same terms. */
async function end(member: Member, groupId: Uint8Array = Uint8Array.from(randomBytes(16))): Promise<Uint8Array> {
  const { cipherSuite, version } = member.group.state.groupContext;
  const reinit = { groupId, version, cipherSuite, extensions: [] };
  await member.commit({ proposals: [{ proposalType: "reinit", reinit }] });
  return groupId;
}

async function create(by: Device, groupId: Uint8Array, mls: MlsClient = by.mls) {
  const group = await mls.createGroup(groupId);
  return client.group.create({ groupInfo: await group.groupInfo(), ratchetTree: group.ratchetTree() });
}

describe("[M2] a group that a ReInit ended", () => {
  test("goes on where one of its members founds it, and nobody else", async () => {
    const [alice, bob] = await pair();
    const successor = await end(alice);
    expect(groupActorId(successor)).not.toBe(groupActorId(alice.groupId));
    expect((await groupEvents(client, alice.groupId)).at(-1)).toMatchObject({
      type: "reinit",
      body: { groupId: successor, version: 1, ciphersuite: 1 },
    });
    const stranger = await device();
    expect(await refusal(create(stranger, successor))).toMatchObject({
      code: "PERMISSION_DENIED",
      reason: "AS_MISMATCH",
    });
    await create(bob.device, successor);
    expect(await client.group.get({ groupId: successor })).toMatchObject({ state: "active", members: 1 });
    expect(await refusal(create(alice.device, successor))).toMatchObject({ reason: "GROUP_EXISTS" });
  });

  test("goes on with the ciphersuite that was announced", async () => {
    const [alice] = await pair();
    const successor = await end(alice);
    const { identity } = alice.device.mls;
    const other = await MlsClient.create({ identity, ciphersuite: 3 });
    expect(await refusal(create(alice.device, successor, other))).toMatchObject({
      reason: "GROUP_INFO_INVALID",
      details: { rule: "REINIT_TERMS", section: "11.2" },
    });
    await create(alice.device, successor);
  });

  test("was not ended by a commit that announces an id that is taken", async () => {
    const [alice] = await pair();
    const [other] = await pair();
    for (const taken of [other.groupId, alice.groupId]) {
      expect(await refusal(end(alice, taken))).toMatchObject({
        reason: "COMMIT_INVALID",
        details: { rule: "REINIT_GROUP_ID", section: "11.2" },
      });
    }
    expect(await client.group.get({ groupId: alice.groupId })).toMatchObject({ state: "active", epoch: 1n });
    await alice.commit();
  });

  test("keeps its announced id from nobody while it goes on itself", async () => {
    const [alice, bob] = await pair();
    const groupId = Uint8Array.from(randomBytes(16));
    const { cipherSuite, version } = alice.group.state.groupContext;
    const proposals = [{ proposalType: "reinit" as const, reinit: { groupId, version, cipherSuite, extensions: [] } }];
    const losing = await alice.group.commit({ proposals });
    // Both in the same epoch: the ReInit may have made its reservation before it lost.
    const pending = await bob.group.commit();
    const [first, second] = await Promise.allSettled([
      client.group.commit(bob.params(pending)),
      client.group.commit(alice.params(losing)),
    ]);
    expect([first.status, second.status].filter((status) => status === "fulfilled")).toHaveLength(1);
    const stranger = await device();
    if (first.status === "fulfilled") await create(stranger, groupId);
    else expect((await refusal(create(stranger, groupId))).reason).toBe("AS_MISMATCH");
  });

  test("shares its announced id with another that announced it too: a member of either founds it", async () => {
    const [alice] = await pair();
    const [carol] = await pair();
    const successor = await end(alice);
    await end(carol, successor);
    expect((await refusal(create(await device(), successor))).reason).toBe("AS_MISMATCH");
    await create(carol.device, successor);
  });
});

test("[G3] [G8] nobody else founds the successor though the server died in between", async () => {
  const server = await ServerProcess.start({});
  const inProcess = client;
  try {
    const operator = await connect({ url: server.url, token: server.operatorToken });
    const { key } = await operator.application.create({ name: "reinit", settings: { externalJoin: "none" } });
    client = await connect({ url: server.url, token: key.secret });
    const [alice, bob] = await pair();
    const stranger = await device();
    const successor = await end(alice);
    await server.kill9();
    await server.restart();
    expect((await refusal(create(stranger, successor))).reason).toBe("AS_MISMATCH");
    await create(bob.device, successor);
    await Promise.all([operator.close(), client.close()]);
  } finally {
    client = inProcess;
    await server.dispose();
  }
});
