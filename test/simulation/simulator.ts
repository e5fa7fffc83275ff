// One process's worth of simulated machines under one queue of events: each event belongs to one machine and runs,
// with all its microtasks, to its end before the next. One seed gives one run.
import { createHash, type Hash } from "node:crypto";
import { randomFrom } from "../support/seed.ts";
import { EventQueue, type Planned } from "./event-queue.ts";
import type { Machine } from "./machine.ts";

/** Timers run before or after what has arrived when a frozen machine wakes. */
export type EventKind = "timer" | "arrival";

export interface SimEvent extends Planned {
  readonly machine: Machine;
  readonly kind: EventKind;
  readonly label: string;
  readonly run: () => unknown;
  cancelled: boolean;
}

/** Events without progress of time: something waits for itself. */
const EVENTS_AT_ONCE_MAX = 200_000;

export class Simulator {
  readonly random: () => number;
  /** Unix milliseconds at which every run begins. */
  readonly epochMs: number;
  nowMs = 0;
  /** Whose event runs now. */
  current: Machine | undefined;
  eventsRun = 0;
  /** What went wrong inside an event, as it was thrown. */
  readonly failures: unknown[] = [];
  readonly #queue = new EventQueue<SimEvent>();
  readonly #digest: Hash = createHash("sha256");
  readonly #trace: ((line: string) => void) | undefined;
  #order = 0;
  #sameTime = 0;

  constructor(seed: number, epochMs: number, trace?: (line: string) => void) {
    this.random = randomFrom(seed);
    this.epochMs = epochMs;
    this.#trace = trace;
  }

  /** A number in [from, to). */
  between(from: number, to: number): number {
    return from + this.random() * (to - from);
  }

  chance(probability: number): boolean {
    return this.random() < probability;
  }

  pick<T>(items: readonly T[]): T {
    return items[Math.floor(this.random() * items.length)] as T;
  }

  plan(machine: Machine, atMs: number, kind: EventKind, label: string, run: () => unknown): SimEvent {
    const planned = { machine, atMs: Math.max(atMs, this.nowMs), kind, label, run, cancelled: false };
    const event: SimEvent = { ...planned, order: (this.#order += 1) };
    this.#queue.push(event);
    return event;
  }

  /** Puts back what came while its machine was frozen. */
  replan(event: SimEvent): SimEvent {
    return this.plan(event.machine, this.nowMs, event.kind, event.label, event.run);
  }

  note(line: string): void {
    this.#trace?.(`${this.nowMs.toFixed(2).padStart(10)} ${line}`);
  }

  get tracing(): boolean {
    return this.#trace !== undefined;
  }

  /** Equal for equal runs. */
  digest(): string {
    return this.#digest.copy().digest("hex");
  }

  /** Runs until the time given, or until `done`. */
  async runUntil(untilMs: number, done: () => boolean = () => false): Promise<void> {
    for (;;) {
      const next = this.#queue.peek();
      if (next === undefined || next.atMs > untilMs || done()) break;
      this.#queue.pop();
      await this.#run(next);
    }
    if (!done()) this.nowMs = Math.max(this.nowMs, untilMs);
  }

  async #run(event: SimEvent): Promise<void> {
    const { machine } = event;
    if (event.cancelled || machine.state === "dead") return;
    this.#sameTime = event.atMs > this.nowMs ? 0 : this.#sameTime + 1;
    if (this.#sameTime > EVENTS_AT_ONCE_MAX) throw new Error(`time stands still at ${this.nowMs} (${event.label})`);
    this.nowMs = event.atMs;
    if (machine.state === "frozen") {
      machine.waiting.push(event);
      return;
    }
    this.eventsRun += 1;
    this.#digest.update(`${this.nowMs.toFixed(3)} ${machine.name} ${event.label}\n`);
    if (this.tracing && event.kind === "arrival") this.note(`${machine.name}: ${event.label}`);
    this.current = machine;
    const failed = (error: unknown): void => void this.failures.push(error);
    try {
      const result = event.run();
      // It may wait for other events: only its end is of interest.
      if (result instanceof Promise) result.catch(failed);
    } catch (error) {
      failed(error);
    }
    await quiet();
    this.current = undefined;
  }
}

/** Resolves once no microtask is left: Node runs a tick's callback only when the queue is dry. */
function quiet(): Promise<void> {
  return new Promise((resolve) => {
    process.nextTick(resolve);
  });
}
