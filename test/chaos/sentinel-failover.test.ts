// The store on a primary that Sentinel knows: a failover is found, every promoted server is judged like the first, and
// what is wrong with the sentinels is said. Each test waits for sentinels of its own, so they wait together.
import assert from "node:assert/strict";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test, type TestContext } from "vitest";
import { openRedisStore, type RedisStoreOptions } from "../../src/store/redis/redis-store.ts";
import { type Store, StoreRefused, StoreUnavailable } from "../../src/store/store.ts";
import type { StoreEvent } from "../../src/store/store-event.ts";
import { bytes, Owner, text } from "../contract/store-case.ts";
import { CuttingProxy } from "../support/cutting-proxy.ts";
import { freePort } from "../support/free-port.ts";
import { clientsOf } from "../support/redis-clients.ts";
import { launchRedis, redisCommand, replicated, startRedis } from "../support/redis-server.ts";
import { selfSigned } from "../support/self-signed.ts";
import { SentinelDeployment, type SentinelOptions } from "../support/sentinel-deployment.ts";

const actor = "app/group/1";
const CONNECTIONS = 4;

async function deploymentFor(context: TestContext, options?: SentinelOptions): Promise<SentinelDeployment> {
  const deployment = await SentinelDeployment.start(options);
  context.onTestFinished(() => deployment.stop());
  return deployment;
}

async function open(context: TestContext, url: string, options: Partial<RedisStoreOptions> = {}): Promise<Store> {
  const small = { prefix: "failover", shardCount: 8, connections: CONNECTIONS, connectTimeoutMs: 2000 } as const;
  const store = await openRedisStore({ url, durability: "fsync", ...small, ...options });
  context.onTestFinished(() => store.close());
  return store;
}

async function snapshot(store: Store): Promise<string | undefined> {
  return text((await store.readSnapshots([{ shard: 0, actor }]))[0]);
}

test.concurrent.for([
  ["is killed", true],
  ["hangs", false],
] as const)(
  "the primary %s: the promoted one is found, with what was replicated, and the old one is let be",
  async ([, kill], context) => {
    const { expect } = context;
    const deployment = await deploymentFor(context);
    const events: StoreEvent[] = [];
    // So long that whoever waits for an answer of the old primary is found out.
    const store = await open(context, deployment.url, {
      commandTimeoutMs: 60_000,
      onEvent: (event) => events.push(event),
    });
    const owner = await Owner.of(store, 0);
    await owner.apply({ op: "putSnapshot", actor, bytes: bytes("before") });
    await replicated(deployment.primary.port, deployment.replica.port);
    const old = deployment.primary;
    if (kill) await old.kill9();
    else old.pause();
    await deployment.promoted();
    await expect.poll(() => events.at(-1)?.kind === "up" && events.length > 1, { timeout: 20_000 }).toBe(true);
    expect(await snapshot(store)).toBe("before");
    await owner.apply({ op: "putSnapshot", actor, bytes: bytes("after") });

    if (kill) await old.restart();
    else old.resume();
    // The sentinels make the old one a replica of the new one.
    await expect
      .poll(() => redisCommand(old.port, ["INFO", "replication"]), { timeout: 30_000 })
      .toContain("master_link_status:up");
    await owner.apply({ op: "putSnapshot", actor, bytes: bytes("and on") });
    expect(await snapshot(store)).toBe("and on");
    await expect.poll(async () => (await clientsOf(deployment.replica.port)).length).toBe(CONNECTIONS);
    await expect.poll(async () => (await clientsOf(old.port)).length).toBe(0);
    assert.deepEqual(
      events.map(({ kind }) => kind),
      ["up", "down", "up"],
    );
  },
);

test.concurrent(
  "[G3] a promoted server that can't keep the level is refused until it is set right",
  async (context) => {
    const { expect } = context;
    const deployment = await deploymentFor(context);
    await redisCommand(deployment.replica.port, ["CONFIG", "SET", "appendfsync", "everysec"]);
    const events: StoreEvent[] = [];
    const store = await open(context, deployment.url, { onEvent: (event) => events.push(event) });
    const owner = await Owner.of(store, 0);
    await deployment.failover();
    await expect
      .poll(() => events.at(-1), { timeout: 20_000 })
      .toMatchObject({
        kind: "refused",
        reason: expect.stringContaining("set appendfsync to always") as string,
      });
    await assert.rejects(owner.commit(), StoreUnavailable);
    await redisCommand(deployment.replica.port, ["CONFIG", "SET", "appendfsync", "always"]);
    await expect.poll(() => store.healthy(), { timeout: 10_000 }).toBe(true);
    await owner.apply();
  },
);

