// One place in a load that many workers share: an actor of its kind until its history is long enough, then the next,
// so that the search for an order stays short. Hands those that are over to the judge.
import { setTimeout as delay } from "node:timers/promises";
import { AegisError, type AegisClient } from "../../src/client/client.ts";
import type { History } from "./history.ts";

/** Operations after which an actor makes room for the next; while that is made, twice as many. */
const OPERATIONS_MAX = 50;
/** The session that makes the next may sit on a node that stands still: another one tries too. */
const RENEW_AGAIN_MS = 1_000;
const LOOK_MS = 10;
/** Workers in one lane at once: one whose node stands still must not hold all of them. */
const WORKERS_MAX = 4;

export interface LaneOptions<A> {
  make(client: AegisClient): Promise<A>;
  over(actor: A): void;
}

export class LoadLane<A extends { readonly history: History }> {
  readonly #options: LaneOptions<A>;
  #current: A;
  #waiting = 0;
  #renewingSinceMs = Number.NEGATIVE_INFINITY;

  private constructor(options: LaneOptions<A>, first: A) {
    this.#options = options;
    this.#current = first;
  }

  static async open<A extends { readonly history: History }>(
    options: LaneOptions<A>,
    client: AegisClient,
  ): Promise<LoadLane<A>> {
    return new LoadLane(options, await options.make(client));
  }

  get current(): A {
    return this.#current;
  }

  get full(): boolean {
    return this.#waiting + this.#current.history.open >= WORKERS_MAX;
  }

  /** The actor whose turn it is. */
  async take(client: AegisClient): Promise<A> {
    this.#waiting += 1;
    try {
      return await this.#taken(client);
    } finally {
      this.#waiting -= 1;
    }
  }

  async #taken(client: AegisClient): Promise<A> {
    for (;;) {
      const current = this.#current;
      const { begun } = current.history;
      if (begun < OPERATIONS_MAX) return current;
      const now = performance.now();
      if (now - this.#renewingSinceMs > RENEW_AGAIN_MS) {
        this.#renewingSinceMs = now;
        await this.#renew(current, client);
      } else if (begun < OPERATIONS_MAX * 2) return current;
      else await delay(LOOK_MS);
    }
  }

  close(): void {
    this.#options.over(this.#current);
  }

  async #renew(old: A, client: AegisClient): Promise<void> {
    const next = await this.#options.make(client).catch((error: unknown) => {
      // The node that it sits on may be cut off for longer than anybody waits.
      if (error instanceof AegisError && error.retryable) return undefined;
      throw error;
    });
    if (next === undefined) return;
    if (this.#current !== old) return this.#options.over(next); // another session was faster
    this.#current = next;
    this.#renewingSinceMs = Number.NEGATIVE_INFINITY;
    this.#options.over(old);
  }
}
