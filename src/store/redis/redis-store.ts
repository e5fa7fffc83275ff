// The clustered store: a Redis that every node shares. Puts the driver's pieces behind the port.
// Must never read a record and write it back: whatever depends on what is stored is one script.
import { randomBytes } from "node:crypto";
import { digestOf } from "../operation-digest.ts";
import { flawOfBatch } from "../operation-rules.ts";
import { NO_SABOTAGE, type SabotageSwitches } from "../sabotage.ts";
import { SHARD_COUNT_MAX } from "../shard-count.ts";
import {
  type ActorKey,
  type Claimant,
  type ClaimOutcome,
  type CommitOutcome,
  type Durability,
  type Fence,
  Fenced,
  type Hold,
  type LoadedActor,
  type Mark,
  type NodeRecord,
  type Operation,
  type OutboxEntry,
  type OwnerRecord,
  type Shard,
  type Store,
  StoreRefused,
  StoreUnavailable,
  type TagWrite,
  type Timer,
} from "../store.ts";
import type { StoreEvent } from "../store-event.ts";
import { checkDeployment, checkDurability } from "./admission.ts";
import { purgeApplication } from "./application-purge.ts";
import { batchArguments } from "./batch-arguments.ts";
import type { Argument, RedisConnection, Reply } from "./connection.ts";
import { isPrefix, RedisKeys, timerOfMember } from "./keys.ts";
import { PrimaryLanes } from "./primary-lanes.ts";
import type { RedisAccess } from "./redis-access.ts";
import { RedisCluster } from "./redis-cluster.ts";
import { boundsOf, RedisReader } from "./redis-reader.ts";
import { parseRedisUrl } from "./redis-url.ts";
import * as replies from "./replies.ts";
import { loadScripts } from "./scripts.ts";

export interface RedisStoreOptions {
  /** `redis[s]://[user[:password]@]host[:port][/db]`, or sentinels with the primary's name, or servers of a cluster. */
  readonly url: string;
  /** Goes in front of every key: `[A-Za-z0-9:_.-]`, 1–64 characters. */
  readonly prefix: string;
  readonly durability: Durability;
  /** 1 … 16,384; fixed at the first open. */
  readonly shardCount: number;
  /** What the configuration says that this deployment is; another than at the first open is refused (F18). */
  readonly deployment?: string;
  /** The operator answers for durability where Redis does not let its configuration be read. */
  readonly assumeDurability?: boolean;
  /** PEM of the certificate authority of a rediss:// server; the system's when absent. */
  readonly tlsCa?: string;
  /** What the sentinels themselves ask for, if anything. */
  readonly sentinelPassword?: string;
  /** Default 3,000. */
  readonly commandTimeoutMs?: number;
  /** Default 5,000; also how long the first open may take. */
  readonly connectTimeoutMs?: number;
  /** To each primary, 1 … 32. Default 4. */
  readonly connections?: number;
  /** Commands waiting for an answer of one primary. Default 16,384. */
  readonly inFlightMax?: number;
  readonly onEvent?: (event: StoreEvent) => void;
  /** Tests only. */
  readonly sabotage?: SabotageSwitches;
}

/** @throws StoreRefused with what to set, StoreUnavailable when Redis can't be reached */
export async function openRedisStore(options: RedisStoreOptions): Promise<Store> {
  const { shardCount } = options;
  if (!isPrefix(options.prefix)) throw new StoreRefused("a key prefix is 1–64 of A–Z a–z 0–9 : _ . -");
  if (!Number.isInteger(shardCount) || shardCount < 1 || shardCount > SHARD_COUNT_MAX) {
    throw new StoreRefused(`shardCount must be a whole number from 1 to ${SHARD_COUNT_MAX}`);
  }
  const keys = new RedisKeys(options.prefix);
  const sabotage = options.sabotage ?? NO_SABOTAGE;
  const onEvent = options.onEvent ?? (() => undefined);
  const known: { id: string | undefined } = { id: undefined };
  const { route, ...login } = parseRedisUrl(options.url);
  const shared = {
    tlsCa: options.tlsCa,
    sentinelPassword: options.sentinelPassword,
    scripts: loadScripts(sabotage),
    commandTimeoutMs: options.commandTimeoutMs ?? 3000,
    connectTimeoutMs: options.connectTimeoutMs ?? 5000,
    connections: options.connections ?? 4,
    inFlightMax: options.inFlightMax ?? 16_384,
    async admit(fresh: RedisConnection) {
      const { durability, assumeDurability = false, deployment = "" } = options;
      const demand = { durability, assumeDurability, cluster: route.kind === "cluster" };
      const server = sabotage.has("syncOff") ? undefined : await checkDurability(fresh, demand);
      const found = await checkDeployment(fresh, keys, { shardCount, deployment, knownId: known.id });
      // Only the first of several connections finds it empty.
      if (found?.created === true && known.id !== undefined) onEvent({ kind: "historyLost" });
      return { server, deploymentId: found?.deploymentId };
    },
    onAdmitted(deploymentId: string | undefined) {
      if (deploymentId === undefined || deploymentId === known.id) return;
      if (known.id !== undefined) onEvent({ kind: "historyLost" });
      known.id = deploymentId;
    },
  };
  const redis: RedisAccess =
    route.kind === "cluster"
      ? new RedisCluster({
          ...shared,
          login,
          seeds: route.seeds,
          onState: (state, primary) => onEvent({ ...state, primary }),
        })
      : new PrimaryLanes({ ...shared, address: { ...login, route }, onState: onEvent });
  try {
    await redis.open(options.connectTimeoutMs ?? 5000);
    if (known.id === undefined) throw new StoreUnavailable("no primary keeps what the store says about itself");
  } catch (error) {
    await redis.close();
    throw error;
  }
  return new RedisStore(redis, keys, shardCount, () => known.id ?? "");
}

