// Streams that one node's sessions follow at another's, over a real link between the two; their store is in memory. One
// process has both ends.
import { createServer, type Server } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { expect } from "vitest";
import { shardOf } from "../../src/actors/actor-address.ts";
import { Attachments } from "../../src/cluster/attachments.ts";
import { Followers } from "../../src/cluster/followers.ts";
import { PeerLinkServer, type PeerSession } from "../../src/cluster/peer-link-server.ts";
import { webSocketDialer } from "../../src/cluster/peer-link-socket.ts";
import type { PeerAnswer, PeerNotice, PeerRequest } from "../../src/cluster/peer-frames.ts";
import { Peers } from "../../src/cluster/peers.ts";
import { LIMIT_SETTINGS } from "../../src/limit-settings.ts";
import { RunQueue } from "../../src/run-queue.ts";
import { Delivery } from "../../src/services/delivery.ts";
import type { ActorKey, Fence } from "../../src/store/store.ts";
import { SILENT_DELIVERY, StreamWorld } from "./stream-world.ts";

const [EDGE, OWNER] = ["edge", "owner"];
const SHARDS = 256;
const LINK_KEY = new Uint8Array(32).fill(1);
const FENCE: Fence = { number: 1, nonce: "n" };
const ALIVE_MS = 1_000;

const limits = {
  peerRequestsMax: LIMIT_SETTINGS.peerRequestsMax.fallback,
  peerMessageBytesMax: LIMIT_SETTINGS.peerMessageBytesMax.fallback,
  peerQueueBytesMax: LIMIT_SETTINGS.peerQueueBytesMax.fallback,
  streamReadsMax: LIMIT_SETTINGS.streamReadsMax.fallback,
  streamReadEventsMax: LIMIT_SETTINGS.streamReadEventsMax.fallback,
  streamReadBytesMax: LIMIT_SETTINGS.streamReadBytesMax.fallback,
  streamChecksPerSecond: 0,
};

export class StreamsOverLink {
  readonly runQueue = new RunQueue({ turnMs: LIMIT_SETTINGS.loopTurnMs.fallback });
  readonly store = new StreamWorld();
  readonly delivery: Delivery;
  /** What the owner has been asked for and not told to let go of. */
  readonly followed = new Set<ActorKey>();
  /** Sessions that have ended at the owner. */
  ended = 0;
  readonly followers: Followers;
  readonly #attachments: Attachments;
  readonly #server: PeerLinkServer;
  readonly #peers: Peers;
  readonly #http: Server = createServer();
  readonly #connections = new Set<Socket>();
  #alive: NodeJS.Timeout | undefined;

  constructor() {
    const { runQueue } = this;
    this.store.atOnce = true;
    const both = { shardCount: SHARDS, runQueue, ownerOf: () => OWNER };
    this.followers = new Followers({ ...both, nodeId: () => OWNER, fenceOf: () => FENCE });
    this.#attachments = new Attachments({
      ...both,
      nodeId: () => EDGE,
      fenceOf: () => undefined,
      heard: () => undefined,
      request: async (nodeId, request, ttlMs) => (await this.#peers.request(nodeId, request, ttlMs)).value,
      notify: (nodeId, notice) => this.#peers.notify(nodeId, notice),
      published: (actor, lineage, entries) => this.delivery.published(actor, lineage, entries),
      purged: (actor) => this.delivery.purged(actor),
      lookAt: (actors) => this.delivery.lookAt(actors),
    });
    this.delivery = new Delivery({
      store: this.store,
      shardOf: (actor) => shardOf(actor, SHARDS),
      limits,
      events: SILENT_DELIVERY,
      followed: (actor, is) => this.#attachments.followed(actor, is),
    });
    const link = { linkKey: LINK_KEY, limits, runQueue };
    this.#server = new PeerLinkServer({
      ...link,
      nodeId: () => OWNER,
      requested: (session, request) => this.#requested(session, request),
      opened: () => undefined,
      noticed: (session, notice) => this.#noticed(session, notice),
      closed: (session) => {
        this.ended += 1;
        this.followed.clear();
        this.followers.ended(session);
      },
    });
    this.#peers = new Peers({
      ...link,
      nodeId: () => EDGE,
      dial: webSocketDialer(limits),
      noticed: (from, notice) => this.#attachments.noticed(from, notice),
      reached: () => undefined,
      unreached: () => undefined,
      lost: (nodeId) => this.#attachments.lost(nodeId),
    });
  }

  async start(): Promise<this> {
    this.#http.on("connection", (socket) => this.#connections.add(socket));
    this.#http.on("upgrade", (request, socket, head) => this.#server.upgrade(request, socket, head));
    await new Promise<void>((resolve) => this.#http.listen(0, "127.0.0.1", resolve));
    const { port } = this.#http.address() as AddressInfo;
    this.#peers.are([{ nodeId: OWNER, address: `127.0.0.1:${String(port)}` }]);
    await expect.poll(() => this.#peers.stands(OWNER)).toBe(true);
    this.#attachments.start();
    const mark = { lineage: "lineage-1", fence: FENCE.number, sequence: 0 };
    const shards = Array.from({ length: SHARDS }, (_, shard) => [shard, mark] as const);
    this.#alive = setInterval(() => this.#server.tell({ kind: "alive", shards }), ALIVE_MS);
    return this;
  }

  cutLink(): void {
    for (const connection of this.#connections) connection.destroy();
    this.#connections.clear();
  }

  async stop(): Promise<void> {
    clearInterval(this.#alive);
    this.#attachments.stop();
    this.delivery.stop();
    this.#peers.stop();
    this.#server.close();
    await new Promise((resolve) => this.#http.close(resolve));
  }

  #requested(session: PeerSession, request: PeerRequest): Promise<PeerAnswer> {
    if (request.kind !== "attach") return Promise.reject(new Error("streams only"));
    for (const actor of request.actors) this.followed.add(actor);
    const value = this.followers.attach(session, request.shard, request.actors);
    return Promise.resolve({ value, settled: Promise.resolve(true) });
  }

  #noticed(session: PeerSession, notice: PeerNotice): void {
    if (notice.kind !== "detach") return;
    for (const actor of notice.actors) this.followed.delete(actor);
    this.followers.detach(session, notice.actors);
  }
}
