// The Redis store against the store's conformance suite, on a cluster of three primaries.
import { RedisClusterDeployment } from "../support/redis-cluster.ts";
import { describeRedisStore } from "./redis-conformance.ts";

describeRedisStore("redis store on a cluster", () => RedisClusterDeployment.start());
