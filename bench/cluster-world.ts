// Real servers on one Redis, with as many groups and key pools as calls in flight, each worker with its own; and what a
// number of calls cost the servers and Redis, wherever the calls are sent. Ends at the first call that fails.
import { randomUUID } from "node:crypto";
import type { ActorAddress } from "../src/actors/actor-port.ts";
import { connect, type AegisClient } from "../src/client/client.ts";
import { groupActorId } from "../src/services/service-ports.ts";
import { ClusterProcess } from "../test/support/cluster-process.ts";
import { foundGroup } from "../test/support/found-group.ts";
import { opaqueMessage } from "../test/support/opaque-messages.ts";
import { redisCommand } from "../test/support/redis-server.ts";
import { buildKeyPackage, credentialOf, newMember, type Member } from "../test/support/synthetic-structs.ts";
import { cpuMicrosOf } from "./process-figures.ts";

export const KINDS = ["group.send", "group.commit", "keyPool.claim", "identity.create"] as const;
export type Kind = (typeof KINDS)[number];

/** To which node a call goes: in turn, to the owner of its actor, to another. */
export type Way = "any" | "local" | "forwarded";

export interface Cost {
  readonly calls: number;
  readonly seconds: number;
  /** Of all nodes together, and of Redis: microseconds of processor time for one call. */
  readonly nodeMicros: number;
  readonly redisMicros: number;
  /** Calls from node to node for one call of a client. */
  readonly forwards: number;
  /** For one call: into Redis, out of it, and what its append-only file grew by. */
  readonly redisBytesIn: number;
  readonly redisBytesOut: number;
  readonly diskBytes: number;
}

interface Lane {
  readonly groupId: Uint8Array;
  groupOwner: number;
  epoch: bigint;
  readonly member: Member;
  readonly clientId: string;
  poolOwner: number;
}

const TTL_MS = 30_000;
const SESSIONS_A_NODE = 2;
const FOUNDED_AT_ONCE = 64;
const PUBLISHED_AT_ONCE = 50;
const HOUR_SECONDS = 3600n;

export class ClusterWorld {
  readonly cluster: ClusterProcess;
  readonly #clients: readonly (readonly AegisClient[])[];
  readonly #applicationId: string;
  readonly #lanes: Lane[] = [];

  private constructor(cluster: ClusterProcess, applicationId: string, clients: readonly (readonly AegisClient[])[]) {
    this.cluster = cluster;
    this.#applicationId = applicationId;
    this.#clients = clients;
  }

  static async start(nodes: number): Promise<ClusterWorld> {
    const cluster = await ClusterProcess.start({ nodes });
    const operator = await connect({ url: cluster.url, token: cluster.operatorToken, ttlMs: TTL_MS });
    const settings = { claimsPerHour: 1_000_000_000 };
    const { applicationId, key } = await operator.application.create({ name: "bench", settings });
    await operator.close();
    const session = (url: string): Promise<AegisClient> => connect({ url, token: key.secret, ttlMs: TTL_MS });
    const sessions = cluster.servers.map(({ url }) =>
      Promise.all(Array.from({ length: SESSIONS_A_NODE }, () => session(url))),
    );
    const world = new ClusterWorld(cluster, applicationId, await Promise.all(sessions));
    await until(async () => (await cluster.nodes()).unowned === 0);
    return world;
  }

  get nodes(): number {
    return this.#clients.length;
  }

