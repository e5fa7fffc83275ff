// Two nodes on a Redis Cluster under a recorded load, while primaries hand over to their replicas as for maintenance and
// slots move from one to another: no answer may contradict another, and nothing is lost, doubled or reordered.
import { randomBytes } from "node:crypto";
import { afterEach, expect, test } from "vitest";
import { SERVER_SETTINGS } from "../../src/config.ts";
import { slotOf } from "../../src/store/redis/cluster-slots.ts";
import { RedisKeys } from "../../src/store/redis/keys.ts";
import { Balancer } from "../support/balancer.ts";
import { RecordedLoad } from "../support/recorded-load.ts";
import { RedisClusterDeployment } from "../support/redis-cluster.ts";
import { randomFrom, seedOf } from "../support/seed.ts";
import { ServerProcess } from "../support/server-process.ts";

const rounds = Number(process.env["AEGIS_CHAOS_ROUNDS"] ?? 1);
const PRIMARIES = 3;
/** Of the shards of one primary, how many move in a round. */
const MOVED = 4;

const cleanups: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function start(random: () => number) {
  const deployment = await RedisClusterDeployment.start({ replicas: true });
  cleanups.push(() => deployment.stop());
  const env = {
    AEGIS_OPERATOR_KEY: `aegis_operator_${randomBytes(32).toString("hex")}`,
    AEGIS_SECRET: randomBytes(32).toString("hex"),
  };
  const servers: ServerProcess[] = [];
  for (let n = 0; n < 2; n += 1) {
    const server = await ServerProcess.start({ redisUrl: deployment.url, env });
    cleanups.push(() => server.dispose());
    servers.push(server);
  }
  const balancer = await Balancer.start(servers.map(({ port }) => port));
  cleanups.push(() => balancer.stop());
  const operatorToken = env.AEGIS_OPERATOR_KEY;
  const load = await RecordedLoad.start({ url: balancer.url, operatorToken, random });
  return { deployment, load, servers };
}

function slotsOn(deployment: RedisClusterDeployment, primary: number): number[] {
  const keys = new RedisKeys("aegis");
  return Array.from({ length: SERVER_SETTINGS.shards.fallback }, (_, shard) => slotOf(keys.own(shard)))
    .filter((slot) => deployment.primaryOf(slot) === primary)
    .slice(0, MOVED);
}

test(
  `[G1] [G3] [G5] planned failovers and slots on their way, in turn (${rounds}), lose, double and reorder nothing`,
  async () => {
    const random = randomFrom(seedOf("redis-cluster-load"));
    const { deployment, load, servers } = await start(random);
    const goesOn = async (): Promise<void> => {
      const goal = load.answered + 200;
      await expect.poll(() => load.failure !== undefined || load.answered >= goal, { interval: 20 }).toBe(true);
    };
    await goesOn();
    for (let round = 0; round < rounds && load.failure === undefined; round += 1) {
      const n = Math.floor(random() * PRIMARIES);
      await deployment.handOver(n);
      await goesOn();
      await deployment.handBack(n);
      await goesOn();
      const to = (n + 1) % PRIMARIES;
      for (const slot of slotsOn(deployment, n)) await deployment.moveSlot(slot, n, to);
      await goesOn();
      for (const slot of slotsOn(deployment, n)) await deployment.moveSlot(slot, to, n);
      await goesOn();
    }
    await load.stop();
    await load.check();
    expect(load.unanswered).toBe(0);
    const lineages = await Promise.all(servers.map((server) => server.metric("aegis_lineages_changed_total")));
    expect(lineages).toEqual([0, 0]);
    console.log(`${load.answered} calls answered, ${load.givenUp.unknown} of unknown outcome`);
    await load.close();
  },
  60_000 + rounds * 60_000,
);
