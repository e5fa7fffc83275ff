// The Redis store when things go wrong: killed, paused, cut, flushed, out of memory, demoted.
import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, expect, test } from "vitest";
import { openRedisStore, type RedisStoreOptions } from "../../src/store/redis/redis-store.ts";
import { type CommitOutcome, type Operation, type Store, StoreUnavailable } from "../../src/store/store.ts";
import type { StoreEvent } from "../../src/store/store-event.ts";
import { applied, bytes, claimant, entry, Owner, takeShard, text } from "../contract/store-case.ts";
import { CuttingProxy } from "../support/cutting-proxy.ts";
import { redisCommand, type RedisServer, type RedisServerOptions, startRedis } from "../support/redis-server.ts";

const SHARDS = 8;
const ACTOR = "app/group/1";
const cleanups: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function redisFor(options?: RedisServerOptions): Promise<RedisServer> {
  const redis = await startRedis(options);
  cleanups.push(() => redis.stop());
  return redis;
}

async function open(url: string, options: Partial<RedisStoreOptions> = {}): Promise<Store> {
  const fixed = { prefix: "faults", durability: "fsync", shardCount: SHARDS, commandTimeoutMs: 1000 } as const;
  const store = await openRedisStore({ url, ...fixed, ...options });
  cleanups.push(() => store.close());
  return store;
}

async function usable(store: Store): Promise<void> {
  await expect.poll(() => store.healthy(), { timeout: 15_000, interval: 20 }).toBe(true);
}

function batch(sequence: number): Operation[] {
  const value = bytes(String(sequence));
  return [
    { op: "putSnapshot", actor: ACTOR, bytes: value },
    { op: "putPart", actor: ACTOR, name: `p/${sequence}`, bytes: value },
    { op: "append", actor: ACTOR, entry: entry(sequence, value) },
  ];
}

/** At least what was acknowledged, and nothing of a batch without the rest of it. */
async function assertWhole(store: Store, shard: number, acknowledged: number): Promise<void> {
  const sequence = (await store.readOwner(shard))?.sequence ?? 0;
  assert.ok(sequence >= acknowledged, `shard ${shard}: ${sequence} < ${acknowledged}`);
  assert.equal((await store.readStreamHead(shard, ACTOR)).head.last, sequence);
  const [snapshot] = await store.readSnapshots([{ shard, actor: ACTOR }]);
  assert.equal(text(snapshot), sequence === 0 ? undefined : String(sequence));
  const parts = await store.listParts(shard, ACTOR, { prefix: "p/", limit: 1e6, namesOnly: true });
  assert.equal(parts.length, sequence);
}

test("[F11] Redis killed and restarted in the middle of writing loses nothing acknowledged", async () => {
  const redis = await redisFor();
  const store = await open(redis.url);
  for (let round = 0; round < 3; round += 1) {
    const acknowledged = new Map(Array.from({ length: SHARDS }, (_, shard) => [shard, 0]));
    const writers = Array.from({ length: SHARDS }, async (_, shard) => {
      const owner = await Owner.of(store, shard);
      acknowledged.set(shard, owner.sequence);
      for (;;) {
        const outcome = await owner.commit(...batch(owner.sequence + 1)).catch((error: unknown) => error);
        if (outcome instanceof StoreUnavailable) return;
        owner.sequence = applied(outcome as CommitOutcome).sequence;
        acknowledged.set(shard, owner.sequence);
      }
    });
    await expect
      .poll(() => Math.min(...acknowledged.values()), { timeout: 10_000, interval: 5 })
      .toBeGreaterThan(round * 10 + 10);
    await redis.kill9();
    await Promise.all(writers);
    assert.equal(await store.healthy(), false);
    await redis.restart();
    await usable(store);
    for (let shard = 0; shard < SHARDS; shard += 1) await assertWhole(store, shard, acknowledged.get(shard) ?? 0);
  }
});

