// What a Redis must show before it is used, at the start and at every new connection; and what never leaks.
import assert from "node:assert/strict";
import { afterEach, expect, test } from "vitest";
import { openStore } from "../../src/store/open-store.ts";
import { openRedisStore, type RedisStoreOptions } from "../../src/store/redis/redis-store.ts";
import { type Store, StoreRefused, StoreUnavailable } from "../../src/store/store.ts";
import type { StoreEvent } from "../../src/store/store-event.ts";
import { bytes, Owner } from "../contract/store-case.ts";
import { freePort } from "../support/free-port.ts";
import { redisCommand, type RedisServer, type RedisServerOptions, startRedis } from "../support/redis-server.ts";
import { selfSigned } from "../support/self-signed.ts";

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
  const fixed = { prefix: "admission", durability: "fsync", shardCount: 8, connectTimeoutMs: 2000 } as const;
  const store = await openRedisStore({ url, ...fixed, ...options });
  cleanups.push(() => store.close());
  return store;
}

test.each([
  [["appendonly", "no"], "set appendonly to yes (it is no)"],
  [["appendfsync", "everysec"], "set appendfsync to always (it is everysec)"],
  [["no-appendfsync-on-rewrite", "yes"], "set no-appendfsync-on-rewrite to no (it is yes)"],
  [["maxmemory-policy", "allkeys-lru"], "set maxmemory-policy to noeviction (it is allkeys-lru)"],
])("[G3] a Redis with %s is refused with what to set", async (setting, message) => {
  const redis = await redisFor();
  await redisCommand(redis.port, ["CONFIG", "SET", ...setting]);
  const refusal = await open(redis.url).catch((error: unknown) => error);
  assert.ok(refusal instanceof StoreRefused);
  assert.ok(refusal.message.includes(message), refusal.message);
});

test("[G3] durability memory takes everysec, and not no", async () => {
  const redis = await redisFor({ appendfsync: "everysec" });
  await open(redis.url, { durability: "memory" });
  await redisCommand(redis.port, ["CONFIG", "SET", "appendfsync", "no"]);
  await expect(open(redis.url, { durability: "memory" })).rejects.toThrow("set appendfsync to everysec or always");
});

test("[G3] a replica is refused", async () => {
  const redis = await redisFor();
  await redisCommand(redis.port, ["REPLICAOF", "127.0.0.1", "1"]);
  await expect(open(redis.url)).rejects.toThrow("it is a replica");
});

test("[G3] a primary that has become a replica is left at its first refusal, and taken back as a primary", async () => {
  const redis = await redisFor();
  const events: StoreEvent[] = [];
  const store = await open(redis.url, { onEvent: (event) => events.push(event) });
  const owner = await Owner.of(store, 0);
  await redisCommand(redis.port, ["REPLICAOF", "127.0.0.1", "1"]);
  await assert.rejects(owner.commit(), StoreUnavailable);
  await expect.poll(() => events.at(-1), { timeout: 10_000 }).toMatchObject({ kind: "refused" });
  await redisCommand(redis.port, ["REPLICAOF", "NO", "ONE"]);
  await expect.poll(() => store.healthy(), { timeout: 10_000 }).toBe(true);
  await owner.apply();
});

test("[G3] where the configuration can't be read the operator must declare it", async () => {
  const redis = await redisFor();
  await redisCommand(redis.port, ["ACL", "SETUSER", "app", "on", ">s3cret", "~*", "&*", "+@all", "-config"]);
  const url = `redis://app:s3cret@127.0.0.1:${redis.port}`;
  await expect(open(url)).rejects.toThrow(
    /declare with assumeDurability that it has appendonly yes, appendfsync always/,
  );
  const store = await open(url, { assumeDurability: true });
  assert.equal(await store.healthy(), true);
});