export class RedisStore extends RedisReader implements Store {
  readonly shardCount: number;
  readonly #deploymentId: () => string;

  constructor(redis: RedisAccess, keys: RedisKeys, shardCount: number, deploymentId: () => string) {
    super(redis, keys);
    this.shardCount = shardCount;
    this.#deploymentId = deploymentId;
  }

  get deploymentId(): string {
    return this.#deploymentId();
  }

  async readOwner(shard: Shard): Promise<OwnerRecord | undefined> {
    const fields = ["fence", "nonce", "owner", "address", "lineage", "sequence", "digest"];
    return replies.ownerOf(replies.list(await this.redis.command("HMGET", this.keys.own(shard), ...fields)));
  }

  async claim(shard: Shard, seen: Fence | undefined, claimant: Claimant): Promise<ClaimOutcome> {
    const { nonce, owner, address, freshLineage } = claimant;
    const args = [seen?.number ?? "", seen?.nonce ?? "", nonce, owner, address, freshLineage];
    return this.#withOnceKeys("claim", shard, args, replies.claimOutcomeOf);
  }

  async renewLineage(shard: Shard, fence: Fence, beyond = 0): ReturnType<Store["renewLineage"]> {
    const lineage = randomBytes(16).toString("hex");
    const number = Math.max(fence.number, beyond + 1);
    const args = [fence.number, fence.nonce, lineage, number];
    const done = await this.#withOnceKeys("renew-lineage", shard, args, (reply) => {
      const [code] = replies.list(reply);
      return code === -1 ? undefined : { held: code === 1 };
    });
    if (!done.held) throw new Fenced("the shard has another owner");
    return { lineage, fence: { number, nonce: fence.nonce } };
  }

  async check(shard: Shard, hold: Hold): Promise<boolean> {
    const reply = await this.redis.command("HMGET", this.keys.own(shard), "fence", "nonce", "sequence");
    const [number, nonce, sequence] = replies.list(reply);
    if (replies.textOf(number) !== String(hold.number) || replies.textOf(nonce) !== hold.nonce) return false;
    return Number(replies.textOf(sequence)) >= (hold.sequence ?? 0);
  }

  async commit(shard: Shard, fence: Fence, sequence: number, operations: readonly Operation[]): Promise<CommitOutcome> {
    const flaw = flawOfBatch(operations);
    if (flaw !== undefined) return { kind: "invalid", reason: flaw };
    const { keys, words, bytes } = batchArguments(this.keys, shard, operations);
    const args = [fence.number, fence.nonce, sequence, digestOf(operations), words, ...bytes];
    const reply = await this.redis.script("commit", keys, args);
    return replies.commitOutcomeOf(reply, sequence);
  }

  async load(shard: Shard, hold: Hold, actor: ActorKey, directoryPrefixes: readonly string[]): Promise<LoadedActor> {
    const keys = [this.keys.own(shard), this.keys.actor(shard, actor), this.keys.names(shard, actor)];
    const bounds = directoryPrefixes.flatMap((prefix) => boundsOf(prefix));
    const [snapshot, ...lists] = await this.#held("load", keys, hold, bounds);
    const names = new Set(lists.flatMap((found) => replies.list(found).map(replies.textOf)));
    return { snapshot: replies.bytesOf(snapshot), names: [...names].sort() };
  }

  async readMarksFenced(
    shard: Shard,
    hold: Hold,
    actor: ActorKey,
    names: readonly string[],
  ): Promise<(Mark | undefined)[]> {
    const keys = [this.keys.own(shard), ...names.map((name) => this.keys.mark(shard, actor, name))];
    return (await this.#held("read-marks", keys, hold, [])).map(replies.markOf);
  }

  async readOutbox(shard: Shard, hold: Hold, after: string, limit: number): Promise<OutboxEntry[]> {
    const keys = [this.keys.own(shard), this.keys.outboxIds(shard), this.keys.outbox(shard)];
    const flat = await this.#held("read-outbox", keys, hold, [after === "" ? "-" : `(${after}`, limit]);
    return replies.pairs(flat).map(([id, bytes]) => ({
      id: replies.textOf(id),
      bytes: replies.bytesOf(bytes) ?? new Uint8Array(0),
    }));
  }

  async readTimers(shard: Shard, hold: Hold, limit: number): Promise<Timer[]> {
    if (limit < 1) return [];
    const keys = [this.keys.own(shard), this.keys.timers(shard)];
    const flat = await this.#held("read-timers", keys, hold, [limit - 1]);
    return replies
      .pairs(flat)
      .map(([member, at]) => ({ ...timerOfMember(replies.textOf(member)), at: replies.numberOf(at) }));
  }

  async writeTags(write: TagWrite): Promise<void> {
    const live = new Set(write.tags);
    const dead = new Set(write.removed.filter((tag) => !live.has(tag)));
    const tags = JSON.stringify(write.tags);
    const writeOne = (tag: string, value: string): Promise<Reply> => {
      const keys = this.keys.tag(write.applicationId, tag);
      const args = [write.clientId, write.version, value, TAG_TOMBSTONE_MS];
      return this.redis.script("write-tag", [keys.entries, keys.live, keys.dead], args);
    };
    await Promise.all([...[...live].map((tag) => writeOne(tag, tags)), ...[...dead].map((tag) => writeOne(tag, ""))]);
  }

  purgeApplication(applicationId: string): Promise<void> {
    return purgeApplication(this.redis, this.keys, this.shardCount, applicationId);
  }

  async heartbeat(node: NodeRecord): Promise<NodeRecord[]> {
    const first = node.counter === 1 ? "1" : "";
    const args = [node.nodeId, JSON.stringify(node), first];
    return replies.nodesOf(await this.redis.script("heartbeat", [this.keys.nodes()], args));
  }

  async removeNode(nodeId: string): Promise<void> {
    await this.redis.command("HDEL", this.keys.nodes(), nodeId);
  }

  close(): Promise<void> {
    return this.redis.close();
  }

  /** What follows the script's leading 1. @throws Fenced when it answers 0 */
  async #held(
    name: "load" | "read-marks" | "read-outbox" | "read-timers",
    keys: readonly string[],
    hold: Hold,
    args: readonly Argument[],
  ): Promise<Reply[]> {
    const [code, ...rest] = replies.list(
      await this.redis.script(name, keys, [hold.number, hold.nonce, hold.sequence ?? 0, ...args]),
    );
    if (code !== 1) throw new Fenced("the shard has another owner, or lost what this one wrote");
    return rest;
  }

  /** Calls again with the keys of the one-time parts for as long as the script misses some. */
  async #withOnceKeys<T>(
    name: "claim" | "renew-lineage",
    shard: Shard,
    args: readonly Argument[],
    decode: (reply: Reply) => T | undefined,
  ): Promise<T> {
    const once = this.keys.once(shard);
    // A new lineage always needs them; a claim only when the record is lost.
    let actors = name === "claim" ? [] : await this.#membersOf(once);
    for (;;) {
      const partKeys = actors.flatMap((actor) => [this.keys.parts(shard, actor), this.keys.names(shard, actor)]);
      const keys = [this.keys.own(shard), once, ...partKeys];
      const decoded = decode(await this.redis.script(name, keys, args));
      if (decoded !== undefined) return decoded;
      actors = await this.#membersOf(once);
    }
  }

  async #membersOf(key: string): Promise<ActorKey[]> {
    return replies.list(await this.redis.command("SMEMBERS", key)).map(replies.textOf);
  }
}

const TAG_TOMBSTONE_MS = 24 * 60 * 60 * 1000;
