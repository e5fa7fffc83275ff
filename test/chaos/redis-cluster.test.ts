// The store on a Redis Cluster: primaries fail over one by one, slots move under load, and each server is judged by
// itself. Nothing that was acknowledged is lost or done twice, and the shards of other primaries go on.
import assert from "node:assert/strict";
import { afterEach, expect, test } from "vitest";
import { slotOf } from "../../src/store/redis/cluster-slots.ts";
import { RedisKeys } from "../../src/store/redis/keys.ts";
import { openRedisStore, type RedisStoreOptions } from "../../src/store/redis/redis-store.ts";
import { type Store, StoreRefused, StoreUnavailable } from "../../src/store/store.ts";
import type { StoreEvent } from "../../src/store/store-event.ts";
import { bytes, entry, Owner, text } from "../contract/store-case.ts";
import { freePort } from "../support/free-port.ts";
import { RedisClusterDeployment, type RedisClusterOptions } from "../support/redis-cluster.ts";
import { redisCommand, startRedis } from "../support/redis-server.ts";
import { selfSigned } from "../support/self-signed.ts";

const cleanups: (() => Promise<void>)[] = [];
const actor = "app/group/1";
const keys = new RedisKeys("cluster");
const SHARDS = 64;

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function deploymentFor(options?: RedisClusterOptions): Promise<RedisClusterDeployment> {
  const deployment = await RedisClusterDeployment.start(options);
  cleanups.push(() => deployment.stop());
  return deployment;
}

async function open(url: string, options: Partial<RedisStoreOptions> = {}): Promise<Store> {
  const fixed = { prefix: "cluster", durability: "fsync", shardCount: SHARDS, connectTimeoutMs: 3000 } as const;
  const store = await openRedisStore({ url, ...fixed, ...options });
  cleanups.push(() => store.close());
  return store;
}

/** The first shard whose keys lie on the n-th primary. */
function shardOn(deployment: RedisClusterDeployment, n: number): number {
  const found = Array.from({ length: SHARDS }, (_, shard) => shard).find(
    (shard) => deployment.primaryOf(slotOf(keys.own(shard))) === n,
  );
  if (found === undefined) throw new Error("no such shard");
  return found;
}

async function snapshot(store: Store, shard: number): Promise<string | undefined> {
  return text((await store.readSnapshots([{ shard, actor }]))[0]);
}

/** Appends to the shard's stream without a pause, each entry once, until told to end. */
function appending(owner: Owner): { readonly count: () => number; end(): Promise<number> } {
  let [count, going] = [0, true];
  const run = (async () => {
    while (going) {
      await owner.apply({ op: "append", actor, entry: entry(count + 1) });
      count += 1;
    }
  })();
  // Told by `end`.
  run.catch(() => undefined);
  return {
    count: () => count,
    async end() {
      going = false;
      await run;
      return count;
    },
  };
}

async function expectAppended(store: Store, shard: number, count: number): Promise<void> {
  const { entries } = await store.readStream(shard, actor, { after: 0, limit: count + 1, bytesMax: 1e9 });
  expect(entries.map(({ offset }) => offset)).toEqual(Array.from({ length: count }, (_, index) => index + 1));
}

test.each([
  ["is killed", true],
  ["hangs", false],
])("a primary %s: its shards heal with what was replicated, and those of the others go on", async (_, kill) => {
  const deployment = await deploymentFor({ replicas: true });
  const events: StoreEvent[] = [];
  // So long that whoever waits for an answer of the old primary is found out.
  const store = await open(deployment.url, { commandTimeoutMs: 60_000, onEvent: (event) => events.push(event) });
  const [shard, ...others] = [1, 0, 2].map((n) => shardOn(deployment, n)) as [number, number, number];
  const owner = await Owner.of(store, shard);
  await owner.apply({ op: "putSnapshot", actor, bytes: bytes("before") });
  const loads = await Promise.all(others.map(async (other) => appending(await Owner.of(store, other))));
  await deployment.replicated(1);
  const { primary: old, replica } = deployment.pair(1);

  if (kill) await old.kill9();
  else old.pause();
  // Sent to a server that does not answer: its outcome stays unknown, and it is told so as soon as another is found.
  await assert.rejects(owner.commit({ op: "putSnapshot", actor, bytes: bytes("lost") }), StoreUnavailable);
  await deployment.promoted(1);
  await expect.poll(() => snapshot(store, shard).catch(() => undefined)).toBe("before");
  await owner.apply({ op: "putSnapshot", actor, bytes: bytes("after") });
  for (const [index, load] of loads.entries()) await expectAppended(store, others[index] ?? 0, await load.end());

  if (kill) await old.restart();
  else old.resume();
  await expect.poll(() => redisCommand(old.port, ["INFO", "replication"])).toContain("master_link_status:up");
  await owner.apply({ op: "putSnapshot", actor, bytes: bytes("and on") });
  expect(await snapshot(store, shard)).toBe("and on");
  const names = [old, replica].map(({ port }) => `127.0.0.1:${port}`);
  const told = events.filter((event) => "primary" in event && names.includes(event.primary ?? ""));
  expect(told).toMatchObject([
    { kind: "up", primary: names[0] },
    { kind: "down", primary: names[0] },
    { kind: "up", primary: names[1] },
  ]);
});

