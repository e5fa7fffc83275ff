// Several connections to one primary are one to the outside: the order within a shard, one state, one fate.
import assert from "node:assert/strict";
import { afterEach, expect, test } from "vitest";
import type { Admitted, ConnectionState } from "../../src/store/redis/connection.ts";
import { PrimaryLanes, type PrimaryLanesOptions } from "../../src/store/redis/primary-lanes.ts";
import { openRedisStore, type RedisStoreOptions } from "../../src/store/redis/redis-store.ts";
import { loadScripts } from "../../src/store/redis/scripts.ts";
import { NO_SABOTAGE } from "../../src/store/sabotage.ts";
import { type Store, StoreRefused, StoreUnavailable } from "../../src/store/store.ts";
import type { StoreEvent } from "../../src/store/store-event.ts";
import { clientsOf } from "../support/redis-clients.ts";
import { redisCommand, type RedisServer, type RedisServerOptions, startRedis } from "../support/redis-server.ts";
import { applied, bytes, Owner, takeShard, text } from "./store-case.ts";

const SHARDS = 16;
const LANES = 4;
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
  const fixed = { prefix: "lanes", durability: "fsync", shardCount: SHARDS, connections: LANES } as const;
  const store = await openRedisStore({ url, ...fixed, ...options });
  cleanups.push(() => store.close());
  return store;
}

/** Lanes that the test itself admits. */
function lanesTo(
  redis: RedisServer,
  options: Partial<PrimaryLanesOptions> & Pick<PrimaryLanesOptions, "admit">,
): { readonly lanes: PrimaryLanes; readonly states: ConnectionState[]; readonly admitted: unknown[] } {
  const [states, admitted]: [ConnectionState[], unknown[]] = [[], []];
  const lanes = new PrimaryLanes({
    address: {
      route: { kind: "server", host: "127.0.0.1", port: redis.port },
      username: undefined,
      password: undefined,
      db: 0,
      tls: false,
    },
    tlsCa: undefined,
    sentinelPassword: undefined,
    scripts: loadScripts(NO_SABOTAGE),
    commandTimeoutMs: 5000,
    connectTimeoutMs: 5000,
    connections: LANES,
    inFlightMax: 1000,
    onAdmitted: (deploymentId) => admitted.push(deploymentId),
    onState: (state) => states.push(state),
    ...options,
  });
  cleanups.push(() => lanes.close());
  return { lanes, states, admitted };
}

const all = (): number[] => Array.from({ length: SHARDS }, (_, shard) => shard);

test("shards share the connections, and each has its commands executed in the order in which they were sent", async () => {
  const redis = await redisFor();
  const store = await open(redis.url);
  const owners = await Promise.all(all().map((shard) => Owner.of(store, shard)));
  await redisCommand(redis.port, ["CLIENT", "PAUSE", "60000", "WRITE"]);
  // Nothing is waited for: only the order keeps a batch from being refused for a gap, and a read from being too early.
  const answered = Promise.all(
    owners.flatMap(({ shard, fence, sequence }) =>
      Array.from({ length: 50 }, async (_, index) => {
        const value = { op: "putSnapshot", actor: ACTOR, bytes: bytes(String(index)) } as const;
        const commit = store.commit(shard, fence, sequence + 1 + index, [value]);
        const read = store.readSnapshots([{ shard, actor: ACTOR }]);
        assert.equal(applied(await commit).sequence, sequence + 1 + index);
        assert.equal(text((await read)[0]), String(index));
      }),
    ),
  );
  answered.catch(() => undefined);
  const busy = async (): Promise<number> =>
    (await clientsOf(redis.port)).filter(({ command }) => command.startsWith("eval")).length;
  await expect.poll(busy).toBe(LANES);
  await redisCommand(redis.port, ["CLIENT", "UNPAUSE"]);
  await answered;
});

test("one connection is lost: what is on its way over all of them fails, and all are made anew", async () => {
  const redis = await redisFor();
  const events: StoreEvent[] = [];
  const store = await open(redis.url, { onEvent: (event) => events.push(event) });
  const owners = await Promise.all(all().map((shard) => Owner.of(store, shard)));
  const before = await clientsOf(redis.port);
  await redisCommand(redis.port, ["CLIENT", "PAUSE", "60000", "WRITE"]);
  const lost = owners.map((owner) =>
    assert.rejects(owner.commit({ op: "putSnapshot", actor: ACTOR, bytes: bytes("lost") }), StoreUnavailable),
  );
  await redisCommand(redis.port, ["CLIENT", "KILL", "ID", before[1]?.id ?? ""]);
  await Promise.all(lost);
  assert.equal(events.at(-1)?.kind, "down");
  await redisCommand(redis.port, ["CLIENT", "UNPAUSE"]);
  await expect.poll(() => store.healthy()).toBe(true);
  assert.deepEqual(
    events.map(({ kind }) => kind),
    ["up", "down", "up"],
  );
  const after = await clientsOf(redis.port);
  assert.equal(after.length, LANES);
  expect(after.filter(({ id }) => before.some((client) => client.id === id))).toEqual([]);
  for (const shard of all()) await takeShard(store, shard);
});

