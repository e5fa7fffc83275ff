// As an owner: which nodes follow which streams of the shards that are owned here. They get one copy of each event,
// bound to the fence, and hear every second that the owner is still there (rule 9).
import { actorKey, parseActorKey, shardOf } from "../actors/actor-address.ts";
import type { ActorKey, Fence, Shard, StreamEntry } from "../store/store.ts";
import type { AttachAnswer, PeerNotice } from "./peer-frames.ts";

export interface FollowingNode {
  readonly nodeId: string;
  notify(notice: PeerNotice): void;
}

export interface FollowersOptions {
  readonly shardCount: number;
  nodeId(): string;
  fenceOf(shard: Shard): Fence | undefined;
  ownerOf(shard: Shard): string | undefined;
}

/** Who follows what of one shard that is, or was a moment ago, owned here. */
interface Followed {
  readonly nodesOf: Map<ActorKey, Set<FollowingNode>>;
  /** How many actors each node follows. */
  readonly counts: Map<FollowingNode, number>;
  /** Rounds of saying so for which the shard has not been owned here. */
  unowned: number;
}

const ALIVE_MS = 1_000;
/** Rounds after which those who follow have heard nothing for so long that they have attached anew. */
const UNOWNED_MAX = 4;

export class Followers {
  readonly #options: FollowersOptions;
  readonly #followed = new Map<Shard, Followed>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: FollowersOptions) {
    this.#options = options;
  }

  start(): void {
    this.#timer = setInterval(() => this.#sayAlive(), ALIVE_MS).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  attach(node: FollowingNode, shard: Shard, actors: readonly ActorKey[]): AttachAnswer {
    const fence = this.#options.fenceOf(shard);
    if (fence === undefined) {
      const owner = this.#options.ownerOf(shard);
      return owner === undefined || owner === this.#options.nodeId() ? {} : { owner };
    }
    const followed = this.#followed.get(shard) ?? freshFollowed();
    this.#followed.set(shard, followed);
    for (const actor of actors) {
      if (shardOf(actorKey(parseActorKey(actor)), this.#options.shardCount) !== shard) continue;
      const nodes = followed.nodesOf.get(actor) ?? new Set();
      if (nodes.has(node)) continue;
      followed.nodesOf.set(actor, nodes.add(node));
      followed.counts.set(node, (followed.counts.get(node) ?? 0) + 1);
    }
    return { fence };
  }

  detach(node: FollowingNode, actors: readonly ActorKey[]): void {
    for (const actor of actors) this.#forget(node, shardOf(actor, this.#options.shardCount), [actor]);
  }

  /** The link that it came by is gone. */
  ended(node: FollowingNode): void {
    for (const [shard, { counts, nodesOf }] of this.#followed) {
      if (counts.has(node)) this.#forget(node, shard, nodesOf.keys());
    }
  }

  /** Called by the gate once the entries are durable, in order for each actor. */
  publish(actor: ActorKey, lineage: string, entries: readonly StreamEntry[]): void {
    this.#send(actor, (shard, fence) => ({ kind: "published", shard, fence, actor, lineage, entries }));
  }

  purge(actor: ActorKey): void {
    this.#send(actor, (shard, fence) => ({ kind: "purged", shard, fence, actor }));
  }

  #send(actor: ActorKey, notice: (shard: Shard, fence: number) => PeerNotice): void {
    const shard = shardOf(actor, this.#options.shardCount);
    const nodes = this.#followed.get(shard)?.nodesOf.get(actor);
    if (nodes === undefined) return;
    const fence = this.#options.fenceOf(shard)?.number ?? 0;
    for (const node of nodes) node.notify(notice(shard, fence));
  }

  #forget(node: FollowingNode, shard: Shard, actors: Iterable<ActorKey>): void {
    const followed = this.#followed.get(shard);
    if (followed === undefined) return;
    const { nodesOf, counts } = followed;
    for (const actor of actors) {
      const nodes = nodesOf.get(actor);
      if (nodes?.delete(node) !== true) continue;
      if (nodes.size === 0) nodesOf.delete(actor);
      const left = (counts.get(node) ?? 0) - 1;
      if (left > 0) counts.set(node, left);
      else counts.delete(node);
    }
    if (counts.size === 0) this.#followed.delete(shard);
  }

  #sayAlive(): void {
    const owned = new Map<FollowingNode, [Shard, number][]>();
    for (const [shard, followed] of this.#followed) {
      const fence = this.#options.fenceOf(shard);
      followed.unowned = fence === undefined ? followed.unowned + 1 : 0;
      if (followed.unowned >= UNOWNED_MAX) this.#followed.delete(shard);
      if (fence === undefined) continue;
      for (const node of followed.counts.keys()) {
        const shards = owned.get(node);
        if (shards === undefined) owned.set(node, [[shard, fence.number]]);
        else shards.push([shard, fence.number]);
      }
    }
    for (const [node, shards] of owned) node.notify({ kind: "alive", shards });
  }
}

function freshFollowed(): Followed {
  return { nodesOf: new Map(), counts: new Map(), unowned: 0 };
}
