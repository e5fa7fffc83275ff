// What the host needs from whoever claims shards (cluster/ownership): a port, so that actors know
// nothing of nodes. Types only.
import type { OwnerRecord, Receipt, Shard } from "../store/store.ts";

export interface ClaimedShard {
  readonly record: OwnerRecord;
  /** Receipt of the last batch applied to the shard, whoever sent it. */
  readonly receipt: Receipt | undefined;
  /** The owner record that this claim replaced. */
  readonly previous: OwnerRecord | undefined;
}

export interface ShardClaims {
  /**
   * Claims with a fresh nonce, trying until it succeeds, the shard is not to be this node's (undefined), or
   * `signal` aborts (rejects).
   */
  claim(shard: Shard, signal: AbortSignal): Promise<ClaimedShard | undefined>;
}