  /** So many groups and pools, of which each call in flight has its own. */
  async widen(lanes: number): Promise<void> {
    if (this.#lanes.length >= lanes) return;
    while (this.#lanes.length < lanes) {
      const more = Math.min(FOUNDED_AT_ONCE, lanes - this.#lanes.length);
      const opened = Array.from({ length: more }, async (_, n): Promise<Lane> => {
        const client = this.#client(n, n);
        const groupId = await foundGroup(client);
        const member = newMember(randomUUID());
        const { clientId } = await client.identity.create({ clientIdentity: credentialOf(member) });
        return { groupId, groupOwner: 0, epoch: 0n, member, clientId, poolOwner: 0 };
      });
      this.#lanes.push(...(await Promise.all(opened)));
    }
    await this.lookUpOwners();
  }

  /** Who owns what now, as the store says. */
  async lookUpOwners(): Promise<void> {
    const owned: ((actor: ActorAddress) => boolean)[] = [];
    // One node after another: each look takes a connection a shard.
    for (let n = 0; n < this.nodes; n += 1) owned.push(await this.cluster.ownedBy(n));
    const applicationId = this.#applicationId;
    const ownerOf = (kind: "group" | "identity", id: string): number =>
      owned.findIndex((owns) => owns({ applicationId, kind, id }));
    for (const lane of this.#lanes) {
      lane.groupOwner = ownerOf("group", groupActorId(lane.groupId));
      lane.poolOwner = ownerOf("identity", lane.clientId);
    }
  }

  /** So many calls at once, each on a group or pool of its own, `steps` times one after another. */
  async measure(kind: Kind, way: Way, inFlight: number, steps: number): Promise<Cost> {
    await this.widen(inFlight);
    const lanes = this.#lanes.slice(0, inFlight);
    if (kind === "keyPool.claim") await this.#fillPools(lanes, steps);
    return this.measured(inFlight * steps, async () => {
      await Promise.all(
        lanes.map(async (lane, n) => {
          for (let step = 0; step < steps; step += 1) {
            const owner = kind === "keyPool.claim" ? lane.poolOwner : lane.groupOwner;
            const node = { any: n + step, local: owner, forwarded: owner + 1 + (n % Math.max(this.nodes - 1, 1)) }[way];
            await this.#call(kind, this.#client(node, n), lane);
          }
        }),
      );
    });
  }

  async measured(calls: number, work: () => Promise<void>): Promise<Cost> {
    const before = await this.#counters();
    const began = performance.now();
    await work();
    const seconds = (performance.now() - began) / 1000;
    const after = await this.#counters();
    const each = (name: keyof typeof before): number => (after[name] - before[name]) / calls;
    return {
      calls,
      seconds,
      nodeMicros: each("nodes"),
      redisMicros: each("redis"),
      forwards: each("forwarded"),
      redisBytesIn: each("bytesIn"),
      redisBytesOut: each("bytesOut"),
      diskBytes: each("disk"),
    };
  }

  /** Sum of a metric over all nodes. */
  async metric(name: string): Promise<number> {
    const values = await Promise.all(this.cluster.servers.map((server) => server.metric(name)));
    return values.reduce((sum, value) => sum + value, 0);
  }

  /** A message to a group that this node owns, sent through another; resolves when it is answered. */
  async sendBeside(owner: number): Promise<void> {
    const lane = this.#lanes.find(({ groupOwner }) => groupOwner === owner);
    if (lane === undefined) throw new Error("the node owns none of the groups");
    await this.#call("group.send", this.#client(owner + 1, 0), lane);
  }

  async redisMemoryBytes(): Promise<number> {
    return infoOf(await this.#info(), "used_memory");
  }

  async dispose(): Promise<void> {
    await Promise.all(this.#clients.flat().map((client) => client.close()));
    await this.cluster.dispose();
  }

  async #call(kind: Kind, client: AegisClient, lane: Lane): Promise<void> {
    const { groupId, clientId } = lane;
    switch (kind) {
      case "group.send":
        await client.group.send({ groupId, message: opaqueMessage(groupId, lane.epoch, "application") });
        return;
      case "group.commit":
        await client.group.commit({ groupId, commit: opaqueMessage(groupId, lane.epoch, "commit") });
        lane.epoch += 1n;
        return;
      case "keyPool.claim": {
        const { claimed } = await client.keyPool.claim({ targets: [{ clientId }], allowLastResort: false });
        if (claimed.length !== 1) throw new Error("a pool that had packages gave none");
        return;
      }
      case "identity.create":
        await client.identity.create({ clientIdentity: credentialOf({ ...lane.member, name: randomUUID() }) });
    }
  }

  async #fillPools(lanes: readonly Lane[], each: number): Promise<void> {
    const seconds = BigInt(Math.floor(Date.now() / 1000));
    const leaf = { notBefore: seconds - HOUR_SECONDS, notAfter: seconds + 24n * HOUR_SECONDS };
    for (let done = 0; done < lanes.length; done += FOUNDED_AT_ONCE) {
      const some = lanes.slice(done, done + FOUNDED_AT_ONCE).map(async ({ member, clientId, poolOwner }, n) => {
        for (let left = each; left > 0; left -= PUBLISHED_AT_ONCE) {
          const packages = Array.from({ length: Math.min(left, PUBLISHED_AT_ONCE) }, () =>
            buildKeyPackage(member, { leaf }),
          );
          const keyPackages = packages.map(({ message }) => message);
          const { rejected } = await this.#client(poolOwner, n).keyPool.publish({ clientId, keyPackages });
          if (rejected.length > 0) throw new Error(`a package was rejected: ${rejected[0]?.reason ?? ""}`);
        }
      });
      await Promise.all(some);
    }
  }

  #client(node: number, session: number): AegisClient {
    return this.#clients[node % this.nodes]?.[session % SESSIONS_A_NODE] as AegisClient;
  }

  async #counters() {
    const { servers, redis } = this.cluster;
    const info = await this.#info();
    return {
      nodes: servers.reduce((sum, { pid }) => sum + cpuMicrosOf(pid), 0),
      redis: cpuMicrosOf(redis.pid),
      forwarded: await this.metric("aegis_calls_forwarded_total"),
      bytesIn: infoOf(info, "total_net_input_bytes"),
      bytesOut: infoOf(info, "total_net_output_bytes"),
      disk: infoOf(info, "aof_current_size"),
    };
  }

  async #info(): Promise<string> {
    const sections = ["memory", "stats", "persistence"];
    return (await Promise.all(sections.map((name) => redisCommand(this.cluster.redis.port, ["INFO", name])))).join("");
  }
}

function infoOf(info: string, name: string): number {
  const value = Number(new RegExp(`^${name}:(\\d+)`, "m").exec(info)?.[1]);
  if (Number.isNaN(value)) throw new Error(`redis does not tell ${name}`);
  return value;
}

const LOOK_MS = 10;
const WAIT_MS = 60_000;

/** @throws when it does not come true within a minute */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + WAIT_MS;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error("what was waited for did not come");
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}
