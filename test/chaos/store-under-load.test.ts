// Two real nodes on one Redis under a recorded load while Redis itself goes wrong: it takes no writes now and then,
// forgets its scripts, and at last everything. A judge looks at every history.
import { mkdir } from "node:fs/promises";
import path from "node:path";
import { setImmediate as turn, setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { connect, type AegisClient } from "../../src/client/client.ts";
import { RedisKeys } from "../../src/store/redis/keys.ts";
import { ClusterUnderLoad } from "../support/cluster-under-load.ts";
import { FlawedHistory } from "../support/history.ts";
import { LoadFollower } from "../support/load-follower.ts";
import { lostGroupFlaws, lostPoolFlaws, type Loss } from "../support/lost-history.ts";
import { RecordedGroup } from "../support/recorded-group.ts";
import { RecordedLoad } from "../support/recorded-load.ts";
import { RecordedPool } from "../support/recorded-pool.ts";
import { redisCommand } from "../support/redis-server.ts";
import { randomFrom, seedOf } from "../support/seed.ts";

/** Times that Redis takes no writes for a moment: some batches of a pipeline are refused, and others are not. */
const flaps = 8;
/** And once for longer: below the silence after which a node stops by itself. */
const refusingMs = 1_000;
/** Of its scripts, a few milliseconds apart. */
const flushes = 300;

/** Calls answered before everything is lost: the search for an order of each actor's stays short. */
const answeredBefore = 150;
const shards = 256;

const random = randomFrom(seedOf("store-under-load"));
let world: ClusterUnderLoad;

beforeAll(async () => {
  world = await ClusterUnderLoad.start({ nodes: 2 }, { random, workers: 24 });
}, 60_000);

afterAll(() => world.dispose());

async function redis(...words: string[]): Promise<string> {
  return await redisCommand(world.cluster.redis.port, words);
}

/** Of a counter on all nodes. */
async function total(metric: string): Promise<number> {
  const values = await Promise.all(world.cluster.servers.map((server) => server.metric(metric)));
  return values.reduce((sum, value) => sum + value, 0);
}

/** Shards that were lost to such an answer of Redis, as the nodes tell it. */
function shardsRefused(code: string): Set<string | undefined> {
  const output = world.cluster.servers.map((server) => server.output).join("");
  const lines = output.split("\n").filter((line) => line.includes(`refused with ${code}`));
  return new Set(lines.map((line) => /"shard":(\d+)/.exec(line)?.[1]));
}

/** What a full disk does, without one: a snapshot can't take its place, because a folder stands there. */
async function failSnapshots(): Promise<void> {
  await redis("CONFIG", "SET", "stop-writes-on-bgsave-error", "no");
  await mkdir(path.join(world.cluster.redis.dir, "dump.rdb"));
  await redis("CONFIG", "SET", "save", "3600 1000000");
  await redis("BGSAVE");
  await expect.poll(() => redis("INFO", "persistence")).toContain("rdb_last_bgsave_status:err");
}

test.each([
  ["OOM", "maxmemory", "1", "0"],
  ["NOREPLICAS", "min-replicas-to-write", "1", "0"],
  ["MISCONF", "stop-writes-on-bgsave-error", "yes", "no"],
] as const)(
  "[F14] [G3] [G6] %s on batches of many shards, now and then: each is refused by itself, claimed anew, and goes on",
  async (code, setting, on, off) => {
    await world.whole();
    if (code === "MISCONF") await failSnapshots();
    const lost = await total("aegis_shards_lost_total");
    for (let n = 0; n <= flaps; n += 1) {
      await redis("CONFIG", "SET", setting, on);
      await delay(n < flaps ? 5 + random() * 40 : refusingMs);
      await redis("CONFIG", "SET", setting, off);
      await delay(random() * 100);
    }
    await world.goesOn();
    await world.whole();
    console.log(`${code}: shards lost ${(await total("aegis_shards_lost_total")) - lost} times`);
    expect(shardsRefused(code).size).toBeGreaterThan(1);
    expect(await total("aegis_lineages_changed_total")).toBe(0);
    for (const server of world.cluster.servers) expect(server.comebacks).toBe(0);
  },
);

test("[F15] [G3] SCRIPT FLUSH, again and again: scripts are loaded again, and no shard is lost for it", async () => {
  const lost = await total("aegis_shards_lost_total");
  for (let n = 0; n < flushes; n += 1) {
    await redis("SCRIPT", "FLUSH");
    await delay(2);
  }
  await world.goesOn();
  expect(await total("aegis_shards_lost_total")).toBe(lost);
});

test("[F14] [F15] [G1] [G2] [G3] [G4] [G5] the judge finds no flaw in what all this left behind", async () => {
  console.log(await world.finish());
});

test("[F16] [G1] [G2] [G4] FLUSHALL under load: nothing is answered out of what is lost, nor minted over it, and all are told", async () => {
  const { url, operatorToken, servers } = world.cluster;
  await world.load.stop();
  await world.whole();
  const operator = await connect({ url, token: operatorToken });
  const settings = { claimsPerHour: 1_000_000 };
  const { key } = await operator.application.create({ name: "lost", settings });
  const clients = await Promise.all(servers.map((server) => connect({ url: server.url, token: key.secret })));
  const follower = new LoadFollower(clients[1] as AegisClient);
  const groups = await Promise.all(
    Array.from({ length: 6 }, () => RecordedGroup.create(clients[0] as AegisClient, follower)),
  );
  const pools = await Promise.all(clients.map((client) => RecordedPool.create(client)));
  const owned = await ownerRecords();
  const lineages = await total("aegis_lineages_changed_total");

  const loss = await loseAllUnderLoad(clients, [...groups, ...pools]);
  for (const { history, seen } of groups) {
    const { operations } = history;
    const flaws = lostGroupFlaws(operations, seen, loss);
    if (flaws.length > 0) throw new FlawedHistory(history.actor, flaws, { loss, operations, seen });
  }
  for (const { history } of pools) {
    const { operations } = history;
    const flaws = lostPoolFlaws(operations, loss);
    if (flaws.length > 0) throw new FlawedHistory(history.actor, flaws, { loss, operations });
  }

  await world.whole();
  const now = await ownerRecords();
  for (const [shard, { fence, lineage }] of owned.entries()) {
    expect(now[shard]?.fence).toBeGreaterThan(fence);
    expect(now[shard]?.lineage).not.toBe(lineage);
  }
  const changed = async (): Promise<number> => (await total("aegis_lineages_changed_total")) - lineages;
  await expect.poll(changed).toBeGreaterThanOrEqual(shards);
  for (const server of servers) {
    expect(server.output).toContain("stored history was lost");
    const readiness = async (): Promise<string> => (await fetch(`${server.adminUrl}/readyz`)).text();
    await expect.poll(readiness).toContain("history lost");
  }
  await expect.poll(() => follower.failure).toBeDefined();
  console.log(`the subscriber heard: ${String(follower.failure)}`);
  await Promise.all([operator, ...clients].map((client) => client.close()));

  // An empty deployment, as good as a new one.
  const load = await RecordedLoad.start({ url, operatorToken, random });
  await expect.poll(() => load.failure !== undefined || load.answered >= 200).toBe(true);
  await load.stop();
  await load.check();
  await load.close();
});

/** Calls go on before, during and after it. @returns when it was */
async function loseAllUnderLoad(
  clients: readonly AegisClient[],
  actors: readonly (RecordedGroup | RecordedPool)[],
): Promise<Loss> {
  let answered = 0;
  let stopped = false;
  const workers = Array.from({ length: 12 }, async (_, worker) => {
    const client = clients[worker % clients.length] as AegisClient;
    for (let round = worker; !stopped; round += 1) {
      const actor = actors[round % actors.length] as RecordedGroup | RecordedPool;
      await actor.step({ client, worker, ttlMs: 2_000, choice: random() });
      answered += 1;
      // A session whose key was lost answers out of itself: without a turn of its own the loop would starve the poll.
      await turn();
    }
  });
  await expect.poll(() => answered, { interval: 5 }).toBeGreaterThan(answeredBefore);
  const beginMs = performance.now();
  await redis("FLUSHALL");
  const endMs = performance.now();
  const goal = answered + 3 * workers.length;
  await expect.poll(() => answered, { interval: 5 }).toBeGreaterThan(goal);
  stopped = true;
  await Promise.all(workers);
  return { beginMs, endMs };
}

async function ownerRecords(): Promise<{ readonly fence: number; readonly lineage: string }[]> {
  const keys = new RedisKeys("aegis");
  const field = async (shard: number, name: string): Promise<string> =>
    (await redis("HGET", keys.own(shard), name)).split("\r\n")[1] ?? "";
  return await Promise.all(
    Array.from({ length: shards }, async (_, shard) => ({
      fence: Number(await field(shard, "fence")),
      lineage: await field(shard, "lineage"),
    })),
  );
}
