// What an operator is told of the cluster through this node, and the wish that a node leave. Reads who owns what from
// the store, and who is here from this node's own view; decides nothing about shards.
import type { NodesOverview, ShardsOverview } from "../protocol/schemas/operator-pages.ts";
import type { NodeRecord, OwnerRecord, Shard, Store } from "../store/store.ts";
import type { PeerRequest } from "./peer-frames.ts";

export type DrainOutcome = "asked" | "unknownNode" | "lastNode" | "unreachable";

export interface SeenNode {
  readonly record: NodeRecord;
  readonly silentMs: number;
}

export interface OversightOptions {
  readonly store: Pick<Store, "shardCount" | "readOwner">;
  nodeId(): string;
  seen(): readonly SeenNode[];
  /** Whether the link to another node stands. */
  linked(nodeId: string): boolean;
  placedOn(shard: Shard): string | undefined;
  request(nodeId: string, request: PeerRequest, ttlMs: number): Promise<unknown>;
  /** Has this process leave and end, as SIGTERM does. */
  drainHere(): void;
}

const READS_AT_ONCE = 128;
const ASK_MS = 5_000;

export class Oversight {
  readonly #options: OversightOptions;

  constructor(options: OversightOptions) {
    this.#options = options;
  }

  /** @throws StoreUnavailable, Error before this node has joined */
  async nodes(): Promise<NodesOverview> {
    const { nodeId, seen, linked } = this.#options;
    if (seen().length === 0) throw new Error("this node has not joined yet");
    const owned = new Map<string, number>();
    for (const record of await this.#owners()) {
      if (record !== undefined) owned.set(record.owner, (owned.get(record.owner) ?? 0) + 1);
    }
    const nodes = seen().map(({ record, silentMs }) => ({
      nodeId: record.nodeId,
      address: record.address,
      leaving: record.leaving,
      reachable: record.nodeId === nodeId() || linked(record.nodeId),
      shards: owned.get(record.nodeId) ?? 0,
      heartbeats: record.counter,
      silentMs: Math.round(silentMs),
    }));
    const here = nodes.reduce((sum, { shards }) => sum + shards, 0);
    const { shardCount } = this.#options.store;
    return { answeredBy: nodeId(), shardCount, unowned: shardCount - here, nodes };
  }

  /** @throws StoreUnavailable */
  async shards(): Promise<ShardsOverview> {
    const { nodeId, placedOn } = this.#options;
    const records = await this.#owners();
    const shards = records.map((record, shard) => {
      const ownerIsMember = record !== undefined && this.#find(record.owner) !== undefined;
      const claim = record && { owner: record.owner, address: record.address, fence: record.fence.number };
      return { shard, ownerIsMember, ...claim, placedOn: placedOn(shard) };
    });
    return { answeredBy: nodeId(), shards };
  }

  /** Has a member leave: here, or by a word over the link. Never the last one that could take its shards. */
  async drain(nodeId: string): Promise<DrainOutcome> {
    const member = this.#find(nodeId);
    if (member === undefined) return "unknownNode";
    if (member.record.leaving) return "asked";
    const stays = ({ record }: SeenNode): boolean => record.nodeId !== nodeId && !record.leaving;
    if (!this.#options.seen().some(stays)) return "lastNode";
    if (nodeId === this.#options.nodeId()) {
      this.#options.drainHere();
      return "asked";
    }
    try {
      return (await this.#options.request(nodeId, { kind: "drain" }, ASK_MS)) === true ? "asked" : "unreachable";
    } catch {
      // No link, or no answer: whoever asks looks at the nodes, or asks again, which does no harm.
      return "unreachable";
    }
  }

  #find(nodeId: string): SeenNode | undefined {
    return this.#options.seen().find(({ record }) => record.nodeId === nodeId);
  }

  async #owners(): Promise<readonly (OwnerRecord | undefined)[]> {
    const { store } = this.#options;
    const owners: (OwnerRecord | undefined)[] = [];
    while (owners.length < store.shardCount) {
      const count = Math.min(READS_AT_ONCE, store.shardCount - owners.length);
      const first = owners.length;
      owners.push(...(await Promise.all(Array.from({ length: count }, (_, n) => store.readOwner(first + n)))));
    }
    return owners;
  }
}
