// As an owner: which nodes follow which streams of the shards that are owned here. They get one copy of each event,
// bound to the fence (rule 9).
import { actorKey, parseActorKey, shardOf } from "../actors/actor-address.ts";
import type { RunQueue } from "../run-queue.ts";
import type { ActorKey, Fence, Shard, StreamEntry } from "../store/store.ts";
import type { AttachAnswer, PeerNotice } from "./peer-frames.ts";

export interface FollowingNode {
  readonly nodeId: string;
  notify(notice: PeerNotice): void;
}

export interface FollowersOptions {
  readonly shardCount: number;
  /** In whose turns a node is forgotten. */
  readonly runQueue: RunQueue;
  nodeId(): string;
  fenceOf(shard: Shard): Fence | undefined;
  ownerOf(shard: Shard): string | undefined;
}

/** Who follows what of one shard that is, or was a moment ago, owned here. */
interface Followed {
  readonly nodesOf: Map<ActorKey, Set<FollowingNode>>;
  /** Rounds for which the shard has not been owned here. */
  unowned: number;
}

const ROUND_MS = 1_000;
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
    this.#timer = setInterval(() => this.#dropUnowned(), ROUND_MS).unref();
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
      followed.nodesOf.set(actor, (followed.nodesOf.get(actor) ?? new Set()).add(node));
    }
    return { fence };
  }

  detach(node: FollowingNode, actors: readonly ActorKey[]): void {
    for (const actor of actors) this.#forget(node, shardOf(actor, this.#options.shardCount), [actor]);
  }

  /** The link that it came by is gone, and takes no more notices: it is forgotten shard by shard (F19). */
  ended(node: FollowingNode): void {
    const shards = this.#followed.entries();
    const step = (): boolean => {
      const next = shards.next();
      if (next.done === true) return false;
      const [shard, { nodesOf }] = next.value;
      this.#forget(node, shard, nodesOf.keys());
      return true;
    };
    this.#options.runQueue.add({ share: 1, step });
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
    const { nodesOf } = followed;
    for (const actor of actors) {
      const nodes = nodesOf.get(actor);
      if (nodes?.delete(node) === true && nodes.size === 0) nodesOf.delete(actor);
    }
    if (nodesOf.size === 0) this.#followed.delete(shard);
  }

  #dropUnowned(): void {
    for (const [shard, followed] of this.#followed) {
      followed.unowned = this.#options.fenceOf(shard) === undefined ? followed.unowned + 1 : 0;
      if (followed.unowned >= UNOWNED_MAX) this.#followed.delete(shard);
    }
  }
}

function freshFollowed(): Followed {
  return { nodesOf: new Map(), unowned: 0 };
}
