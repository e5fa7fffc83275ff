// Redis itself dies, or stands still, under a mixed load: nothing acknowledged is lost, nothing is counted twice, no
// answer contradicts another, and the server serves again by itself.
import { afterEach, expect, test } from "vitest";
import { setTimeout as delay } from "node:timers/promises";
import { RecordedLoad } from "../support/recorded-load.ts";
import { startRedis, type RedisServer } from "../support/redis-server.ts";
import { randomFrom, seedOf } from "../support/seed.ts";
import { ServerProcess } from "../support/server-process.ts";

const rounds = Number(process.env["AEGIS_CHAOS_ROUNDS"] ?? 6);
const perRoundMs = 30_000;
interface World {
  readonly redis: RedisServer;
  readonly server: ServerProcess;
  readonly load: RecordedLoad;
}

/** Longer than the server waits for an answer of the store. */
const pauseMs = Number(process.env["AEGIS_PAUSED_MS"] ?? 6_000);

let redis: RedisServer | undefined;
let server: ServerProcess | undefined;

async function start(random: () => number): Promise<World> {
  redis = await startRedis({ appendfsync: "always" });
  server = await ServerProcess.start({ redisUrl: redis.url });
  const load = await RecordedLoad.start({ url: server.url, operatorToken: server.operatorToken, random, sessions: 1 });
  return { redis, server, load };
}

afterEach(async () => {
  await server?.dispose();
  await redis?.stop();
  server = undefined;
  redis = undefined;
});

async function ready({ server }: World): Promise<boolean> {
  return (await fetch(`${server.adminUrl}/readyz`)).ok;
}

/** Waits until calls are answered again; a load that found a fault ends the wait at once. */
async function servesAgain(world: World, before: number): Promise<void> {
  await expect
    .poll(() => world.load.failure !== undefined || world.load.answered > before, { timeout: perRoundMs, interval: 20 })
    .toBe(true);
  await expect.poll(() => ready(world), { timeout: perRoundMs, interval: 20 }).toBe(true);
}

async function judge({ load }: World, what: string): Promise<void> {
  await load.stop();
  await load.check();
  console.log(`${what}: ${String(load.answered)} calls answered, ${String(load.givenUp.unknown)} of unknown outcome`);
  expect(load.unanswered).toBe(0);
  await load.close();
}

test(
  `[F11] [G3] [G6] ${String(rounds)} kills of Redis under load lose nothing acknowledged and double nothing`,
  async () => {
    const random = randomFrom(seedOf("kill-redis"));
    const world = await start(random);
    const { redis, load } = world;
    let downMs = 0;
    for (let round = 0; round < rounds && load.failure === undefined; round += 1) {
      await delay(50 + random() * 500);
      await redis.kill9();
      await expect.poll(() => ready(world), { timeout: perRoundMs, interval: 20 }).toBe(false);
      await delay(random() * 300);
      const before = load.answered;
      await redis.restart();
      const since = performance.now();
      await servesAgain(world, before);
      downMs = Math.max(downMs, performance.now() - since);
    }
    await judge(
      world,
      `${String(rounds)} kills of redis, serving again ${downMs.toFixed(0)} ms after its return at the latest`,
    );
  },
  60_000 + rounds * perRoundMs,
);

test(
  "[F12] [G1] [G2] Redis stands still and then runs what it had buffered: fenced or counted once, never contradicted",
  async () => {
    const random = randomFrom(seedOf("pause-redis"));
    const world = await start(random);
    const { redis, load } = world;
    for (let round = 0; round < 2 && load.failure === undefined; round += 1) {
      await delay(200 + random() * 500);
      redis.pause();
      await delay(pauseMs);
      const before = load.answered;
      redis.resume();
      await servesAgain(world, before);
    }
    await judge(world, "2 pauses of redis");
  },
  60_000 + 3 * perRoundMs,
);
