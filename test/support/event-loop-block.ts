// For how long some work keeps everybody else from the event loop at a stretch.
import { monitorEventLoopDelay } from "node:perf_hooks";
import { setImmediate as nextTurn } from "node:timers/promises";
import { collectGarbage } from "./group-memory.ts";

export interface Blocking {
  /** The longest stretch, milliseconds. */
  readonly blockMs: number;
  /** Processor time of all threads. */
  readonly cpuMillis: number;
}

export async function blocking(work: () => Promise<unknown>): Promise<Blocking> {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  collectGarbage();
  await nextTurn();
  delay.enable();
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  await nextTurn();
  delay.disable();
  return { blockMs: delay.max / 1e6, cpuMillis: (user + system) / 1000 };
}

const IDLE_MS = 300;

/** For comparison: what the machine alone does to a process that waits. */
export function idling(): Promise<Blocking> {
  return blocking(() => new Promise((resolve) => setTimeout(resolve, IDLE_MS)));
}

/** Of several runs the shortest longest stretch: a busy machine adds its own. */
export async function quietest(runs: readonly (() => Promise<unknown>)[]): Promise<Blocking> {
  const found: Blocking[] = [];
  for (const run of runs) found.push(await blocking(run));
  return {
    blockMs: Math.min(...found.map(({ blockMs }) => blockMs)),
    cpuMillis: Math.min(...found.map(({ cpuMillis }) => cpuMillis)),
  };
}
