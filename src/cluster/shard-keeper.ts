// Brings to this node the shards that are placed on it: asks their owners to hand them over, and takes them when the
// owner is gone or does not answer in time. Few at a time. The fence alone makes it safe.
import { StoreUnavailable, type Fence, type Shard, type Store } from "../store/store.ts";
import type { PeerRequest } from "./peer-frames.ts";

export interface ShardHost {
  acquire(shard: Shard): Promise<boolean>;
  fenceOf(shard: Shard): Fence | undefined;
}

export interface ShardKeeperOptions {
  readonly store: Pick<Store, "shardCount" | "readOwner">;
  readonly host: ShardHost;
  /** Within which an owner lets go of a shard; then it is taken. */
  readonly handOverMs: number;
  /** Shards on their way to this node at once. */
  readonly incomingMax: number;
  nodeId(): string;
  trusted(): boolean;
  isMember(nodeId: string): boolean;
  placedOn(shard: Shard): string | undefined;
  request(nodeId: string, request: PeerRequest, ttlMs: number): Promise<unknown>;
  shardTaken(shard: Shard): void;
  /** So many shards are placed here and not owned here yet. */
  looked(missing: number): void;
  failed(error: unknown): void;
}

const LOOK_MS = 500;
const ASK_AGAIN_MS = 50;

export class ShardKeeper {
  readonly #options: ShardKeeperOptions;
  readonly #incoming = new Set<Shard>();
  /** Shards that their owner has let go of, or had its time for. */
  readonly #granted = new Set<Shard>();
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(options: ShardKeeperOptions) {
    this.#options = options;
  }

  start(): void {
    this.#timer = setInterval(() => this.look(), LOOK_MS);
    this.#timer.unref();
    this.look();
  }

  stop(): void {
    this.#stopped = true;
    clearInterval(this.#timer);
  }

  /** Every shard that is placed here is owned here. */
  get complete(): boolean {
    return this.#missing().length === 0;
  }

  /** What to do about a shard whose record names `owner` (asked by the one who claims). */
  stance(shard: Shard, owner: string | undefined): "claim" | "wait" | "leave" {
    const { nodeId, trusted, isMember, placedOn } = this.#options;
    if (this.#stopped) return "leave";
    if (!trusted()) return "wait";
    if (placedOn(shard) !== nodeId()) return "leave";
    const isFree = owner === undefined || owner === nodeId() || !isMember(owner);
    return isFree || this.#granted.has(shard) ? "claim" : "leave";
  }

  /** Goes for what is missing; harmless to call at any time. */
  look(): void {
    if (this.#stopped) return;
    const missing = this.#missing();
    this.#options.looked(missing.length);
    if (!this.#options.trusted()) return;
    for (const shard of missing) {
      if (this.#incoming.size >= this.#options.incomingMax) return;
      if (this.#incoming.has(shard)) continue;
      this.#incoming.add(shard);
      void this.#take(shard)
        .catch((error: unknown) => {
          if (!(error instanceof StoreUnavailable)) this.#options.failed(error);
          return false;
        })
        .then((taken) => {
          this.#incoming.delete(shard);
          this.#granted.delete(shard);
          // Only what was taken makes room at once: a store that is away says no without a turn of the event loop, and
          // asking again then would leave nobody else one.
          if (taken && this.#incoming.size < this.#options.incomingMax / 2) this.look();
        });
    }
  }

  #missing(): Shard[] {
    const { store, host, placedOn, nodeId } = this.#options;
    const missing: Shard[] = [];
    for (let shard = 0; shard < store.shardCount; shard += 1) {
      if (placedOn(shard) === nodeId() && host.fenceOf(shard) === undefined) missing.push(shard);
    }
    return missing;
  }

  async #take(shard: Shard): Promise<boolean> {
    const { store, host, nodeId, isMember, handOverMs, shardTaken } = this.#options;
    const until = performance.now() + handOverMs;
    for (;;) {
      const owner = (await store.readOwner(shard))?.owner;
      if (owner === undefined || owner === nodeId() || !isMember(owner)) break;
      const leftMs = until - performance.now();
      if (leftMs <= 0) {
        shardTaken(shard);
        break;
      }
      if (await this.#handedOver(shard, owner, leftMs)) break;
      await new Promise((resolve) => setTimeout(resolve, Math.min(ASK_AGAIN_MS, leftMs)));
    }
    this.#granted.add(shard);
    return host.acquire(shard);
  }

  async #handedOver(shard: Shard, owner: string, leftMs: number): Promise<boolean> {
    try {
      return (
        (await this.#options.request(owner, { kind: "handOver", shard, to: this.#options.nodeId() }, leftMs)) === true
      );
    } catch {
      // No link, or no answer: asked again until it is time to take the shard.
      return false;
    }
  }
}
