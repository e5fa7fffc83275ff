// The simulation's store: the port's promises kept in memory, each call at once and whole. What goes wrong on the way
// to it is store-view.ts's business.
import { digestOf } from "../../src/store/operation-digest.ts";
import { flawOfBatch } from "../../src/store/operation-rules.ts";
import { NO_SABOTAGE, type SabotageSwitches } from "../../src/store/sabotage.ts";
import {
  Fenced,
  type ActorKey,
  type Claimant,
  type ClaimOutcome,
  type CommitOutcome,
  type Fence,
  type Hold,
  type LoadedActor,
  type Mark,
  type NodeRecord,
  type Operation,
  type OutboxEntry,
  type OwnerRecord,
  type Shard,
  type Store,
  type StreamEntry,
  type StreamHead,
  type TagEntry,
  type TagWrite,
  type Timer,
} from "../../src/store/store.ts";
import { SimShard } from "./sim-shard.ts";
import { SimTags } from "./sim-tags.ts";

export interface SimStoreOptions {
  readonly shardCount: number;
  /** The store host's clock, Unix milliseconds. */
  now(): number;
  freshLineage(): string;
  readonly sabotage?: SabotageSwitches;
}

/** What outlives a close. */
export class SimStoreData {
  shards: readonly SimShard[];
  readonly tags = new SimTags();
  readonly nodes = new Map<string, NodeRecord>();

  constructor(shardCount: number) {
    this.shards = Array.from({ length: shardCount }, () => new SimShard());
  }

  /** A replica that follows no further; what it answers makes it the primary: all written since is lost (F17). */
  laggingReplica(): () => void {
    const shards = this.shards.map((shard) => shard.copy());
    return () => {
      this.shards = shards;
    };
  }
}

export class SimStore implements Store {
  readonly deploymentId = "simulation";
  readonly #options: SimStoreOptions;
  readonly #data: SimStoreData;
  readonly #sabotage: SabotageSwitches;

  constructor(options: SimStoreOptions, data = new SimStoreData(options.shardCount)) {
    this.#options = options;
    this.#data = data;
    this.#sabotage = options.sabotage ?? NO_SABOTAGE;
  }

  get shardCount(): number {
    return this.#options.shardCount;
  }

