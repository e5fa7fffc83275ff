// Three real nodes on one Redis: whichever is asked answers, wherever the actor is, and events reach sessions on
// every node.
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { connect, type AegisClient } from "../../src/client/client.ts";
import { basicCredential } from "../support/app-world.ts";
import { ClusterProcess } from "../support/cluster-process.ts";
import { MlsClient } from "../support/mls-client.ts";
import { opaqueMessage } from "../support/opaque-messages.ts";

let cluster: ClusterProcess;
let clients: AegisClient[];

beforeAll(async () => {
  cluster = await ClusterProcess.start({ nodes: 3 });
  const operator = await connect({ url: cluster.server(0).url, token: cluster.operatorToken });
  const { key } = await operator.application.create({ name: "cluster" });
  await operator.close();
  clients = await Promise.all(cluster.servers.map(({ url }) => connect({ url, token: key.secret })));
}, 60_000);

afterAll(async () => {
  await Promise.all(clients.map((client) => client.close()));
  await cluster.dispose();
});

function at(n: number): AegisClient {
  return clients[n % clients.length] as AegisClient;
}

test("every node owns a share of the shards and forwards the rest", async () => {
  await Promise.all(
    Array.from({ length: 60 }, (_, n) => at(n).identity.create({ clientIdentity: basicCredential(`c${n}`) })),
  );
  for (const { adminUrl } of cluster.servers) {
    const metrics = await (await fetch(`${adminUrl}/metrics`)).text();
    expect(metrics).toMatch(/^aegis_members 2$/m);
    expect(metrics).toMatch(/^aegis_calls_forwarded_total [1-9]/m);
    expect(metrics).toMatch(/^aegis_batches_total [1-9]/m);
  }
});

test("[G3] [G9] what one node has acknowledged every other finds at once, by id and by tag", async () => {
  for (let n = 0; n < 12; n += 1) {
    const tag = `team:${String(n)}`;
    const { clientId } = await at(n).identity.create({ clientIdentity: basicCredential(`m${n}`), tags: [tag] });
    const found = await at(n + 1).identity.find({ all: [tag] });
    expect(found.clients.map((client) => client.clientId)).toEqual([clientId]);
    await at(n + 2).identity.update({ clientId, tags: { set: [] } });
    expect((await at(n).identity.find({ all: [tag] })).clients).toEqual([]);
  }
});

test("[G1] of 60 racing commits from three nodes one wins each epoch", async () => {
  const groupId = Buffer.from(randomUUID());
  const member = await MlsClient.create({ identity: "racer" });
  const { clientId } = await at(0).identity.create({ clientIdentity: member.credential });
  const groupInfo = await (await member.createGroup(groupId)).groupInfo();
  await at(0).group.create({ groupInfo, tracking: "ordering", as: clientId, settings: { externalJoin: "none" } });
  const outcomes = await Promise.allSettled(
    Array.from({ length: 60 }, (_, n) =>
      at(n).group.commit({ groupId, commit: opaqueMessage(groupId, 0n, "commit"), as: clientId }),
    ),
  );
  const refused = outcomes.filter((outcome) => outcome.status === "rejected");
  expect(refused.map(({ reason }) => (reason as { reason: string }).reason)).toEqual(
    new Array(59).fill("EPOCH_CONFLICT"),
  );
  expect((await at(1).group.get({ groupId })).epoch).toBe(1n);
});

test("[G5] subscribers on every node get every event once, in order, whichever node it came through", async () => {
  const groupId = Buffer.from(randomUUID());
  const member = await MlsClient.create({ identity: "speaker" });
  const { clientId } = await at(0).identity.create({ clientIdentity: member.credential });
  const groupInfo = await (await member.createGroup(groupId)).groupInfo();
  await at(0).group.create({ groupInfo, tracking: "ordering", as: clientId, settings: { externalJoin: "none" } });
  const listeners = clients.map((client) => offsetsOf(client, groupId, 90));
  for (let n = 0; n < 90; n += 1) {
    const message = opaqueMessage(groupId, 0n, "application");
    await at(n).group.send({ groupId, message, as: clientId });
  }
  const expected = Array.from({ length: 90 }, (_, n) => n + 1);
  for (const offsets of await Promise.all(listeners)) expect(offsets).toEqual(expected);
});

async function offsetsOf(client: AegisClient, groupId: Uint8Array, count: number): Promise<number[]> {
  const subscription = client.subscribe();
  await subscription.add([{ kind: "group", id: groupId, after: "start" }]);
  const offsets: number[] = [];
  for await (const item of subscription) {
    if (item.kind === "event") offsets.push(item.offset);
    if (offsets.length >= count) break;
  }
  return offsets;
}
