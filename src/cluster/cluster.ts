// This node in its cluster: membership, links, the shards that are placed here, the way to those that are not, and
// the streams followed across nodes. Wires the room; each part decides for itself.
import type { ActorPort, Call, Outcome } from "../actors/actor-port.ts";
import { refuse } from "../protocol/errors.ts";
import type { RunQueue } from "../run-queue.ts";
import type { ActorKey, Fence, Shard, ShardMark, Store, StreamEntry } from "../store/store.ts";
import { Attachments } from "./attachments.ts";
import { Followers } from "./followers.ts";
import { Membership, type MembershipEvents, type MembershipTimings } from "./membership.ts";
import { Oversight } from "./oversight.ts";
import { OwnerRounds } from "./owner-rounds.ts";
import { Ownership } from "./ownership.ts";
import { PEER_PATH, type PeerNotice, type PeerRequest } from "./peer-frames.ts";
import type { LinkLimits } from "./peer-link.ts";
import { PeerLinkServer } from "./peer-link-server.ts";
import { PeerService } from "./peer-service.ts";
import type { DialPeer } from "./peer-link-socket.ts";
import { Peers } from "./peers.ts";
import { placement } from "./placement.ts";
import { Router, type RouterLimits } from "./router.ts";
import { ShardKeeper } from "./shard-keeper.ts";
import { Watermarks } from "./watermarks.ts";

export interface ClusterLimits extends LinkLimits, RouterLimits, MembershipTimings {
  /** Within which an owner lets go of a shard; then it is taken. */
  readonly handOverMs: number;
  /** Shards on their way to this node at once. */
  readonly incomingShardsMax: number;
}

export interface ClusterEvents extends MembershipEvents {
  distrusted(cause: string): void;
  /** Stored history of the shard was lost (rule 8). */
  lineageChanged(shard: number): void;
  shardTaken(shard: number): void;
  callForwarded(): void;
  /** How many shards this node owns, and how many it should own and does not yet. */
  shardsCounted(owned: number, missing: number): void;
  bug(where: string, error: unknown): void;
}

/** The actors of this node. */
export interface ClusterHost extends ActorPort {
  acquire(shard: Shard): Promise<boolean>;
  release(shard: Shard): Promise<ShardMark | undefined>;
  fenceOf(shard: Shard): Fence | undefined;
  markOf(shard: Shard): ShardMark | undefined;
  audit(shard: Shard): void;
  readonly shardsOwned: number;
  loseAll(cause: string): void;
  forgetApplication(applicationId: string): void;
}

/** The subscribers of this node. */
export interface ClusterDelivery {
  published(actor: ActorKey, lineage: string, entries: readonly StreamEntry[]): void;
  purged(actor: ActorKey): void;
  lookAt(actors: readonly ActorKey[]): void;
}

export interface ClusterOptions {
  readonly store: Store;
  readonly nodeId: string;
  /** host:port under which other nodes reach this one. */
  address(): string;
  readonly linkKey: Uint8Array;
  /** Connects to another node's address. */
  readonly dial: DialPeer;
  readonly limits: ClusterLimits;
  readonly runQueue: RunQueue;
  readonly events: ClusterEvents;
  /** The store has one process. */
  readonly alone: boolean;
  readonly sabotage?: ReadonlySet<string>;
  /** An operator wants this node to leave and its process to end. */
  drainAsked(): void;
  host(): ClusterHost;
  delivery(): ClusterDelivery;
}

const CLAIM_RETRY_MS = { min: 20, max: 1_000 };
const FORGET_MS = 5_000;

export class Cluster {
  readonly ownership: Ownership;
  readonly #watermarks: Watermarks;
  readonly #rounds: OwnerRounds;
  readonly router: Router;
  readonly attachments: Attachments;
  readonly followers: Followers;
  /** Takes upgrades on a path, by path; none where nobody else can be. */
  readonly upgrades: ReadonlyMap<string, PeerLinkServer["upgrade"]>;
  readonly oversight: Oversight;
  readonly links: PeerLinkServer;
  readonly #options: ClusterOptions;
  readonly #membership: Membership;
  readonly #keeper: ShardKeeper;
  readonly #peers: Peers;
  #placement: readonly (string | undefined)[] = [];
  /** This member has once owned all that was placed on it. */
  #joined = false;
  #lineagesChanged = 0;

