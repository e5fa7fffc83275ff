// One process's worth of simulated machines under one queue of events: each event belongs to one machine and runs,
// with all its microtasks, to its end before the next. One seed gives one run.
import { randomFrom } from "../support/seed.ts";
import { EventQueue, type Planned } from "./event-queue.ts";
import type { Machine } from "./machine.ts";
import { RunDigest } from "./run-digest.ts";

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
  readonly #digest = new RunDigest();
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
    const order = (this.#order += 1);
    const isNow = atMs <= this.nowMs;
    const event: SimEvent = { machine, atMs: isNow ? this.nowMs : atMs, kind, label, run, cancelled: false, order };
    if (isNow) this.#queue.pushNext(event);
    else this.#queue.push(event);
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
    return this.#digest.text();
  }

  /** Runs until the time given, or until `done`. */
  runUntil(untilMs: number, done: () => boolean = () => false): Promise<void> {
    return new Promise((resolve, reject) => {
      // Node runs a tick's callback only when no microtask is left: the event before has come to its end. The next one
      // runs in a microtask again, for between two callbacks of ticks microtasks wait.
      const settled = Promise.resolve();
      const next = (): void => void settled.then(turn);
      const turn = (): void => {
        this.current = undefined;
        try {
          if (this.#beginNext(untilMs, done)) process.nextTick(next);
          else resolve();
        } catch (error) {
          reject(error instanceof Error ? error : new Error(String(error)));
        }
      };
      turn();
    });
  }

  /** Begins the next event; false: there is none until then. */
  #beginNext(untilMs: number, done: () => boolean): boolean {
    for (;;) {
      const isDone = done();
      const next = isDone ? undefined : this.#queue.peek();
      if (next === undefined || next.atMs > untilMs) {
        if (!isDone) this.nowMs = Math.max(this.nowMs, untilMs);
        return false;
      }
      this.#queue.pop();
      if (this.#begins(next)) {
        this.#begin(next);
        return true;
      }
    }
  }

  /** False: nothing runs, now or ever. */
  #begins(event: SimEvent): boolean {
    const { machine } = event;
    if (event.cancelled || machine.state === "dead") return false;
    this.#sameTime = event.atMs > this.nowMs ? 0 : this.#sameTime + 1;
    if (this.#sameTime > EVENTS_AT_ONCE_MAX) throw new Error(`time stands still at ${this.nowMs} (${event.label})`);
    this.nowMs = event.atMs;
    if (machine.state === "frozen") machine.waiting.push(event);
    return machine.state === "running";
  }

  #begin(event: SimEvent): void {
    const { machine } = event;
    this.eventsRun += 1;
    this.#digest.add(this.nowMs, machine.name, event.label);
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
  }
}
