// One machine's way to the simulated store: requests take time, get lost, are executed without an answer, or long
// after their sender has given up. What the store holds is only ever changed by what it was asked (sim-store.ts).
import { StoreUnavailable, type Store, type TagWrite } from "../../src/store/store.ts";
import type { Machine } from "./machine.ts";
import { tagWritesOf, type SimStore } from "./sim-store.ts";
import type { SimTags } from "./sim-tags.ts";

/** What the way to the store is like, for everybody or for one machine. */
export interface StoreWeather {
  latencyMs: readonly [number, number];
  /** Shares of requests: never arrived, executed unheard, executed late and unheard, executed twice. */
  lost: number;
  unheard: number;
  late: number;
  doubled: number;
  /** Until then nothing gets through; `refused`: the sender learns it at once, else it waits in vain. */
  cutUntilMs: number;
  cutRefused: boolean;
  /** Until then the store executes nothing; what has arrived waits. */
  pausedUntilMs: number;
}

/** Between any two machines, the store's among them. */
export const FAIR_LATENCY_MS = [0.2, 1.5] as const;

export function fairWeather(): StoreWeather {
  return {
    latencyMs: FAIR_LATENCY_MS,
    lost: 0,
    unheard: 0,
    late: 0,
    doubled: 0,
    cutUntilMs: 0,
    cutRefused: true,
    pausedUntilMs: 0,
  };
}

export interface StoreViewOptions {
  readonly store: SimStore;
  readonly tags: SimTags;
  /** Where the store runs. */
  readonly host: Machine;
  readonly machine: Machine;
  readonly weather: StoreWeather;
  readonly timeoutMs: number;
}

type Fate = "heard" | "lost" | "unheard" | "late" | "doubled";
type Method = {
  readonly [N in keyof Store]: Store[N] extends (...args: never[]) => Promise<unknown> ? N : never;
}[keyof Store];

const LATE_MS_MAX = 12_000;
const DOUBLE_MS_MAX = 100;
const CALLS: readonly Method[] = [
  "time",
  "readOwner",
  "claim",
  "renewLineage",
  "check",
  "commit",
  "load",
  "readMarksFenced",
  "readOutbox",
  "readTimers",
  "readSnapshots",
  "readParts",
  "listParts",
  "readMarks",
  "readStream",
  "readStreamHead",
  "readTag",
  "countTag",
  "purgeApplication",
  "heartbeat",
  "readNodes",
  "removeNode",
  "healthy",
];

export function storeView(options: StoreViewOptions): Store {
  const { store, tags } = options;
  const view: Record<string, unknown> = {
    shardCount: store.shardCount,
    deploymentId: store.deploymentId,
    close: () => Promise.resolve(),
    // As Redis does it: a command for each tag.
    writeTags: async (write: TagWrite) => {
      const { applicationId, clientId } = write;
      const writes = tagWritesOf(write).map(({ tag, entry }) =>
        request(options, `tag ${tag}`, async () => tags.write(applicationId, tag, clientId, entry)),
      );
      await Promise.all(writes);
    },
  };
  for (const name of CALLS) {
    const method = store[name] as (...args: unknown[]) => Promise<unknown>;
    view[name] = (...args: unknown[]) => request(options, name, () => method.apply(store, args));
  }
  return view as unknown as Store;
}

function request<T>(options: StoreViewOptions, name: string, execute: () => Promise<T>): Promise<T> {
  const { machine, host, weather, timeoutMs } = options;
  const { simulator } = machine;
  const latency = (): number => simulator.between(...(weather.latencyMs as [number, number]));
  return new Promise((resolve, reject) => {
    let answered = false;
    const answer = (label: string, afterMs: number, settle: () => void): void => {
      simulator.plan(machine, simulator.nowMs + afterMs, "arrival", `store: ${name} ${label}`, () => {
        if (answered) return;
        answered = true;
        alarm.cancelled = true;
        settle();
      });
    };
    const fail =
      (why: string): (() => void) =>
      () =>
        reject(new StoreUnavailable(`simulated: ${why}`));
    const alarm = machine.after(timeoutMs, "timer", `store: ${name} timeout`, () => {
      answered = true;
      fail("no answer in time")();
    });
    const run = (atMs: number, heard: boolean): void => {
      simulator.plan(host, Math.max(atMs, weather.pausedUntilMs), "arrival", `${name} of ${machine.name}`, async () => {
        if (weather.pausedUntilMs > simulator.nowMs) return run(weather.pausedUntilMs, heard);
        const isCut = weather.cutUntilMs > simulator.nowMs;
        await execute().then(
          (value) => heard && !isCut && answer("answered", latency(), () => resolve(value)),
          (error: unknown) =>
            heard &&
            !isCut &&
            answer("answered", latency(), () => reject(error instanceof Error ? error : new Error(String(error)))),
        );
      });
    };
    const fate = fateOf(simulator.random(), weather);
    const arriveMs = simulator.nowMs + latency();
    if (weather.cutUntilMs > simulator.nowMs) {
      if (weather.cutRefused) answer("refused", latency(), fail("refused"));
      // What the network still held goes on when it is well again, if the connection lived.
      else if (simulator.chance(0.3)) run(weather.cutUntilMs + latency(), false);
      return;
    }
    if (fate === "lost") answer("lost", latency(), fail("lost on its way"));
    else if (fate === "unheard") {
      run(arriveMs, false);
      answer("unheard", latency() * 2, fail("lost on its way back"));
    } else if (fate === "late") {
      run(simulator.nowMs + simulator.between(1, LATE_MS_MAX), false);
      answer("gone", latency(), fail("the connection ended"));
    } else {
      run(arriveMs, true);
      if (fate === "doubled") run(arriveMs + simulator.between(0, DOUBLE_MS_MAX), false);
    }
  });
}

function fateOf(drawn: number, { lost, unheard, late, doubled }: StoreWeather): Fate {
  if (drawn < lost) return "lost";
  if (drawn < lost + unheard) return "unheard";
  if (drawn < lost + unheard + late) return "late";
  return drawn < lost + unheard + late + doubled ? "doubled" : "heard";
}