test("[G3] a promoted server that can't keep the level is refused until it is set right, and it alone", async () => {
  const deployment = await deploymentFor({ replicas: true });
  const { replica } = deployment.pair(1);
  await redisCommand(replica.port, ["CONFIG", "SET", "appendfsync", "everysec"]);
  const events: StoreEvent[] = [];
  const store = await open(deployment.url, { onEvent: (event) => events.push(event) });
  const [owner, other] = await Promise.all([1, 0].map((n) => Owner.of(store, shardOn(deployment, n))));
  assert.ok(owner !== undefined && other !== undefined);
  await redisCommand(replica.port, ["CLUSTER", "FAILOVER"]);
  const refused = {
    kind: "refused",
    primary: `127.0.0.1:${replica.port}`,
    reason: expect.stringContaining("set appendfsync to always") as string,
  };
  await expect.poll(() => events).toContainEqual(refused);
  await assert.rejects(owner.commit(), StoreUnavailable);
  await other.apply();
  await redisCommand(replica.port, ["CONFIG", "SET", "appendfsync", "always"]);
  await expect.poll(() => events.at(-1)).toMatchObject({ kind: "up", primary: refused.primary });
  await owner.apply();
});

test("a slot moves under load, key by key, there and back: nothing is lost or done twice", async () => {
  const deployment = await deploymentFor();
  const store = await open(deployment.url, { commandTimeoutMs: 20_000 });
  const shard = shardOn(deployment, 0);
  const owner = await Owner.of(store, shard);
  // More keys than one, so that the slot is on both servers for a while.
  for (let n = 0; n < 40; n += 1)
    await owner.apply({ op: "putSnapshot", actor: `app/group/more-${n}`, bytes: bytes(String(n)) });
  const load = appending(owner);
  const slot = slotOf(keys.own(shard));
  for (const [from, to] of [
    [0, 1],
    [1, 2],
    [2, 0],
  ] as const) {
    const before = load.count();
    await deployment.moveSlot(slot, from, to);
    await expect.poll(() => load.count()).toBeGreaterThan(before + 20);
  }
  await expectAppended(store, shard, await load.end());
  for (let n = 0; n < 40; n += 1) {
    const [found] = await store.readSnapshots([{ shard, actor: `app/group/more-${n}` }]);
    expect(text(found)).toBe(String(n));
  }
  const refusals = (
    await Promise.all(deployment.primaries.map(({ port }) => redisCommand(port, ["INFO", "errorstats"])))
  )
    .join("")
    .match(/errorstat_[A-Z]+/g);
  // It was worth the name: the load met the slot on its way.
  expect(refusals).toEqual(expect.arrayContaining(["errorstat_MOVED", "errorstat_TRYAGAIN"]));
});

test("[F18] [G3] [G10] another deployment, a wrong password, a weaker setting are refused; no password is told", async () => {
  const password = "s3cret-of-cluster";
  const deployment = await deploymentFor({ password });
  const ports = deployment.primaries.map(({ port }) => port);
  const dead = await freePort();
  const first = await open(deployment.urlFor([dead, ports[2] ?? 0]), { deployment: "mine" });
  expect(await first.healthy()).toBe(true);
  const refusals = [
    [deployment.url, { shardCount: 8 }, /made with 64 shards; the configuration says 8/],
    [deployment.url, { deployment: "theirs" }, /belongs to another deployment/],
    [deployment.urlFor(ports, ""), {}, /NOAUTH/],
    [deployment.urlFor(ports, ":s3cret-but-wrong@"), {}, /WRONGPASS/],
    [deployment.urlFor([dead]), {}, new RegExp(`127.0.0.1:${dead}: ECONNREFUSED`)],
  ] as const;
  for (const [url, options, reason] of refusals) {
    const refusal = await open(url, { ...options, connectTimeoutMs: 500 }).catch((error: unknown) => error);
    assert.ok(refusal instanceof StoreRefused || refusal instanceof StoreUnavailable);
    expect(refusal.message).toMatch(reason);
    expect(`${String(refusal.stack)} ${JSON.stringify(refusal)}`).not.toMatch(/s3cret/);
  }
  const again = await open(deployment.url, { deployment: "mine" });
  expect(again.deploymentId).toBe(first.deploymentId);
  const [, second] = deployment.primaries;
  assert.ok(second !== undefined);
  await deployment.ask(second, ["CONFIG", "SET", "cluster-allow-reads-when-down", "yes"]);
  await expect(open(deployment.url)).rejects.toThrow("set cluster-allow-reads-when-down to no (it is yes)");
});

test("[G9] rediss+cluster:// speaks TLS with every server", async () => {
  const redis = await startRedis({ busPort: await freePort() });
  cleanups.push(() => redis.stop());
  const { pem, settings } = await selfSigned(redis.dir);
  const port = await freePort();
  const tls = {
    ...settings,
    "tls-port": String(port),
    "tls-cluster": "yes",
    "cluster-announce-tls-port": String(port),
  };
  await redisCommand(redis.port, ["CONFIG", "SET", ...Object.entries(tls).flat()]);
  await redisCommand(redis.port, ["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
  await expect.poll(() => redisCommand(redis.port, ["CLUSTER", "INFO"])).toContain("cluster_state:ok");
  const url = `rediss+cluster://127.0.0.1:${port}`;
  const store = await open(url, { tlsCa: pem });
  await Owner.of(store, 0);
  const quick = { connectTimeoutMs: 500 };
  await expect(open(url, quick)).rejects.toThrow(/SELF_SIGNED/);
  const plain = `rediss+cluster://127.0.0.1:${redis.port}`;
  await expect(open(plain, { tlsCa: pem, ...quick })).rejects.toThrow(StoreUnavailable);
});
