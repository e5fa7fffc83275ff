// Claims shards for this node: compare-and-set on the owner record that was read, a fresh nonce each time
// (rule 1). Tries until it succeeds; never decides who should own a shard.
import { randomBytes } from "node:crypto";
import { setTimeout } from "node:timers/promises";
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

  /** Tries while the store is away. @throws when `signal` aborts, or when the store refuses this node altogether */
  async claim(shard: Shard, signal: AbortSignal): Promise<Claimed> {
    let retryMs = this.#options.retryMinMs;
    // One nonce for all tries: repeating one's own claim answers the same (P8).
    const nonce = randomBytes(NONCE_BYTES).toString("hex");
    const seen = new Map<number, OwnerRecord>();
    for (;;) {
      signal.throwIfAborted();
      const claimed = await this.#tryOnce(shard, nonce, seen);
      if (claimed !== undefined) return claimed;
      await setTimeout(retryMs * (0.5 + Math.random()), undefined, { signal });
      retryMs = Math.min(retryMs * 2, this.#options.retryMaxMs);
    }
  }

  /** @param seen owner records that earlier tries meant to replace, by fence number */
  async #tryOnce(shard: Shard, nonce: string, seen: Map<number, OwnerRecord>): Promise<Claimed | undefined> {
    const { store, nodeId, address } = this.#options;
    try {
      const previous = await store.readOwner(shard);
      if (previous !== undefined && previous.fence.nonce !== nonce) seen.set(previous.fence.number, previous);
      const freshLineage = randomBytes(NONCE_BYTES).toString("hex");
      const outcome = await store.claim(shard, previous?.fence, { nonce, owner: nodeId, address, freshLineage });
      if (outcome.kind === "lost") return undefined;
      const { record, receipt } = outcome;
      // An earlier try may be the one that succeeded, unheard: what it replaced had the number before.
      return { record, receipt, previous: seen.get(record.fence.number - 1) };
    } catch (error) {
      // The store is away: nothing may be read or sent until a claim has succeeded.
      if (error instanceof StoreUnavailable) return undefined;
      throw error;
    }
  }
}
