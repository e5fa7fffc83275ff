// The Redis store against the store's conformance suite, its primary found through Sentinel.
import { SentinelDeployment } from "../support/sentinel-deployment.ts";
import { describeRedisStore } from "./redis-conformance.ts";

describeRedisStore("redis store by Sentinel", () => SentinelDeployment.start());