test("[F12] a batch buffered in a paused Redis counts once or is fenced, whatever the next owner does", async () => {
  const redis = await redisFor();
  const [old, next] = [await open(redis.url), await open(redis.url)];
  const owner = await Owner.of(old, 0);
  await owner.apply(...batch(1));
  redis.pause();
  await assert.rejects(owner.commit(...batch(2)), StoreUnavailable);
  const claim = next.claim(0, owner.fence, claimant("node-b")).catch((error: unknown) => error);
  assert.ok((await claim) instanceof StoreUnavailable);
  redis.resume();
  await usable(next);
  const seen = await next.readOwner(0);
  const record = await takeShard(next, 0);
  await assertWhole(next, 0, 1);
  const late = await old.commit(0, owner.fence, 2, batch(2)).catch((error: unknown) => error);
  if (!(late instanceof StoreUnavailable)) assert.deepEqual(late, { kind: "fenced" });
  assert.equal((await next.readOwner(0))?.sequence, record.sequence);
  assert.ok(seen !== undefined && record.sequence >= 1 && record.sequence <= 2);
  await assertWhole(next, 0, 1);
});

test("[F13] a connection cut after the send: the batch is applied once, and its receipt is found again", async () => {
  const redis = await redisFor();
  const proxy = await CuttingProxy.to(redis.port);
  cleanups.push(() => proxy.close());
  const store = await open(`redis://127.0.0.1:${proxy.port}`);
  const owner = await Owner.of(store, 0);
  await owner.apply({ op: "putPart", actor: ACTOR, name: "once/1", bytes: bytes("K") });
  const operations: Operation[] = [{ op: "takePart", actor: ACTOR, name: "once/1" }, ...batch(1)];
  const cut = proxy.cutAtNextAnswer();
  await assert.rejects(owner.commit(...operations), StoreUnavailable);
  await cut;
  await usable(store);
  const claimed = await store.claim(0, owner.fence, claimant());
  assert.ok(claimed.kind === "claimed");
  assert.deepEqual(claimed.receipt, { sequence: 2, taken: [bytes("K")] });
  const again = applied(await store.commit(0, claimed.record.fence, 2, operations));
  assert.deepEqual(again, { sequence: 2, taken: [bytes("K")], repeated: true });
  assert.equal((await store.readStreamHead(0, ACTOR)).head.last, 1);
});

test.each([
  ["OOM", ["CONFIG", "SET", "maxmemory", "1"], ["CONFIG", "SET", "maxmemory", "0"]],
  ["NOREPLICAS", ["CONFIG", "SET", "min-replicas-to-write", "1"], ["CONFIG", "SET", "min-replicas-to-write", "0"]],
  ["READONLY", ["REPLICAOF", "127.0.0.1", "1"], ["REPLICAOF", "NO", "ONE"]],
  ["MISCONF", ["BGSAVE"], ["CONFIG", "SET", "stop-writes-on-bgsave-error", "no"]],
])(
  "[F14] %s on the batches of several shards: each is refused whole and by itself, then goes on",
  async (code, on, off) => {
    const redis = await redisFor();
    const store = await open(redis.url);
    const owners = await Promise.all(Array.from({ length: SHARDS }, (_, shard) => Owner.of(store, shard)));
    await Promise.all(
      owners.map((owner) => owner.apply({ op: "putPart", actor: ACTOR, name: "a", bytes: bytes("a") })),
    );
    if (code === "MISCONF") await breakSnapshots(redis);
    await redisCommand(redis.port, on);
    if (code === "MISCONF") await snapshotFailed(redis);
    const outcomes = await Promise.allSettled(
      owners.map((owner) => owner.commit({ op: "takePart", actor: ACTOR, name: "a" }, ...batch(1))),
    );
    for (const outcome of outcomes) {
      assert.ok(outcome.status === "rejected" && outcome.reason instanceof StoreUnavailable);
      assert.equal(outcome.reason.message, `redis: refused with ${code}`);
      assert.equal(outcome.reason.cause, undefined);
    }
    await redisCommand(redis.port, off);
    await usable(store);
    for (const { shard } of owners) {
      const record = await takeShard(store, shard);
      assert.equal(record.sequence, 1);
      assert.equal((await store.readParts(shard, ACTOR, ["a"]))[0]?.length, 1);
      assert.equal((await store.readStreamHead(shard, ACTOR)).head.last, 0);
      applied(await store.commit(shard, record.fence, 2, batch(1)));
    }
  },
);

