// The Redis store against the store's conformance suite, its primary found through Sentinel.
import { openRedisStore } from "../../src/store/redis/redis-store.ts";
import { SentinelDeployment } from "../support/sentinel-deployment.ts";
import { CONFORMANCE_SHARDS, describeStore } from "./store-conformance.ts";

describeStore("redis store by Sentinel", async () => {
  const deployment = await SentinelDeployment.start();
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
