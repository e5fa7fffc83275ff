// Opens the store that the configuration names: the one place that knows all drivers.
import { openLmdbStore } from "./lmdb/lmdb-store.ts";
import { openRedisStore } from "./redis/redis-store.ts";
import type { SabotageSwitches } from "./sabotage.ts";
import { type Durability, type Store, StoreRefused } from "./store.ts";
import type { StoreEvent } from "./store-event.ts";

export interface OpenStoreOptions {
  readonly durability: Durability;
  readonly shardCount: number;
  /** Redis: goes in front of every key. */
  readonly prefix: string;
  /** What the configuration says that this deployment is; another than at the first open is refused (F18). */
  readonly deployment?: string;
  /** Redis: the operator answers for durability where the configuration can't be read. */
  readonly assumeDurability?: boolean;
  /** Redis: PEM of the certificate authority of a rediss:// server. */
  readonly tlsCa?: string;
  /** Redis: what the sentinels themselves ask for, if anything. */
  readonly sentinelPassword?: string;
  /** Redis: how long a command may take. */
  readonly commandTimeoutMs?: number;
  /** Redis: connections to each primary. */
  readonly connections?: number;
  readonly onEvent?: (event: StoreEvent) => void;
  /** Tests only. */
  readonly sabotage?: SabotageSwitches;
}

/** @param storeUrl `lmdb:PATH`, `redis[s]://…`, `redis[s]+sentinel://…` or `redis[s]+cluster://…` @throws StoreRefused, StoreUnavailable */
export function openStore(storeUrl: string, options: OpenStoreOptions): Promise<Store> {
  if (storeUrl.startsWith("lmdb:")) {
    const { durability, shardCount, deployment, sabotage } = options;
    return openLmdbStore({
      path: storeUrl.slice("lmdb:".length),
      durability,
      shardCount,
      ...(deployment === undefined ? {} : { deployment }),
      ...(sabotage === undefined ? {} : { sabotage }),
    });
  }
  if (/^rediss?(\+(sentinel|cluster))?:/.test(storeUrl)) return openRedisStore({ ...options, url: storeUrl });
  throw new StoreRefused(
    "the store's URL must begin with lmdb:, redis[s]://, redis[s]+sentinel:// or redis[s]+cluster://",
  );
}