  // eslint-disable-next-line max-lines-per-function -- the room's one place of wiring
  constructor(options: ClusterOptions) {
    this.#options = options;
    const { store, limits, runQueue, events } = options;
    this.#watermarks = new Watermarks(store.shardCount);
    const membership = new Membership({
      store,
      nodeId: options.nodeId,
      address: () => options.address(),
      timings: limits,
      alone: options.alone,
      selfFenceOff: options.sabotage?.has("selfFenceOff") === true,
      events,
      changed: () => this.#changed(),
      distrusted: (cause) => {
        this.#joined = false;
        events.distrusted(cause);
        options.host().loseAll(cause);
      },
    });
    this.#membership = membership;
    const peers = new Peers({
      nodeId: () => membership.nodeId,
      linkKey: options.linkKey,
      limits,
      runQueue,
      dial: options.dial,
      noticed: (from, notice) => this.#told(from, notice),
      reached: (nodeId) => membership.reached(nodeId),
      unreached: (nodeId, why) => membership.unreached(nodeId, why),
      lost: (nodeId) => this.attachments.lost(nodeId),
    });
    this.#peers = peers;
    const view = {
      store,
      nodeId: () => membership.nodeId,
      isMember: (nodeId: string) => membership.has(nodeId),
      placedOn: (shard: Shard) => this.#placement[shard],
      fenceOf: (shard: Shard) => options.host().fenceOf(shard),
      request: (nodeId: string, request: PeerRequest, ttlMs: number) => peers.request(nodeId, request, ttlMs),
    };
    this.#rounds = new OwnerRounds({
      shardCount: store.shardCount,
      markOf: (shard) => options.host().markOf(shard),
      hear: (shard, mark) => this.#watermarks.hear(shard, mark),
      tell: (notice) => this.links.tell(notice),
      audit: (shard) => options.host().audit(shard),
    });
    const requestValue = async (nodeId: string, request: PeerRequest, ttlMs: number): Promise<unknown> =>
      (await peers.request(nodeId, request, ttlMs)).value;
    this.router = new Router({
      ...view,
      limits,
      runQueue,
      local: { call: (call) => this.#callHere(call) },
      forwarded: () => events.callForwarded(),
      marked: (shard, mark) => this.#watermarks.hear(shard, mark),
    });
    const ownerOf = (shard: Shard): string | undefined => this.router.ownerOf(shard);
    const streams = { ...view, shardCount: store.shardCount, ownerOf, runQueue };
    this.followers = new Followers(streams);
    this.attachments = new Attachments({
      ...streams,
      heard: (shard, owner) => this.router.heard(shard, owner),
      request: requestValue,
      notify: (nodeId, notice) => peers.notify(nodeId, notice),
      published: (actor, lineage, entries) => options.delivery().published(actor, lineage, entries),
      purged: (actor) => options.delivery().purged(actor),
      lookAt: (actors) => options.delivery().lookAt(actors),
    });
    this.#keeper = new ShardKeeper({
      ...view,
      host: { acquire: (shard) => options.host().acquire(shard), fenceOf: view.fenceOf },
      handOverMs: limits.handOverMs,
      incomingMax: limits.incomingShardsMax,
      trusted: () => membership.trusted,
      request: requestValue,
      shardTaken: events.shardTaken,
      looked: (missing) => events.shardsCounted(options.host().shardsOwned, missing),
      failed: (error) => events.bug("shards", error),
    });
    this.oversight = new Oversight({
      ...view,
      seen: () => membership.seen,
      linked: (nodeId) => peers.stands(nodeId),
      request: requestValue,
      drainHere: () => options.drainAsked(),
    });
    this.ownership = new Ownership({
      store,
      nodeId: view.nodeId,
      address: () => options.address(),
      stance: (shard, owner) => this.#keeper.stance(shard, owner),
      watermarks: this.#watermarks,
      lineageChanged: (shard) => {
        this.#lineagesChanged += 1;
        events.lineageChanged(shard);
      },
      retryMinMs: CLAIM_RETRY_MS.min,
      retryMaxMs: CLAIM_RETRY_MS.max,
    });
    const asked = new PeerService({
      ...view,
      router: this.router,
      followers: this.followers,
      look: () => membership.look(),
      call: (call) => this.#callHere(call),
      release: (shard) => this.#released(shard),
      markOf: (shard) => options.host().markOf(shard),
      forgetApplication: (applicationId) => options.host().forgetApplication(applicationId),
      drainAsked: () => options.drainAsked(),
    });
    this.links = new PeerLinkServer({
      nodeId: view.nodeId,
      linkKey: options.linkKey,
      limits,
      runQueue,
      requested: (session, request, ttlMs) => asked.requested(session, request, ttlMs),
      // What one that has just come can't have heard of: it may claim a shard whose owner is gone.
      opened: (session) => session.notify({ kind: "alive", shards: this.#watermarks.all }),
      noticed: (session, notice) => asked.noticed(session, notice),
      closed: (session) => this.followers.ended(session),
    });
    this.upgrades = options.alone
      ? new Map()
      : new Map([[PEER_PATH, (request, socket, head) => this.links.upgrade(request, socket, head)]]);
  }

  /** Joins the cluster and begins to take shards. @throws StoreUnavailable, StoreRefused */
  async start(): Promise<void> {
    await this.#membership.start();
    this.#peers.tell({ kind: "look" });
    this.#keeper.start();
    this.attachments.start();
    this.followers.start();
    this.#rounds.start();
  }

  /** This node has joined and may be trusted. Shards that move later are no reason to send callers elsewhere. */
  get ready(): boolean {
    if (!this.#membership.trusted) return false;
    this.#joined ||= this.#keeper.complete;
    return this.#joined;
  }

  /** Shards whose history this node found lost since it started. */
  get lineagesChanged(): number {
    return this.#lineagesChanged;
  }

  /** Resolves once this node is ready, or after as long as that may take when others are frozen or gone. */
  async settled(): Promise<void> {
    const { expelMs, handOverMs } = this.#options.limits;
    const until = performance.now() + expelMs + handOverMs;
    while (!this.ready && performance.now() < until) await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }

  /** Lets the others take this node's shards; resolves when they have, or after `withinMs`. */
  async leave(withinMs: number): Promise<void> {
    // The last one serves to the end: what it loses it claims again.
    if (!this.#membership.takers.some(({ nodeId }) => nodeId !== this.#membership.nodeId)) return;
    this.#keeper.stop();
    await this.#membership.leave();
    this.#peers.tell({ kind: "look" });
    const until = performance.now() + withinMs;
    while (this.#options.host().shardsOwned > 0 && performance.now() < until) {
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  }

  /** Cuts the links and strikes this node from the record. */
  async stop(): Promise<void> {
    this.#keeper.stop();
    this.attachments.stop();
    this.followers.stop();
    this.#rounds.stop();
    // A store that is away keeps a record of a node that no longer beats; nobody minds.
    await this.#membership.stop().catch(() => undefined);
    this.#peers.stop();
    this.links.close();
  }

  /** Every node lets go of the application's actors. Rejects unless all have. */
  async forgetApplication(applicationId: string): Promise<void> {
    this.#options.host().forgetApplication(applicationId);
    const request: PeerRequest = { kind: "forgetApplication", applicationId };
    await Promise.all(this.#peers.nodeIds.map((nodeId) => this.#peers.request(nodeId, request, FORGET_MS)));
  }

  /** A node that may not trust itself takes nothing, whatever it still holds. */
  #callHere(call: Call): Promise<Outcome> {
    if (!this.#membership.trusted) return Promise.resolve({ kind: "refused", refusal: refuse("NOT_OWNER") });
    return this.#options.host().call(call);
  }

  /** The shard holds what a newer machine wrote: a node whose machines can read it is to have it (F23). */
  async tooNew(shard: Shard): Promise<void> {
    if (await this.#membership.tooNew(shard)) this.#peers.tell({ kind: "look" });
  }

  /** @returns how far the shard's history is known to go */
  async #released(shard: Shard): Promise<ShardMark | undefined> {
    const mark = await this.#options.host().release(shard);
    if (mark !== undefined) this.#watermarks.hear(shard, mark);
    return this.#watermarks.of(shard);
  }

  #changed(): void {
    this.#placement = placement(this.#options.store.shardCount, this.#membership.takers);
    this.#peers.are(this.#membership.members);
    this.#keeper.look();
  }

  /** By the one at the other end of a link that this node has dialled. */
  #told(from: string, notice: PeerNotice): void {
    if (notice.kind === "alive") for (const [shard, mark] of notice.shards) this.#watermarks.hear(shard, mark);
    this.attachments.noticed(from, notice);
  }
}

const LOOK_MS = 20;
