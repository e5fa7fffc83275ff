// One simulated machine with one process on it: its clocks, and whether it runs, is frozen, or is dead. What belongs
// to a dead machine never runs again.
import type { EventKind, SimEvent, Simulator } from "./simulator.ts";

export class Machine {
  readonly name: string;
  readonly simulator: Simulator;
  state: "running" | "frozen" | "dead" = "running";
  /** How far its wall clock is off, milliseconds. */
  wallOffsetMs = 0;
  /** Milliseconds of its monotonic clock in one true millisecond. */
  readonly rate: number;
  /** What came while it was frozen. */
  readonly waiting: SimEvent[] = [];
  /** Time that it has spent frozen since it began. */
  frozenMs = 0;
  readonly #bornMs: number;
  readonly #originMs: number;
  #frozenAtMs = 0;
  readonly #deathWatches: (() => void)[] = [];

  constructor(simulator: Simulator, name: string, rate = 1) {
    this.simulator = simulator;
    this.name = name;
    this.rate = rate;
    this.#bornMs = simulator.nowMs;
    // No two processes begin to count at the same number.
    this.#originMs = simulator.between(10, 100_000);
  }

  /** `performance.now()` of its process. */
  monotonicMs(): number {
    return this.#originMs + (this.simulator.nowMs - this.#bornMs) * this.rate;
  }

  /** `Date.now()` of its process. */
  wallMs(): number {
    return Math.floor(this.simulator.epochMs + this.simulator.nowMs + this.wallOffsetMs);
  }

  /** Asks something of its process now, by its own clocks. */
  inside<T>(look: () => T): T {
    const { simulator } = this;
    const before = simulator.current;
    simulator.current = this;
    try {
      return look();
    } finally {
      simulator.current = before;
    }
  }

  /** After so many milliseconds of its own clock. */
  after(ms: number, kind: EventKind, label: string, run: () => unknown): SimEvent {
    return this.simulator.plan(this, this.simulator.nowMs + ms / this.rate, kind, label, run);
  }

  /** As SIGSTOP, or a blocked event loop: nothing runs, and what comes waits. */
  freeze(): void {
    if (this.state !== "running") return;
    this.state = "frozen";
    this.#frozenAtMs = this.simulator.nowMs;
    this.simulator.note(`${this.name} FREEZES`);
  }

  /** Everything that is due runs at once: timers first, or what has arrived first. */
  thaw(): void {
    if (this.state !== "frozen") return;
    this.state = "running";
    this.frozenMs += this.simulator.nowMs - this.#frozenAtMs;
    this.simulator.note(`${this.name} WAKES`);
    const first: EventKind = this.simulator.chance(0.5) ? "timer" : "arrival";
    const events = this.waiting.splice(0).filter(({ cancelled }) => !cancelled);
    for (const event of events) if (event.kind === first) this.#again(event);
    for (const event of events) if (event.kind !== first) this.#again(event);
  }

  /** As kill -9. */
  kill(): void {
    if (this.state === "dead") return;
    this.state = "dead";
    this.waiting.length = 0;
    this.simulator.note(`${this.name} DIES`);
    for (const watch of this.#deathWatches.splice(0)) watch();
  }

  onDeath(watch: () => void): void {
    this.#deathWatches.push(watch);
  }

  #again(event: SimEvent): void {
    // The timer's owner may clear it before its turn comes.
    const planned = this.simulator.replan(event);
    Object.defineProperty(event, "cancelled", {
      set: (value: boolean) => (planned.cancelled = value),
      get: () => planned.cancelled,
    });
  }
}
