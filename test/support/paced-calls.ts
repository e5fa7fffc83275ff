// Calls that begin at fixed times, whatever becomes of those before them, so that a pause shows in the latency of every
// call that fell into it. What a call costs is counted from when it should have begun.

export interface Latencies {
  readonly calls: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

export class PacedCalls {
  readonly #call: (n: number) => Promise<unknown>;
  readonly #perSecond: number;
  readonly #pending = new Set<Promise<void>>();
  #latenciesMs: number[] = [];
  #begun = 0;
  #timer: NodeJS.Timeout | undefined;
  readonly failures: unknown[] = [];

  constructor(perSecond: number, call: (n: number) => Promise<unknown>) {
    this.#perSecond = perSecond;
    this.#call = call;
  }

  start(): void {
    const startedMs = performance.now();
    this.#timer = setInterval(() => {
      const due = ((performance.now() - startedMs) / 1000) * this.#perSecond;
      while (this.#begun < due) {
        this.#begin(startedMs + (this.#begun / this.#perSecond) * 1000);
        this.#begun += 1;
      }
    }, 5);
  }

  /** What those cost that have ended since the last time this was asked; waits for those on their way. */
  async taken(): Promise<Latencies> {
    await Promise.all(this.#pending);
    const sorted = this.#latenciesMs.sort((a, b) => a - b);
    this.#latenciesMs = [];
    const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
    return { calls: sorted.length, p50: at(0.5), p99: at(0.99), max: at(1) };
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #begin(dueMs: number): void {
    const running = this.#call(this.#begun).then(
      () => void this.#latenciesMs.push(performance.now() - dueMs),
      (error: unknown) => void this.failures.push(error),
    );
    this.#pending.add(running);
    void running.finally(() => this.#pending.delete(running));
  }
}
