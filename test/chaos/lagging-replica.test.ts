// A lagging replica is promoted in the place of the primary that went, behind one address, by Sentinel or in a
// cluster: what was acknowledged since is gone. No node may go on as if nothing had happened (rule 8).
import { randomBytes } from "node:crypto";
import { afterEach, beforeEach, expect, test } from "vitest";
import { AegisError, connect, type AegisClient } from "../../src/client/client.ts";
import { CuttingProxy } from "../support/cutting-proxy.ts";
import { MlsClient } from "../support/mls-client.ts";
import { opaqueMessage } from "../support/opaque-messages.ts";
import { RedisClusterDeployment } from "../support/redis-cluster.ts";
import { redisCommand, replicated, startRedis } from "../support/redis-server.ts";
import { SentinelDeployment } from "../support/sentinel-deployment.ts";
import { ServerProcess } from "../support/server-process.ts";

interface Redises {
  readonly url: string;
  /** From now on nothing is replicated: the replica is what a failover finds. */
  stopReplicating(): Promise<void>;
  promote(): Promise<void>;
  stop(): Promise<void>;
}

async function behindOneAddress(): Promise<Redises> {
  const primary = await startRedis();
  const replica = await startRedis({ args: ["--replicaof", "127.0.0.1", String(primary.port)] });
  const proxy = await CuttingProxy.to(primary.port);
  return {
    url: `redis://127.0.0.1:${String(proxy.port)}`,
    async stopReplicating() {
      await replicated(primary.port, replica.port);
      await redisCommand(replica.port, ["REPLICAOF", "NO", "ONE"]);
    },
    async promote() {
      await primary.kill9();
      proxy.retarget(replica.port);
    },
    async stop() {
      await proxy.close();
      await Promise.all([primary.stop(), replica.stop()]);
    },
  };
}

async function bySentinel(): Promise<Redises> {
  const deployment = await SentinelDeployment.start();
  return {
    url: deployment.url,
    stopReplicating: () => deployment.stopReplicating(),
    async promote() {
      await deployment.primary.kill9();
      await deployment.promoted();
    },
    stop: () => deployment.stop(),
  };
}

/** All three primaries at once, so that every shard is struck; each replica takes over, as an operator may order it. */
async function inCluster(): Promise<Redises> {
  const deployment = await RedisClusterDeployment.start({ replicas: true });
  const each = (act: (n: number) => Promise<void>): Promise<unknown> =>
    Promise.all(deployment.primaries.map((_, n) => act(n)));
  return {
    url: deployment.url,
    async stopReplicating() {
      await each((n) => deployment.stopReplicating(n));
    },
    async promote() {
      await each((n) => deployment.pair(n).primary.kill9());
      await each((n) => deployment.takeOver(n));
    },
    stop: () => deployment.stop(),
  };
}

let redises: Redises | undefined;
let servers: ServerProcess[];
let closing: AegisClient[];

beforeEach(() => {
  [redises, servers, closing] = [undefined, [], []];
});

async function start(make: () => Promise<Redises>): Promise<Redises> {
  redises = await make();
  const env = {
    AEGIS_OPERATOR_KEY: `aegis_operator_${randomBytes(32).toString("hex")}`,
    AEGIS_SECRET: randomBytes(32).toString("hex"),
  };
  for (let n = 0; n < 2; n += 1) servers.push(await ServerProcess.start({ redisUrl: redises.url, env }));
  return redises;
}

afterEach(async () => {
  await Promise.all(closing.map((client) => client.close()));
  await Promise.all(servers.map((server) => server.dispose()));
  await redises?.stop();
});

function server(n: number): ServerProcess {
  const found = servers[n];
  if (found === undefined) throw new Error("no such server");
  return found;
}

async function client(n: number, token: string): Promise<AegisClient> {
  const connected = await connect({ url: server(n).url, token, ttlMs: 20_000 });
  closing.push(connected);
  return connected;
}

const PACKAGES = 12;
const ACTORS = 6;

interface Pool {
  readonly clientId: string;
  readonly groupId: Uint8Array;
}