test("[G3] every new connection is judged again: nothing is sent until the setting is back", async () => {
  const redis = await redisFor();
  const events: StoreEvent[] = [];
  const store = await open(redis.url, { onEvent: (event) => events.push(event) });
  const owner = await Owner.of(store, 0);
  await redisCommand(redis.port, ["CONFIG", "SET", "appendfsync", "everysec"]);
  await redisCommand(redis.port, ["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
  await expect.poll(() => events.at(-1)?.kind, { timeout: 10_000 }).toBe("refused");
  assert.equal(await store.healthy(), false);
  await assert.rejects(owner.commit(), StoreUnavailable);
  await redisCommand(redis.port, ["CONFIG", "SET", "appendfsync", "always"]);
  await expect.poll(() => store.healthy(), { timeout: 10_000 }).toBe(true);
  assert.deepEqual(
    events.map(({ kind }) => kind),
    ["up", "down", "refused", "up"],
  );
  await owner.apply();
});

test("[F18] another shard count, or another deployment on one prefix, is refused; another prefix is not", async () => {
  const redis = await redisFor();
  const first = await open(redis.url, { deployment: "mine" });
  await expect(open(redis.url, { shardCount: 16 })).rejects.toThrow("made with 8 shards; the configuration says 16");
  await expect(open(redis.url, { deployment: "theirs" })).rejects.toThrow("belongs to another deployment");
  const again = await open(redis.url, { deployment: "mine" });
  assert.equal(again.deploymentId, first.deploymentId);
  const beside = await open(redis.url, { prefix: "other", deployment: "theirs", shardCount: 16 });
  await Owner.of(beside, 0);
  assert.equal(await first.readOwner(0), undefined);
  for (const prefix of ["", "{a}", "a*", "x".repeat(65)])
    await expect(open(redis.url, { prefix })).rejects.toThrow(StoreRefused);
});

test("[G10] neither the URL's password nor a payload is in any error", async () => {
  const redis = await redisFor({ args: ["--requirepass", "s3cret-password"] });
  const seen: unknown[] = [];
  const capture = (error: unknown): void => void seen.push(error);
  await open(`redis://:wrong-password@127.0.0.1:${redis.port}`).catch(capture);
  await open(`redis://:s3cret-password@127.0.0.1:${await freePort()}`).catch(capture);
  await open(`redis://:s3cret-password@[`).catch(capture);
  const store = await open(`redis://:s3cret-password@127.0.0.1:${redis.port}`);
  const owner = await Owner.of(store, 0);
  const payload = { op: "putSnapshot", actor: "a/b/c", bytes: bytes("s3cret payload") } as const;
  await redis.kill9();
  await owner.commit(payload).catch(capture);
  assert.equal(seen.length, 4);
  for (const error of seen) {
    assert.ok(error instanceof StoreRefused || error instanceof StoreUnavailable);
    const told = `${error.stack} ${JSON.stringify(error)} ${String(error.cause)}`;
    assert.ok(!/s3cret|wrong-password/.test(told), told);
  }
});

test("[G6] a store URL that names no store is refused", () => {
  const options = { durability: "fsync", shardCount: 8, prefix: "p" } as const;
  for (const url of ["", "mysql://x", "http://x"]) assert.throws(() => openStore(url, options), StoreRefused);
});

test("[G9] rediss:// speaks TLS and knows its server by the authority given", async () => {
  const redis = await redisFor();
  const port = await freePort();
  const { pem, settings } = await selfSigned(redis.dir);
  await redisCommand(redis.port, ["CONFIG", "SET", ...Object.entries(settings).flat(), "tls-port", String(port)]);
  const url = `rediss://localhost:${port}`;
  const store = await open(url, { tlsCa: pem });
  assert.equal(await store.healthy(), true);
  await expect(open(url)).rejects.toThrow(/SELF_SIGNED/);
});

test("a Redis in cluster mode wants the URL of a cluster, and any other does not", async () => {
  const cluster = await redisFor({ busPort: await freePort() });
  await expect(open(cluster.url)).rejects.toThrow("it runs in cluster mode: name it with redis+cluster://");
  const single = await redisFor();
  await expect(open(`redis+cluster://127.0.0.1:${single.port}`)).rejects.toThrow(
    "this Redis does not run in cluster mode: name it with redis://",
  );
});