/** What a full disk does, without one: a snapshot can't take its place, because a folder stands there. */
async function breakSnapshots(redis: RedisServer): Promise<void> {
  await mkdir(path.join(redis.dir, "dump.rdb"));
  await redisCommand(redis.port, ["CONFIG", "SET", "save", "3600 1000000"]);
}

async function snapshotFailed(redis: RedisServer): Promise<void> {
  const status = (): Promise<string> => redisCommand(redis.port, ["INFO", "persistence"]);
  await expect.poll(status, { timeout: 10_000 }).toContain("rdb_last_bgsave_status:err");
}

test("[F15] SCRIPT FLUSH under load: scripts are loaded again, no batch is lost, doubled or out of order", async () => {
  const redis = await redisFor();
  const store = await open(redis.url);
  let writing = true;
  const flushing = (async () => {
    let flushes = 0;
    for (; writing; flushes += 1) {
      await redisCommand(redis.port, ["SCRIPT", "FLUSH"]);
      await delay(2);
    }
    return flushes;
  })();
  await Promise.all(
    Array.from({ length: SHARDS }, async (_, shard) => {
      const owner = await Owner.of(store, shard);
      for (let sequence = 1; sequence <= 100; sequence += 1) await owner.apply(...batch(sequence));
    }),
  );
  writing = false;
  assert.ok((await flushing) > 5);
  for (let shard = 0; shard < SHARDS; shard += 1) await assertWhole(store, shard, 100);
});

test("[F16] FLUSHALL: the owner is fenced, nothing is minted over its fence, and the loss is reported", async () => {
  const redis = await redisFor();
  const events: StoreEvent[] = [];
  const store = await open(redis.url, { onEvent: (event) => events.push(event) });
  const owner = await Owner.of(store, 0);
  await owner.apply(...batch(1));
  await redisCommand(redis.port, ["FLUSHALL"]);
  assert.deepEqual(await owner.commit(...batch(2)), { kind: "fenced" });
  assert.equal(await store.check(0, owner.fence), false);
  assert.deepEqual(await store.claim(0, owner.fence, claimant()), { kind: "lost", record: undefined });
  await redisCommand(redis.port, ["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
  await expect.poll(() => events.map(({ kind }) => kind), { timeout: 10_000 }).toContain("historyLost");
  await usable(store);
});

test("[P11] a claim without a record destroys one-time parts that outlived it", async () => {
  const redis = await redisFor();
  const store = await open(redis.url);
  const owner = await Owner.of(store, 0);
  await owner.apply(
    { op: "putPart", actor: ACTOR, name: "once/1", bytes: bytes("K") },
    { op: "putPart", actor: ACTOR, name: "last/1", bytes: bytes("L") },
  );
  await redisCommand(redis.port, ["DEL", "faults:{s0}:own"]);
  await takeShard(store, 0);
  assert.deepEqual(await store.readParts(0, ACTOR, ["once/1", "last/1"]), [undefined, bytes("L")]);
});

test("[G3] an acknowledgement waits for the disk: a slow fdatasync of Redis delays it", async () => {
  assert.ok((await fastestCommitMs("always")) >= 150);
});

test("[G3] syncOff turns red: a Redis that does not sync answers before the disk", async () => {
  assert.ok((await fastestCommitMs("everysec")) < 150);
});

async function fastestCommitMs(appendfsync: "always" | "everysec"): Promise<number> {
  const inject = ["-e", "trace=fdatasync,fsync", "-e", "inject=fdatasync,fsync:delay_exit=150000"];
  // -D: the server itself is our child, the tracer is not.
  const redis = await redisFor({ appendfsync, wrapper: ["strace", "-D", "-f", "-qq", "-o", "/dev/null", ...inject] });
  const store = await open(redis.url, { sabotage: new Set(appendfsync === "always" ? [] : ["syncOff"]) });
  const owner = await Owner.of(store, 0);
  const times: number[] = [];
  for (let sequence = 1; sequence <= 5; sequence += 1) {
    const startedAt = performance.now();
    await owner.apply(...batch(sequence));
    times.push(performance.now() - startedAt);
  }
  return Math.min(...times);
}
