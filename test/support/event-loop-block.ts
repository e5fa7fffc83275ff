// For how long some work keeps everybody else from the event loop at a stretch: as the clock has it, and in processor
// time of the thread, which does not count when a busy machine lets others run.
import { readFileSync } from "node:fs";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { setImmediate as nextTurn } from "node:timers/promises";
import { collectGarbage } from "./group-memory.ts";

export interface Blocking {
  /** The longest stretch, milliseconds. */
  readonly blockMs: number;
  /** The most processor time between two looks from the event loop (of several short turns together), milliseconds. */
  readonly blockCpuMs: number;
  /** Processor time of all threads, milliseconds. */
  readonly cpuMillis: number;
}

export async function blocking(work: () => Promise<unknown>): Promise<Blocking> {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  collectGarbage();
  await nextTurn();
  delay.enable();
  const turns = new TurnWatch();
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  const blockCpuMs = turns.stop();
  await nextTurn();
  delay.disable();
  return { blockMs: delay.max / 1e6, blockCpuMs, cpuMillis: (user + system) / 1000 };
}

/** Of several runs the shortest longest stretch: a busy machine adds its own. */
export async function quietest(runs: readonly (() => Promise<unknown>)[]): Promise<Blocking> {
  const found: Blocking[] = [];
  for (const run of runs) found.push(await blocking(run));
  const least = (figure: keyof Blocking): number => Math.min(...found.map((each) => each[figure]));
  return { blockMs: least("blockMs"), blockCpuMs: least("blockCpuMs"), cpuMillis: least("cpuMillis") };
}

/** A thread that waits for others costs next to nothing between two looks. */
const LOOK_EVERY_MS = 1;

/** Looks at the thread's processor time between turns of the event loop, without keeping it turning. */
class TurnWatch {
  #before = threadCpuMs();
  #most = 0;
  readonly #looks = setInterval(() => {
    this.#look();
  }, LOOK_EVERY_MS);

  stop(): number {
    clearInterval(this.#looks);
    this.#look();
    return this.#most;
  }

  #look(): void {
    const now = threadCpuMs();
    this.#most = Math.max(this.#most, now - this.#before);
    this.#before = now;
  }
}

/** Of the calling thread, as Linux counts it. */
function threadCpuMs(): number {
  return Number(readFileSync("/proc/thread-self/schedstat", "latin1").split(" ")[0]) / 1e6;
}
