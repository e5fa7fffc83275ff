// The store's TIME carried on by this node's monotonic clock (L7): the only source of time that is
// persisted or judged. The wall clock of the node is never read.
import type { Store } from "../store/store.ts";

export interface Clock {
  /** Unix milliseconds of the store. */
  now(): number;
}

export class StoreClock implements Clock {
  readonly #store: Pick<Store, "time">;
  readonly #resyncMs: number;
  #storeMs = 0;
  #monotonicMs = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(store: Pick<Store, "time">, resyncMs: number) {
    this.#store = store;
    this.#resyncMs = resyncMs;
  }

  async start(): Promise<void> {
    await this.#synchronise();
    this.#timer = setInterval(() => {
      // A store that does not answer is noticed by those who write; time goes on by the monotonic clock.
      this.#synchronise().catch(() => undefined);
    }, this.#resyncMs);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  now(): number {
    return Math.floor(this.#storeMs + performance.now() - this.#monotonicMs);
  }

  async #synchronise(): Promise<void> {
    const before = performance.now();
    const storeMs = await this.#store.time();
    const after = performance.now();
    this.#storeMs = storeMs;
    this.#monotonicMs = (before + after) / 2;
  }
}
