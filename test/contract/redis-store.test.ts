// The Redis store against the store's conformance suite.
import assert from "node:assert/strict";
import { test } from "vitest";
import { openRedisStore } from "../../src/store/redis/redis-store.ts";
import type { Store } from "../../src/store/store.ts";
import { startRedis } from "../support/redis-server.ts";
import { describeRedisStore } from "./redis-conformance.ts";
import { bytes, claimant, Owner, text } from "./store-case.ts";

for (const durability of ["fsync", "memory"] as const) {
  const appendfsync = durability === "fsync" ? "always" : "everysec";
  describeRedisStore(`redis store, durability ${durability}`, () => startRedis({ appendfsync }), durability);
}

test("[P9] what one node was acknowledged another node reads at once, and one of many claimers wins", async () => {
  const redis = await startRedis();
  const open = (): Promise<Store> =>
    openRedisStore({ url: redis.url, prefix: "nodes", durability: "fsync", shardCount: 4 });
  const nodes = await Promise.all([open(), open(), open()]);
  try {
    const [writer, reader] = nodes;
    const owner = await Owner.of(writer, 0);
    const actor = "app/group/1";
    for (let round = 1; round <= 200; round += 1) {
      await owner.apply({ op: "putSnapshot", actor, bytes: bytes(String(round)) });
      assert.equal(text((await reader.readSnapshots([{ shard: 0, actor }]))[0]), String(round));
    }
    const claims = nodes.flatMap((node) => Array.from({ length: 20 }, () => node.claim(0, owner.fence, claimant())));
    assert.equal((await Promise.all(claims)).filter(({ kind }) => kind === "claimed").length, 1);
    assert.equal(await reader.check(0, owner.fence), false);
  } finally {
    await Promise.all(nodes.map((node) => node.close()));
    await redis.stop();
  }
});