  async time(): Promise<number> {
    return Math.floor(this.#options.now());
  }

  async readOwner(shard: Shard): Promise<OwnerRecord | undefined> {
    return this.#shard(shard).owner;
  }

  async claim(shard: Shard, seen: Fence | undefined, claimant: Claimant): Promise<ClaimOutcome> {
    return this.#shard(shard).claim(seen, claimant);
  }

  async renewLineage(shard: Shard, fence: Fence, beyond = 0): ReturnType<Store["renewLineage"]> {
    const held = this.#held(shard, fence);
    if (held.owner === undefined) throw new Fenced("nobody owns the shard");
    return held.renewLineage(held.owner, this.#options.freshLineage(), beyond);
  }

  async check(shard: Shard, hold: Hold): Promise<boolean> {
    return this.#shard(shard).holds(hold, this.#sabotage);
  }

  async commit(shard: Shard, fence: Fence, sequence: number, operations: readonly Operation[]): Promise<CommitOutcome> {
    const flaw = flawOfBatch(operations);
    if (flaw !== undefined) return { kind: "invalid", reason: flaw };
    const digest = digestOf(operations);
    return this.#shard(shard).commit({ fence, sequence, digest, operations }, this.#sabotage);
  }

  async load(shard: Shard, hold: Hold, actor: ActorKey, directoryPrefixes: readonly string[]): Promise<LoadedActor> {
    const stored = this.#held(shard, hold);
    const names = new Set(directoryPrefixes.flatMap((prefix) => stored.partNames(actor, prefix)));
    return { snapshot: stored.snapshotOf(actor), names: [...names].sort() };
  }

  async readMarksFenced(
    shard: Shard,
    hold: Hold,
    actor: ActorKey,
    names: readonly string[],
  ): Promise<(Mark | undefined)[]> {
    this.#held(shard, hold);
    return this.readMarks(shard, actor, names);
  }

  async readOutbox(shard: Shard, hold: Hold, after: string, limit: number): Promise<OutboxEntry[]> {
    return this.#held(shard, hold).outbox(after, limit);
  }

  async readTimers(shard: Shard, hold: Hold, limit: number): Promise<Timer[]> {
    return this.#held(shard, hold).timers(limit);
  }

  async readSnapshots(
    actors: readonly { readonly shard: Shard; readonly actor: ActorKey }[],
  ): Promise<(Uint8Array | undefined)[]> {
    return actors.map(({ shard, actor }) => this.#shard(shard).snapshotOf(actor));
  }

  async readParts(shard: Shard, actor: ActorKey, names: readonly string[]): Promise<(Uint8Array | undefined)[]> {
    return names.map((name) => this.#shard(shard).part(actor, name));
  }

  async listParts(
    shard: Shard,
    actor: ActorKey,
    query: { readonly prefix: string; readonly after?: string; readonly limit: number; readonly namesOnly?: boolean },
  ): Promise<{ readonly name: string; readonly bytes: Uint8Array }[]> {
    const { prefix, after = "", limit, namesOnly = false } = query;
    const stored = this.#shard(shard);
    const names = stored.partNames(actor, prefix).filter((name) => name > after);
    return names.slice(0, limit).map((name) => ({
      name,
      bytes: (namesOnly ? undefined : stored.part(actor, name)) ?? new Uint8Array(0),
    }));
  }

  async readMarks(shard: Shard, actor: ActorKey, names: readonly string[]): Promise<(Mark | undefined)[]> {
    return names.map((name) => this.#shard(shard).mark(actor, name, this.#options.now()));
  }

  async readStream(
    shard: Shard,
    actor: ActorKey,
    query: { readonly after: number; readonly limit: number; readonly bytesMax: number },
  ): Promise<{ readonly entries: StreamEntry[]; readonly head: StreamHead; readonly lineage: string }> {
    const entries = this.#shard(shard).stream(actor, query.after, query.limit, query.bytesMax);
    return { entries, ...this.#headOf(shard, actor) };
  }

  async readStreamHead(
    shard: Shard,
    actor: ActorKey,
  ): Promise<{ readonly head: StreamHead; readonly lineage: string }> {
    return this.#headOf(shard, actor);
  }

  async writeTags(write: TagWrite): Promise<void> {
    for (const { tag, entry } of tagWritesOf(write)) {
      this.#data.tags.write(write.applicationId, tag, write.clientId, entry);
    }
  }

  async readTag(applicationId: string, tag: string, after: string, limit: number): Promise<TagEntry[]> {
    return this.#data.tags.read(applicationId, tag, after, limit);
  }

  async countTag(applicationId: string, tag: string): Promise<number> {
    return this.#data.tags.count(applicationId, tag);
  }

  async purgeApplication(applicationId: string): Promise<void> {
    for (const shard of this.#data.shards) {
      for (const actor of shard.actors()) if (actor.startsWith(`${applicationId}/`)) shard.forget(actor);
    }
    this.#data.tags.purge(applicationId);
  }

  async heartbeat(node: NodeRecord): Promise<NodeRecord[]> {
    const { nodes } = this.#data;
    if (node.counter === 1 || nodes.has(node.nodeId)) nodes.set(node.nodeId, node);
    return this.readNodes();
  }

  async readNodes(): Promise<NodeRecord[]> {
    return [...this.#data.nodes.values()];
  }

  async removeNode(nodeId: string): Promise<void> {
    this.#data.nodes.delete(nodeId);
  }

  async healthy(): Promise<boolean> {
    return true;
  }

  async close(): Promise<void> {
    // Nothing is held that would have to be given back.
  }

  #shard(shard: Shard): SimShard {
    const found = this.#data.shards[shard];
    if (found === undefined) throw new Error("a shard number is out of range");
    return found;
  }

  #held(shard: Shard, hold: Hold): SimShard {
    const found = this.#shard(shard);
    if (!found.holds(hold, this.#sabotage)) throw new Fenced("the shard has another owner");
    return found;
  }

  #headOf(shard: Shard, actor: ActorKey): { readonly head: StreamHead; readonly lineage: string } {
    const stored = this.#shard(shard);
    return { head: stored.head(actor), lineage: stored.owner?.lineage ?? "" };
  }
}

/** A write of tags as the writes of single tags that it is made of: each is atomic, all together are not. */
export function tagWritesOf({ version, tags, removed }: TagWrite) {
  const live = new Set(tags);
  const dead = new Set(removed.filter((tag) => !live.has(tag)));
  return [
    ...[...live].map((tag) => ({ tag, entry: { version, live: true, tags } })),
    ...[...dead].map((tag) => ({ tag, entry: { version, live: false, tags: [] } })),
  ];
}
