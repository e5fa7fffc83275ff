// What several connections to Redis are for: with `appendfsync always` a sync carries what all of them brought, and
// each brings at most 16 KiB. Counts the syncs, on a disk that takes 2 ms for each.
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openRedisStore } from "../../src/store/redis/redis-store.ts";
import { Owner } from "../contract/store-case.ts";
import { type RedisServer, startRedis } from "../support/redis-server.ts";
import { slowSyncsInto } from "../support/system-calls.ts";

const SHARDS = 256;
const BATCHES_A_SHARD = 12;
const BATCH_BYTES = 900;
const SYNC_MS = 2;

let folder: string;
let redis: RedisServer;

beforeEach(async () => {
  folder = mkdtempSync(path.join(tmpdir(), "aegis-syncs-"));
  redis = await startRedis({ wrapper: slowSyncsInto(path.join(folder, "trace"), SYNC_MS) });
});

afterEach(async () => {
  await redis.stop();
  rmSync(folder, { recursive: true, force: true });
});

async function syncs(): Promise<number> {
  return (await readFile(path.join(folder, "trace"), "utf8")).split("\n").length;
}

/** Every shard writes one batch after another. */
async function write(
  connections: number,
): Promise<{ readonly batchesASync: number; readonly batchesPerSecond: number }> {
  const fixed = { prefix: `syncs-${connections}`, durability: "fsync", shardCount: SHARDS } as const;
  const store = await openRedisStore({ url: redis.url, connections, commandTimeoutMs: 60_000, ...fixed });
  try {
    const owners = await Promise.all(Array.from({ length: SHARDS }, (_, shard) => Owner.of(store, shard)));
    const [before, beganMs] = [await syncs(), performance.now()];
    await Promise.all(
      owners.map(async (owner) => {
        for (let n = 0; n < BATCHES_A_SHARD; n += 1)
          await owner.apply({ op: "putSnapshot", actor: `app/group/${n}`, bytes: randomBytes(BATCH_BYTES) });
      }),
    );
    const batches = SHARDS * BATCHES_A_SHARD;
    const seconds = (performance.now() - beganMs) / 1000;
    return { batchesASync: batches / ((await syncs()) - before), batchesPerSecond: batches / seconds };
  } finally {
    await store.close();
  }
}

test("a sync carries the batches of all connections", async () => {
  // Compiles the code.
  await write(16);
  const one = await write(1);
  const told = [`1 connection: ${one.batchesASync.toFixed(1)} batches a sync`];
  for (const connections of [2, 4]) {
    const more = await write(connections);
    const faster = more.batchesPerSecond / one.batchesPerSecond;
    told.push(`${connections}: ${more.batchesASync.toFixed(1)}, ${faster.toFixed(2)} times as many a second`);
    expect(more.batchesASync / one.batchesASync).toBeGreaterThan(connections / 2);
  }
  console.log(told.join("; "));
});
