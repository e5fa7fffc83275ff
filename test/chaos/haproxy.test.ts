// The deployment's own haproxy.cfg in front of three real nodes with real MLS groups on them: every node is restarted
// in turn.
import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, expect, test } from "vitest";
import { connect, type AegisClient } from "../../src/client/client.ts";
import { ClusterProcess } from "../support/cluster-process.ts";
import { createDevice } from "../support/devices.ts";
import { startHaproxy, type Haproxy } from "../support/haproxy.ts";
import { Member } from "../support/members.ts";
import { MlsGroupLoad } from "../support/mls-group-load.ts";
import { opaqueMessage } from "../support/opaque-messages.ts";
import { PacedCalls, type Latencies } from "../support/paced-calls.ts";
import { redisCommand } from "../support/redis-server.ts";
import { WireClient } from "../support/wire-client.ts";

const rounds = Number(process.env["AEGIS_ROLLING_ROUNDS"] ?? 1);
const baselineMs = 5_000;
const callsPerSecond = 60;
const ttlMs = 30_000;
/** GUARANTEES F09. */
const p99AddedMs = 250;
/**
 * On a machine of few cores a node that starts takes its time from the others, and from whatever else runs there. By how
 * much shows in a plain write to Redis; a call has several such hops.
 */
const slowingMax = 2;

let cluster: ClusterProcess | undefined;
let haproxy: Haproxy | undefined;
const open: AegisClient[] = [];

afterEach(async () => {
  await Promise.all(open.splice(0).map((client) => client.close()));
  await haproxy?.stop();
  await cluster?.dispose();
});

async function clientsOf(url: string, token: string, count: number): Promise<AegisClient[]> {
  const clients = await Promise.all(Array.from({ length: count }, () => connect({ url, token, ttlMs })));
  open.push(...clients);
  return clients;
}

/** Writes and reads in turn, on each client in turn. */
async function pacedCalls(clients: readonly AegisClient[]): Promise<PacedCalls> {
  const at = (n: number): AegisClient => clients[n % clients.length] as AegisClient;
  const groupIds: Uint8Array[] = [];
  for (let n = 0; n < 6; n += 1) {
    const founder = await Member.create(at(n), await createDevice(at(n), `speaker-${n}`), {
      settings: { externalJoin: "none" },
    });
    groupIds.push(founder.groupId);
  }
  return new PacedCalls(callsPerSecond, (n) => {
    const groupId = groupIds[n % groupIds.length] as Uint8Array;
    // A stride of its own, so that each client speaks to each group.
    const client = at(Math.floor(n / groupIds.length));
    if (n % 2 === 0) return client.group.get({ groupId });
    return client.group.send({ groupId, message: opaqueMessage(groupId, 0n, "application") });
  });
}

function said({ calls, p50, p99, max }: Latencies): string {
  return `${calls} calls, p50 ${p50.toFixed(1)}, p99 ${p99.toFixed(1)}, max ${max.toFixed(0)} ms`;
}

test("[C7] while a node drains, haproxy sends new sessions elsewhere at their first try and leaves it those that it has", async () => {
  cluster = await ClusterProcess.start({ nodes: 2, env: { AEGIS_DRAIN_MS: "8000" } });
  haproxy = await startHaproxy(cluster.servers);
  const { port } = haproxy;
  expect((await fetch(`http://127.0.0.1:${port}/v1/peer`)).status).toBe(404);
  const session = async (): Promise<{ readonly client: WireClient; readonly node: string }> => {
    const client = await WireClient.connect(port, cluster!.operatorToken);
    return { client, node: (await client.until(() => client.of("welcome")[0], "WELCOME")).node };
  };
  const { answeredBy: drainingNode } = await cluster.nodes();
  const both = [await session(), await session()];
  const there = both.find(({ node }) => node === drainingNode);
  if (there === undefined) throw new Error("two sessions on one of two nodes");
  const stopping = cluster.server(0).stop();
  await there.client.until(() => there.client.of("goaway")[0], "GOAWAY");
  // At once, before a check has failed, and with fewer sessions over there.
  const others = await Promise.all(Array.from({ length: 10 }, session));
  expect(others.filter(({ node }) => node === drainingNode)).toEqual([]);
  await expect.poll(() => haproxy!.output).toMatch(/Server aegis\/node-1 is DOWN/);
  expect((await there.client.call("application.list", {})).error).toBeUndefined();
  there.client.socket.close(1000);
  expect(await stopping).toBe(0);
  for (const { client } of [...both, ...others]) client.socket.terminate();
});

test(
  "[F09] [G6] a rolling restart behind haproxy fails no call, costs little time, and every member agrees in the end",
  async () => {
    cluster = await ClusterProcess.start({ nodes: 3 });
    haproxy = await startHaproxy(cluster.servers);
    const [operator] = await clientsOf(haproxy.url, cluster.operatorToken, 1);
    const { key } = await operator!.application.create({ name: randomUUID() });
    const load = await MlsGroupLoad.start({
      clients: await clientsOf(haproxy.url, key.secret, 3),
      groups: 3,
      membersEach: 3,
      roundMs: 1_000,
    });
    const paced = await pacedCalls(await clientsOf(haproxy.url, key.secret, 6));
    const { port } = cluster.redis;
    const floor = new PacedCalls(callsPerSecond, (n) => redisCommand(port, ["SET", "floor", String(n)]));
    const taken = async () => ({ calls: await paced.taken(), floor: await floor.taken() });
    paced.start();
    floor.start();
    await delay(1_000);
    await taken();
    await delay(baselineMs);
    const before = await taken();
    const restarting = performance.now();
    for (let n = 0; n < rounds * cluster.servers.length; n += 1) {
      const server = cluster.server(n % cluster.servers.length);
      expect(await server.stop()).toBe(0);
      await server.restart();
      await expect.poll(() => cluster!.nodes(server.adminUrl)).toMatchObject({ nodes: { length: 3 }, unowned: 0 });
    }
    const restartMs = performance.now() - restarting;
    const during = await taken();
    paced.stop();
    floor.stop();
    await taken();
    await load.finish();
    const slowing = Math.max(1, during.floor.p99 / before.floor.p99);
    console.log(
      `before: ${said(before.calls)}; a plain write to Redis: ${said(before.floor)}\n` +
        `during ${rounds * 3} restarts (${restartMs.toFixed(0)} ms): ${said(during.calls)}; ${said(during.floor)}\n` +
        `p99 added: ${(during.calls.p99 - before.calls.p99).toFixed(0)} ms, where a plain write to Redis takes ` +
        `${slowing.toFixed(1)} times as long; ${load.commits} commits, ${load.texts} texts`,
    );
    expect(paced.failures).toEqual([]);
    expect(load.commits).toBeGreaterThan(rounds * 3);
    expect(during.calls.p99).toBeLessThan(before.calls.p99 * slowing * slowingMax + p99AddedMs);
  },
  60_000 + rounds * 60_000,
);
