// Random faults under a recorded load, one after the other, for as long as one likes: nodes killed, frozen, cut off,
// slowed down, restarted in turn, Redis killed. Throws when a judge finds a flaw or the cluster does not heal.
import { setTimeout as delay } from "node:timers/promises";
import { ClusterUnderLoad } from "./cluster-under-load.ts";

export interface SoakOptions {
  readonly durationMs: number;
  readonly seed: number;
  readonly random: () => number;
  readonly workers: number;
  readonly sessions: number;
  /** Between two faults, at most. */
  readonly calmMsMax: number;
  /** Said as it happens. */
  log(line: string): void;
}

export interface SoakReport {
  readonly seed: number;
  readonly seconds: number;
  readonly answered: number;
  readonly retryable: number;
  readonly unknown: number;
  /** By fault: how long each took to heal, milliseconds. */
  readonly healMs: ReadonlyMap<string, readonly number[]>;
}

const CALM_MS_MIN = 500;
/** For so long, at most, a node stands still or is cut off: beyond the time at which it is expelled. */
const AWAY_MS_MAX = 9_000;
const SLOW_MS = 2_500;

/** @returns how long it took until every shard was owned by a node that could be reached */
type Fault = (world: ClusterUnderLoad, victim: number, random: () => number) => Promise<number>;

const faults: Readonly<Record<string, Fault>> = {
  "a node killed": async (world, victim) => {
    const server = world.cluster.server(victim);
    await server.kill9();
    const healMs = await world.healedWithout(victim);
    await server.restart();
    return healMs;
  },
  "a node frozen": async (world, victim, random) => {
    const server = world.cluster.server(victim);
    return away(
      world,
      victim,
      random,
      () => server.pause(),
      () => server.resume(),
    );
  },
  "a node cut from Redis": async (world, victim, random) => {
    const { store } = world.cluster.cuts(victim);
    return away(
      world,
      victim,
      random,
      () => store.hold(["toServer", "toClient"]),
      () => store.pass(),
    );
  },
  "a node cut from the others": async (world, victim) => {
    world.cluster.cutFromPeers(victim);
    await delay(SLOW_MS);
    const since = performance.now();
    world.cluster.heal();
    await world.whole();
    return performance.now() - since;
  },
  "answers of Redis held back": async (world, victim) => {
    world.cluster.cuts(victim).store.hold(["toClient"]);
    return passing(world);
  },
  "500 ms latency of a node": async (world, victim) => {
    const { store, peers } = world.cluster.cuts(victim);
    for (const proxy of [store, peers]) proxy.slow(250);
    return passing(world);
  },
  "connections of a node reset": async (world, victim) => {
    const { store, peers } = world.cluster.cuts(victim);
    for (const proxy of [store, peers]) proxy.reset();
    return passing(world, 0);
  },
  "Redis killed and started again": async (world, _victim, random) => {
    const { redis } = world.cluster;
    await redis.kill9();
    await delay(random() * 1_000);
    await redis.restart();
    return passing(world, 0);
  },
  "every node restarted in turn": async (world) => {
    const since = performance.now();
    for (const server of world.cluster.servers) {
      await server.stop();
      await server.restart();
    }
    await world.whole();
    return performance.now() - since;
  },
};

async function away(
  world: ClusterUnderLoad,
  victim: number,
  random: () => number,
  begin: () => void,
  end: () => void,
): Promise<number> {
  const since = performance.now();
  begin();
  const healMs = await world.healedWithout(victim, since);
  await delay(random() * Math.max(AWAY_MS_MAX - healMs, 0));
  end();
  return healMs;
}

async function passing(world: ClusterUnderLoad, slowMs = SLOW_MS): Promise<number> {
  await delay(slowMs);
  const since = performance.now();
  world.cluster.heal();
  await world.whole();
  await world.goesOn(1);
  return performance.now() - since;
}

/** @throws FlawedHistory, or Error where it does not heal */
export async function soak({ durationMs, seed, random, calmMsMax, log, ...load }: SoakOptions): Promise<SoakReport> {
  const world = await ClusterUnderLoad.start({ cuttable: true }, { random, ...load });
  const healMs = new Map<string, number[]>();
  try {
    const began = performance.now();
    const names = Object.keys(faults);
    let order: string[] = [];
    while (performance.now() - began < durationMs) {
      await delay(CALM_MS_MIN + random() * (calmMsMax - CALM_MS_MIN));
      // Each once before any comes again.
      if (order.length === 0) order = shuffled(names, random);
      const name = order.pop() ?? "";
      const tookMs = await (faults[name] as Fault)(world, Math.floor(random() * 3), random);
      healMs.set(name, [...(healMs.get(name) ?? []), tookMs]);
      await world.whole();
      await world.goesOn();
      const { answered } = world.load;
      log(`${((performance.now() - began) / 1000).toFixed(0)} s, ${answered} calls: ${name}, ${tookMs.toFixed(0)} ms`);
    }
    const seconds = (performance.now() - began) / 1000;
    const { answered } = world.load;
    await world.finish();
    const { retryable, unknown } = world.load.givenUp;
    return { seed, seconds, answered, retryable, unknown, healMs };
  } finally {
    await world.dispose();
  }
}

function shuffled(names: readonly string[], random: () => number): string[] {
  return names
    .map((name) => ({ name, at: random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ name }) => name);
}
