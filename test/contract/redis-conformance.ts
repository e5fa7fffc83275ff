// The Redis store against the store's conformance suite, however its servers are deployed.
import { openRedisStore } from "../../src/store/redis/redis-store.ts";
import { CONFORMANCE_SHARDS, describeStore } from "./store-conformance.ts";

interface Deployment {
  readonly url: string;
  stop(): Promise<void>;
}

export function describeRedisStore(
  name: string,
  start: () => Promise<Deployment>,
  durability: "fsync" | "memory" = "fsync",
): void {
  describeStore(name, async () => {
    const deployment = await start();
    return {
      open: (sabotage) =>
        openRedisStore({
          url: deployment.url,
          prefix: "aegis-test",
          durability,
          shardCount: CONFORMANCE_SHARDS,
          ...(sabotage === undefined ? {} : { sabotage }),
        }),
      dispose: () => deployment.stop(),
    };
  });
}