/** Some pools and groups, so that each node owns a few of them. */
async function pools(application: AegisClient): Promise<Pool[]> {
  const made: Pool[] = [];
  for (let n = 0; n < ACTORS; n += 1) {
    const member = await MlsClient.create({ identity: `owner-${String(n)}` });
    const { clientId } = await application.identity.create({ clientIdentity: member.credential });
    const packages = await Promise.all(Array.from({ length: PACKAGES }, () => member.createKeyPackage()));
    await application.keyPool.publish({ clientId, keyPackages: packages.map(({ message }) => message) });
    const groupId = randomBytes(16);
    const groupInfo = await (await member.createGroup(groupId)).groupInfo();
    await application.group.create({ groupInfo, tracking: "ordering", as: clientId });
    made.push({ clientId, groupId });
  }
  return made;
}

async function claim(application: AegisClient, clientId: string): Promise<string | undefined> {
  const { claimed } = await application.keyPool.claim({ targets: [{ clientId }] });
  const ref = claimed[0]?.keyPackageRef;
  return ref && Buffer.from(ref).toString("hex");
}

test.each([
  ["both nodes live", false, behindOneAddress],
  ["the node that wrote is gone as well, and another had heard of it", true, behindOneAddress],
  ["by Sentinel", false, bySentinel],
  ["in a cluster", false, inCluster],
] as const)(
  "[F17] [G2] a lagging replica is promoted, %s: lineages change, loudly, and no package goes out twice",
  async (_, writerDies, make) => {
    const { stopReplicating, promote } = await start(make);
    const operator = await client(1, server(1).operatorToken);
    const settings = { claimsPerHour: 1_000_000 };
    const { key } = await operator.application.create({ name: "failover", settings });
    // Asked through the second node: its answers from the first one's shards tell it how far they go.
    const application = await client(1, key.secret);
    const made = await pools(application);
    const subscription = application.subscribe();
    await subscription.add(made.map(({ groupId: id }) => ({ kind: "group" as const, id })));
    const resets: string[] = [];
    const heard = (async () => {
      for await (const item of subscription) if (item.kind === "reset") resets.push(item.reason);
    })();
    await stopReplicating();

    const handedOut = new Set<string>();
    const positions = new Map<string, { lineage: string; offset: number }>();
    for (const { clientId, groupId } of made) {
      for (let n = 0; n < 3; n += 1) {
        const ref = await claim(application, clientId);
        if (ref !== undefined) handedOut.add(ref);
        const message = opaqueMessage(groupId, 0n, "application");
        const { position } = await application.group.send({ groupId, message });
        positions.set(Buffer.from(groupId).toString("hex"), position);
      }
    }
    expect(handedOut.size).toBe(ACTORS * 3);
    if (writerDies) await server(0).kill9();
    await promote();

    // At once, before any node has looked by itself: what is left of the packages must be gone when they are reached.
    for (const { clientId } of made) {
      const again = await claim(application, clientId).catch((error: unknown) => error);
      if (typeof again === "string") expect(handedOut.has(again)).toBe(false);
      else if (again instanceof AegisError) expect(again.reason).toBe("POOL_EMPTY");
    }
    for (const { groupId } of made) {
      const after = positions.get(Buffer.from(groupId).toString("hex"));
      if (after === undefined) throw new Error("no position");
      const read = () => application.stream.read({ kind: "group", id: groupId, after });
      await expect.poll(async () => (await read()).position.lineage, { timeout: 30_000 }).not.toBe(after.lineage);
      expect(await read()).toMatchObject({ recovered: false, reason: "LINEAGE_CHANGED" });
      await application.group.send({ groupId, message: opaqueMessage(groupId, 0n, "application") });
    }
    const living = writerDies ? [server(1)] : servers;
    const changed = await Promise.all(living.map((each) => each.metric("aegis_lineages_changed_total")));
    expect(changed.reduce((a, b) => a + b, 0)).toBeGreaterThanOrEqual(ACTORS);
    const told = await Promise.all(living.map(async ({ adminUrl }) => (await fetch(`${adminUrl}/readyz`)).text()));
    expect(told.join(" ")).toContain("history lost");
    expect(living.map(({ output }) => output).join("")).toContain("stored history was lost");
    await expect.poll(() => resets.filter((reason) => reason === "LINEAGE_CHANGED").length).toBe(ACTORS);
    await subscription.close();
    await heard;
  },
  180_000,
);
