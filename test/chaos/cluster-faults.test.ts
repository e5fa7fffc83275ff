// Three real nodes on one Redis behind a balancer, under a mixed load: nodes are killed, frozen and restarted in turn.
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, expect, test } from "vitest";
import { ClusterProcess } from "../support/cluster-process.ts";
import { DurableLoad } from "../support/durable-load.ts";
import { randomFrom, seedOf } from "../support/seed.ts";

const rounds = Number(process.env["AEGIS_CHAOS_ROUNDS"] ?? 4);
const frozenMs = Number(process.env["AEGIS_FROZEN_MS"] ?? 9_000);
const perRoundMs = 30_000;

let cluster: ClusterProcess | undefined;

afterEach(async () => {
  await cluster?.dispose();
  cluster = undefined;
});

async function underLoad(nodes = 3): Promise<{ readonly cluster: ClusterProcess; readonly load: DurableLoad }> {
  cluster = await ClusterProcess.start({ nodes });
  const load = await DurableLoad.start({ url: cluster.url, operatorToken: cluster.operatorToken, packages: 300 });
  return { cluster, load };
}

/** The load goes on: so many more calls were answered. */
async function goesOn(load: DurableLoad, calls = 200): Promise<void> {
  const before = load.answered;
  const answered = () => load.failure !== undefined || load.answered >= before + calls;
  await expect.poll(answered, { timeout: perRoundMs, interval: 20 }).toBe(true);
  if (load.failure !== undefined) throw load.failure;
}

async function finish(load: DurableLoad): Promise<void> {
  await load.stop();
  await load.check();
  expect(load.unanswered).toBe(0);
  await load.close();
}

/** Until the node answers as ready again. */
async function untilReady(url: string): Promise<void> {
  const ready = async () => (await fetch(`${url}/readyz`)).ok;
  await expect.poll(ready, { timeout: 20_000, interval: 50 }).toBe(true);
}

/** How long it takes until every shard is owned by one of these nodes. */
async function healed(cluster: ClusterProcess, without: number): Promise<number> {
  const began = performance.now();
  const others = cluster.servers.filter((_, n) => n !== without);
  for (const { adminUrl } of others) await gone(adminUrl);
  for (const { adminUrl } of others) {
    const unowned = async () => (await cluster.nodes(adminUrl)).unowned;
    await expect.poll(unowned, { timeout: 20_000, interval: 20 }).toBe(0);
  }
  return performance.now() - began;
}

/** The node has seen that a member is gone. */
async function gone(adminUrl: string): Promise<void> {
  const members = async () => /^aegis_members (\d+)$/m.exec(await (await fetch(`${adminUrl}/metrics`)).text())?.[1];
  await expect.poll(members, { timeout: 20_000, interval: 20 }).toBe("1");
}

test(
  `[F02] [F03] [G3] [G5] [G7] ${String(rounds)} times one of three nodes is killed: nothing is lost or doubled, and it heals`,
  async () => {
    const random = randomFrom(seedOf("cluster-kills"));
    const { cluster, load } = await underLoad();
    const healMs: number[] = [];
    for (let round = 0; round < rounds; round += 1) {
      await goesOn(load);
      await delay(random() * 300);
      const victim = Math.floor(random() * cluster.servers.length);
      await cluster.server(victim).kill9();
      healMs.push(await healed(cluster, victim));
      await goesOn(load);
      await cluster.server(victim).restart();
    }
    healMs.sort((a, b) => a - b);
    const said = healMs.map((ms) => ms.toFixed(0)).join(", ");
    console.log(`${String(rounds)} kills, ${String(load.answered)} calls answered; healed after ms: ${said}`);
    expect(healMs.at(-1)).toBeLessThan(10_000);
    await finish(load);
  },
  60_000 + rounds * perRoundMs,
);

test("[F01] [G1] [G4] [G7] a frozen node's shards move within 6 s, and it comes back as a new member", async () => {
  const { cluster, load } = await underLoad();
  await goesOn(load);
  cluster.server(1).pause();
  const healMs = await healed(cluster, 1);
  console.log(`frozen: its shards had moved after ${healMs.toFixed(0)} ms`);
  await goesOn(load);
  await delay(Math.max(frozenMs - healMs, 0));
  cluster.server(1).resume();
  await expect
    .poll(() => cluster.server(1).output, { timeout: 10_000 })
    .toMatch(/this node was expelled and comes back/);
  for (const { adminUrl } of cluster.servers) await untilReady(adminUrl);
  await goesOn(load);
  expect(healMs).toBeLessThan(10_000);
  await finish(load);
}, 120_000);

test("[F09] [G6] every node is restarted in turn under load and no call fails", async () => {
  const { cluster, load } = await underLoad();
  await goesOn(load);
  for (const server of cluster.servers) {
    expect(await server.stop()).toBe(0);
    await goesOn(load);
    await server.restart();
    await goesOn(load);
  }
  await finish(load);
}, 120_000);
