// The Redis store against the store's conformance suite, on a cluster of three primaries.
import { openRedisStore } from "../../src/store/redis/redis-store.ts";
import { RedisClusterDeployment } from "../support/redis-cluster.ts";
import { CONFORMANCE_SHARDS, describeStore } from "./store-conformance.ts";

describeStore("redis store on a cluster", async () => {
  const deployment = await RedisClusterDeployment.start();
  return {
    open: (sabotage) =>
      openRedisStore({
        url: deployment.url,
        prefix: "aegis-test",
        durability: "fsync",
        shardCount: CONFORMANCE_SHARDS,
        ...(sabotage === undefined ? {} : { sabotage }),
      }),
    dispose: () => deployment.stop(),
  };
});
