// Claims shards for this node: compare-and-set on the owner record that was read, a fresh nonce each time
// (rule 1). Tries until it succeeds; never decides who should own a shard.
import { randomBytes } from "node:crypto";
import { StoreUnavailable, type OwnerRecord, type Receipt, type Shard, type Store } from "../store/store.ts";

export interface OwnershipOptions {
  readonly store: Pick<Store, "readOwner" | "claim">;
  readonly nodeId: string;
  /** host:port under which other nodes reach this one. */
  readonly address: string;
  readonly retryMinMs: number;
  readonly retryMaxMs: number;
}

export interface Claimed {
  readonly record: OwnerRecord;
  readonly receipt: Receipt | undefined;
  readonly previous: OwnerRecord | undefined;
}

const NONCE_BYTES = 16;

export class Ownership {
  readonly #options: OwnershipOptions;

  constructor(options: OwnershipOptions) {
    this.#options = options;
  }

  /** Rejects only when `signal` aborts. */
  async claim(shard: Shard, signal: AbortSignal): Promise<Claimed> {
    let retryMs = this.#options.retryMinMs;
    // One nonce for all tries: repeating one's own claim answers the same (P8).
    const nonce = randomBytes(NONCE_BYTES).toString("hex");
    for (;;) {
      signal.throwIfAborted();
      const claimed = await this.#tryOnce(shard, nonce);
      if (claimed !== undefined) return claimed;
      await pause(retryMs * (0.5 + Math.random()), signal);
      retryMs = Math.min(retryMs * 2, this.#options.retryMaxMs);
    }
  }

  async #tryOnce(shard: Shard, nonce: string): Promise<Claimed | undefined> {
    const { store, nodeId, address } = this.#options;
    try {
      const previous = await store.readOwner(shard);
      const freshLineage = randomBytes(NONCE_BYTES).toString("hex");
      const outcome = await store.claim(shard, previous?.fence, { nonce, owner: nodeId, address, freshLineage });
      return outcome.kind === "claimed" ? { record: outcome.record, receipt: outcome.receipt, previous } : undefined;
    } catch (error) {
      // The store is away: nothing may be read or sent until a claim has succeeded.
      if (error instanceof StoreUnavailable) return undefined;
      throw error;
    }
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener(
      "abort",
      () => {
        clearTimeout(timer);
        reject(signal.reason as Error);
      },
      { once: true },
    );
  });
}
