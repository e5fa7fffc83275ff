// The Redis store against the store's conformance suite.
import { openRedisStore } from "../../src/store/redis/redis-store.ts";
import { startRedis } from "../support/redis-server.ts";
import { CONFORMANCE_SHARDS, describeStore } from "./store-conformance.ts";

for (const durability of ["fsync", "memory"] as const) {
  describeStore(`redis store, durability ${durability}`, async () => {
    const redis = await startRedis({ appendfsync: durability === "fsync" ? "always" : "everysec" });
    return {
      open: (sabotage) =>
        openRedisStore({
          url: redis.url,
          prefix: "aegis-test",
          durability,
          shardCount: CONFORMANCE_SHARDS,
          ...(sabotage === undefined ? {} : { sabotage }),
        }),
      dispose: () => redis.stop(),
    };
  });
}
