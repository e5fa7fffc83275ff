// What was asked of one actor and what came of it, with the times of both: the record that judges work on. Written to
// a file when a judge finds a flaw. Keeps ids, numbers and words, never whole messages.
import { writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

export type Facts = Readonly<Record<string, string | number>>;

export type Outcome =
  | { readonly kind: "result"; readonly facts: Facts }
  | { readonly kind: "refused"; readonly reason: string; readonly facts: Facts }
  /** Certainly not applied, and never will be. */
  | { readonly kind: "retryable"; readonly reason: string }
  /** Applied or not, now or later. */
  | { readonly kind: "unknown" };

export interface Operation {
  readonly name: string;
  readonly input: Facts;
  readonly worker: number;
  /** Monotonic. */
  readonly invokedMs: number;
  /** Infinity while there is no answer that says anything. */
  readonly answeredMs: number;
  readonly outcome: Outcome;
}

export class History {
  readonly actor: string;
  #answered: Operation[] = [];
  #open = 0;
  #begun = 0;

  constructor(actor: string) {
    this.actor = actor;
  }

  /** Every operation, in the order of its beginning. Complete once `quiet`. */
  get operations(): Operation[] {
    return this.#answered.toSorted((a, b) => a.invokedMs - b.invokedMs);
  }

  /** It was judged: nobody asks again. */
  forget(): void {
    this.#answered = [];
  }

  /** Operations ever begun. */
  get begun(): number {
    return this.#begun;
  }

  /** Operations without an end. */
  get open(): number {
    return this.#open;
  }

  get quiet(): boolean {
    return this.#open === 0;
  }

  /** Runs one operation and records it. @returns its outcome */
  async record(operation: Pick<Operation, "name" | "input" | "worker">, run: () => Promise<Outcome>): Promise<Outcome> {
    this.#open += 1;
    this.#begun += 1;
    const invokedMs = performance.now();
    try {
      const outcome = await run();
      const answeredMs = outcome.kind === "unknown" ? Infinity : performance.now();
      this.#answered.push({ ...operation, invokedMs, answeredMs, outcome });
      return outcome;
    } finally {
      this.#open -= 1;
    }
  }
}

/** A flawed history, with the file that holds it. */
export class FlawedHistory extends Error {
  override readonly name = "FlawedHistory";

  constructor(actor: string, flaws: readonly string[], beside: object) {
    const file = path.join(tmpdir(), `aegis-history-${process.pid}-${actor.replaceAll(/[^\w-]+/g, "-")}.json`);
    writeFileSync(file, JSON.stringify({ actor, flaws, ...beside }, undefined, 1));
    super(`${actor}: ${flaws.slice(0, 5).join("; ")} (history: ${file})`);
  }
}
