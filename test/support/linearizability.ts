// Is there an order of one actor's operations that respects their times and that one actor, doing one thing after the
// other, could have answered so? (G4) The search of Wing and Gong with Lowe's memory of what was tried. Pure.
import type { Operation } from "./history.ts";

export interface SequentialModel<State> {
  readonly initial: State;
  /**
   * The state after the operation, the same object if it changes nothing; undefined: with this outcome it can't
   * happen here. An operation of unknown outcome answers the state that it would leave, or undefined if none.
   */
  step(state: State, operation: Operation): State | undefined;
  /** Equal for equal states. */
  keyOf(state: State): string;
}

export type Verdict =
  | { readonly kind: "ordered" }
  | { readonly kind: "impossible"; readonly placed: number; readonly stuck: readonly Operation[] };

/** States looked at before the search gives up, loudly. */
const LOOKS_MAX = 500_000;

export function findOrder<State>(model: SequentialModel<State>, history: readonly Operation[]): Verdict {
  return new Search(
    model,
    history.filter(({ outcome }) => outcome.kind !== "retryable"),
  ).run();
}

class Search<State> {
  readonly #model: SequentialModel<State>;
  readonly #operations: readonly Operation[];
  readonly #tried = new Set<string>();
  #looks = 0;
  #placedMost = -1;
  #stuck: readonly Operation[] = [];

  constructor(model: SequentialModel<State>, operations: readonly Operation[]) {
    this.#model = model;
    this.#operations = operations;
  }

  run(): Verdict {
    if (this.#from(this.#model.initial, new Set())) return { kind: "ordered" };
    return { kind: "impossible", placed: this.#placedMost, stuck: this.#stuck };
  }

  /** @param placed operations that stand in the order already, by their place in the history */
  #from(state: State, placed: ReadonlySet<number>): boolean {
    this.#looks += 1;
    if (this.#looks > LOOKS_MAX) throw new Error("this history takes too long to judge: make it shorter");
    const { done, next } = this.#observe(state, placed);
    if (next.every((n) => this.#isUnknown(n)) && this.#restIsUnknown(done)) return true;
    const tried = `${this.#model.keyOf(state)} ${[...done].sort((a, b) => a - b).join(",")}`;
    if (this.#tried.has(tried)) return false;
    this.#tried.add(tried);
    if (done.size > this.#placedMost) {
      this.#placedMost = done.size;
      this.#stuck = next.map((n) => this.#at(n));
    }
    for (const n of next) {
      const after = this.#model.step(state, this.#at(n));
      if (after === undefined || after === state) continue;
      if (this.#from(after, new Set(done).add(n))) return true;
    }
    return false;
  }

  /** What may come next and changes nothing comes at once: it can't stand in anybody's way. */
  #observe(state: State, placed: ReadonlySet<number>): { readonly done: Set<number>; readonly next: number[] } {
    const done = new Set(placed);
    for (;;) {
      const next = this.#next(done);
      const seen = next.filter((n) => !this.#isUnknown(n) && this.#model.step(state, this.#at(n)) === state);
      if (seen.length === 0) return { done, next };
      for (const n of seen) done.add(n);
    }
  }

  /** Operations that had begun when the first of all that are left was answered; those with an answer first. */
  #next(done: ReadonlySet<number>): number[] {
    const left = this.#operations.flatMap((_, n) => (done.has(n) ? [] : [n]));
    const firstAnswerMs = Math.min(...left.map((n) => this.#at(n).answeredMs));
    const next = left.filter((n) => this.#at(n).invokedMs <= firstAnswerMs);
    next.sort(
      (a, b) => this.#at(a).answeredMs - this.#at(b).answeredMs || this.#at(a).invokedMs - this.#at(b).invokedMs,
    );
    return this.#withoutTwins(next);
  }

  /** Of unknown operations that would do the same, the first to begin stands for all: it can come wherever they can. */
  #withoutTwins(next: readonly number[]): number[] {
    const met = new Set<string>();
    return next.filter((n) => {
      if (!this.#isUnknown(n)) return true;
      const { name, input } = this.#at(n);
      const twin = JSON.stringify([name, input]);
      return met.size < met.add(twin).size;
    });
  }

  #restIsUnknown(done: ReadonlySet<number>): boolean {
    return this.#operations.every((_, n) => done.has(n) || this.#isUnknown(n));
  }

  #isUnknown(n: number): boolean {
    return this.#at(n).outcome.kind === "unknown";
  }

  #at(n: number): Operation {
    return this.#operations[n] as Operation;
  }
}