test("[G9] an application's keys are looked for after what was on its way over other connections", async () => {
  const redis = await redisFor();
  const store = await open(redis.url);
  const owner = await Owner.of(store, 0);
  await redisCommand(redis.port, ["CLIENT", "PAUSE", "60000", "WRITE"]);
  const written = owner.apply({ op: "putSnapshot", actor: ACTOR, bytes: bytes("late") });
  const purged = store.purgeApplication("app");
  const asked = async (): Promise<number> =>
    (await clientsOf(redis.port)).filter(({ command }) => !command.startsWith("eval")).length;
  await expect.poll(asked).toBe(LANES - 1);
  await redisCommand(redis.port, ["CLIENT", "UNPAUSE"]);
  await Promise.all([written, purged]);
  assert.deepEqual(await store.readSnapshots([{ shard: 0, actor: ACTOR }]), [undefined]);
});

test("nothing is sent before the last connection is admitted", async () => {
  const redis = await redisFor();
  const waiting: ((admitted: Admitted) => void)[] = [];
  const admit = (): Promise<Admitted> => new Promise((resolve) => waiting.push(resolve));
  const { lanes, states, admitted } = lanesTo(redis, { admit });
  const opening = lanes.open(20_000);
  await expect.poll(() => waiting.length).toBe(LANES);
  const found = { server: "one", deploymentId: "d" };
  for (const resolve of waiting.slice(1)) resolve(found);
  for (const key of ["{s1}", "{s2}", "{s3}", "{s4}", "{s5}", "{s6}"])
    await assert.rejects(lanes.command("GET", key), StoreUnavailable);
  assert.deepEqual([states, admitted, lanes.state.kind], [[], [], "down"]);
  waiting[0]?.(found);
  await opening;
  assert.deepEqual([states, admitted], [[{ kind: "up" }], ["d"]]);
  assert.equal(await lanes.command("GET", "{s1}"), null);
});

test("connections that lead to different servers are all made again, until they lead to one", async () => {
  const redis = await redisFor();
  let [admissions, moved] = [0, false];
  const { lanes, states, admitted } = lanesTo(redis, {
    admit() {
      admissions += 1;
      const server = admissions % LANES === 0 && !moved ? "the old primary" : "the new primary";
      return Promise.resolve({ server, deploymentId: "d" });
    },
  });
  const opening = lanes.open(20_000);
  await expect.poll(() => admissions).toBeGreaterThan(2 * LANES);
  assert.deepEqual([states, admitted], [[], []]);
  moved = true;
  await opening;
  assert.deepEqual([states, admitted], [[{ kind: "up" }], ["d"]]);
});

test("a connection that is refused keeps all of them shut, and is told once", async () => {
  const redis = await redisFor();
  let admissions = 0;
  let refuses = true;
  const { lanes, states } = lanesTo(redis, {
    admit() {
      admissions += 1;
      if (refuses && admissions % 2 === 0) return Promise.reject(new StoreRefused("set it right"));
      return Promise.resolve({ server: "one", deploymentId: undefined });
    },
  });
  await expect(lanes.open(20_000)).rejects.toThrow(new StoreRefused("set it right"));
  await assert.rejects(lanes.command("GET", "key"), /set it right/);
  refuses = false;
  await expect.poll(() => lanes.state.kind).toBe("up");
  assert.deepEqual(
    states.map(({ kind }) => kind),
    ["refused", "up"],
  );
});

test("a server that takes fewer connections is no store, and says why", async () => {
  const redis = await redisFor({ args: ["--maxclients", String(LANES - 1)] });
  await expect(open(redis.url, { connectTimeoutMs: 1000 })).rejects.toThrow(/max number of clients|refused with ERR/);
  await expect
    .poll(() => open(redis.url, { connections: LANES - 2 }).catch((error: unknown) => error))
    .toHaveProperty("shardCount", SHARDS);
});

test("commands without an answer are counted over all connections", async () => {
  const redis = await redisFor();
  const { lanes } = lanesTo(redis, {
    admit: () => Promise.resolve({ server: "one", deploymentId: undefined }),
    inFlightMax: 6,
  });
  await lanes.open(20_000);
  await redisCommand(redis.port, ["CLIENT", "PAUSE", "60000", "WRITE"]);
  const waiting = ["a", "b", "c", "d", "e", "f"].map((key) => lanes.command("SET", key, "1"));
  await assert.rejects(lanes.command("SET", "g", "1"), /too many commands/);
  await redisCommand(redis.port, ["CLIENT", "UNPAUSE"]);
  await Promise.all(waiting);
  await lanes.command("SET", "g", "1");
});

test.each([
  ["empty", ["FLUSHALL"]],
  ["as another store", ["HSET", "lanes:{meta}", "deploymentId", "another"]],
])("[F16] a server that comes back %s is told as lost history once", async (_, change) => {
  const redis = await redisFor();
  const events: StoreEvent[] = [];
  const store = await open(redis.url, { onEvent: (event) => events.push(event) });
  await redisCommand(redis.port, change);
  await redisCommand(redis.port, ["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
  await expect.poll(() => events.filter(({ kind }) => kind === "up").length).toBe(2);
  assert.deepEqual(
    events.map(({ kind }) => kind),
    ["up", "down", "historyLost", "up"],
  );
  assert.equal(store.deploymentId === "another", change.includes("another"));
});

test("connections over which nothing is sent stay, although Redis closes idle ones", async () => {
  const redis = await redisFor({ args: ["--timeout", "3"] });
  const events: StoreEvent[] = [];
  await open(redis.url, { onEvent: (event) => events.push(event) });
  await expect
    .poll(async () => (await clientsOf(redis.port)).filter(({ ageSeconds }) => ageSeconds > 5).length, {
      timeout: 20_000,
    })
    .toBe(LANES);
  assert.deepEqual(
    events.map(({ kind }) => kind),
    ["up"],
  );
});
