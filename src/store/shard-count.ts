// How many shards a store may have.
export const SHARD_COUNT_MAX = 16_384;