test.concurrent("[F16] an empty server that is promoted is told as lost history", async (context) => {
  const { expect } = context;
  const deployment = await deploymentFor(context);
  const events: StoreEvent[] = [];
  await deployment.stopReplicating();
  const store = await open(context, deployment.url, { onEvent: (event) => events.push(event) });
  const { deploymentId } = store;
  await Owner.of(store, 0);
  await deployment.primary.kill9();
  await deployment.promoted();
  await expect.poll(() => events.map(({ kind }) => kind), { timeout: 20_000 }).toContain("historyLost");
  await expect.poll(() => store.healthy(), { timeout: 10_000 }).toBe(true);
  expect(store.deploymentId).toBe(deploymentId);
  expect(await store.readOwner(0)).toBe(undefined);
});

test.concurrent(
  "[G10] sentinels that are away, want another password or know no such primary are told, and no password is",
  async (context) => {
    const password = "s3cret-of-sentinels";
    const { expect } = context;
    const deployment = await deploymentFor(context, { password });
    const { ports } = deployment;
    const dead = await freePort();
    const refusals = [
      [deployment.url, undefined, /NOAUTH/],
      [deployment.url, "s3cret-but-wrong", /WRONGPASS/],
      [deployment.urlFor(ports, "other"), password, /No such master with that name/],
      [deployment.urlFor([dead]), password, /failed to connect to sentinel/],
    ] as const;
    for (const [url, sentinelPassword, reason] of refusals) {
      const refusal = await open(context, url, sentinelPassword && { sentinelPassword }).catch(
        (error: unknown) => error,
      );
      assert.ok(refusal instanceof StoreRefused || refusal instanceof StoreUnavailable);
      expect(refusal.message).toMatch(reason);
      expect(`${String(refusal.stack)} ${JSON.stringify(refusal)}`).not.toMatch(/s3cret/);
    }
    const store = await open(context, deployment.urlFor([dead, ports[2] ?? 0]), { sentinelPassword: password });
    await Owner.of(store, 0);
    await deployment.failover();
    await expect.poll(() => store.healthy(), { timeout: 20_000 }).toBe(true);
  },
);

test.concurrent(
  "a sentinel that hangs keeps nobody from asking the others, at the default time limits",
  async (context) => {
    const deployment = await deploymentFor(context);
    const [first = 0, second = 0] = deployment.ports;
    const hanging = await CuttingProxy.to(first);
    context.onTestFinished(() => hanging.close());
    hanging.hold(["toServer", "toClient"]);
    const url = deployment.urlFor([hanging.port, second]);
    const store = await open(context, url, { connectTimeoutMs: 5000, commandTimeoutMs: 5000 });
    await Owner.of(store, 0);
  },
);

test.concurrent("[G9] rediss+sentinel:// speaks TLS with the sentinels and with the primary", async (context) => {
  const { expect } = context;
  const redis = await startRedis();
  context.onTestFinished(() => redis.stop());
  const certificate = await selfSigned(redis.dir);
  const [tlsPort, sentinelPort, sentinelTlsPort] = [await freePort(), await freePort(), await freePort()];
  await redisCommand(redis.port, [
    "CONFIG",
    "SET",
    ...Object.entries(certificate.settings).flat(),
    "tls-port",
    String(tlsPort),
  ]);
  const file = join(redis.dir, "sentinel.conf");
  const settings = {
    ...certificate.settings,
    bind: "127.0.0.1",
    dir: redis.dir,
    port: sentinelPort,
    "tls-port": sentinelTlsPort,
    "tls-replication": "yes",
    "sentinel monitor main": `127.0.0.1 ${tlsPort} 1`,
  };
  await writeFile(
    file,
    Object.entries(settings)
      .map(([name, value]) => `${name} ${value}\n`)
      .join(""),
  );
  const sentinel = await launchRedis(sentinelPort, [file, "--sentinel"]);
  context.onTestFinished(async () => {
    const exit = once(sentinel, "exit");
    sentinel.kill("SIGKILL");
    await exit;
  });
  const url = `rediss+sentinel://127.0.0.1:${sentinelTlsPort}/main`;
  const store = await open(context, url, { tlsCa: certificate.pem });
  await Owner.of(store, 0);
  // Listens for a failover too, once for all connections.
  await expect
    .poll(async () => (await redisCommand(sentinelPort, ["CLIENT", "LIST", "TYPE", "pubsub"])).match(/ sub=1 /g))
    .toEqual([" sub=1 "]);
  await expect(open(context, url)).rejects.toThrow(StoreUnavailable);
  await expect(open(context, `rediss+sentinel://127.0.0.1:${sentinelPort}/main`)).rejects.toThrow(StoreUnavailable);
});
