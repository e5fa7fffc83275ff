// What the host needs from whoever claims shards (cluster/ownership): a port, so that actors know
// nothing of nodes. Types only.
import type { OwnerRecord, Receipt, Shard, ShardMark } from "../store/store.ts";

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
   * `signal` aborts (rejects). A record that goes less far than `known`, or than what was heard of elsewhere, gets a
   * new lineage before anything is read.
   */
  claim(shard: Shard, signal: AbortSignal, known?: ShardMark): Promise<ClaimedShard | undefined>;
}
