// The links to the other members: one each, made and ended as members come and go.
import type { RunQueue } from "../run-queue.ts";
import type { PeerAnswer, PeerNotice, PeerRequest } from "./peer-frames.ts";
import { NotSent, PeerLink, type LinkLimits } from "./peer-link.ts";
import type { DialPeer } from "./peer-link-socket.ts";

export interface PeersOptions {
  /** This node's id now. */
  nodeId(): string;
  readonly linkKey: Uint8Array;
  readonly limits: LinkLimits;
  readonly runQueue: RunQueue;
  readonly dial: DialPeer;
  noticed(from: string, notice: PeerNotice): void;
  reached(nodeId: string): void;
  /** @param why for an operator to act on */
  unreached(nodeId: string, why: string): void;
  /** What hung on the link to it has to hang on another. */
  lost(nodeId: string): void;
}

export class Peers {
  readonly #options: PeersOptions;
  readonly #links = new Map<string, PeerLink>();

  constructor(options: PeersOptions) {
    this.#options = options;
  }

  get nodeIds(): readonly string[] {
    return [...this.#links.keys()];
  }

  /** Whether the link to another node stands. */
  stands(nodeId: string): boolean {
    return this.#links.get(nodeId)?.stands === true;
  }

  /** @throws NotSent, NotAnswered, or Error with what went wrong over there */
  request(nodeId: string, request: PeerRequest, ttlMs: number): Promise<PeerAnswer> {
    const link = this.#links.get(nodeId);
    if (link === undefined) return Promise.reject(new NotSent("no such node"));
    return link.request(request, ttlMs);
  }

  notify(nodeId: string, notice: PeerNotice): void {
    this.#links.get(nodeId)?.notify(notice);
  }

  tell(notice: PeerNotice): void {
    for (const link of this.#links.values()) link.notify(notice);
  }

  /** @param members all of them, this node or not */
  are(members: readonly { readonly nodeId: string; readonly address: string }[]): void {
    const others = new Map(members.map(({ nodeId, address }) => [nodeId, address]));
    others.delete(this.#options.nodeId());
    for (const [nodeId, link] of this.#links) {
      if (others.has(nodeId)) continue;
      this.#links.delete(nodeId);
      this.#options.lost(nodeId);
      link.stop();
    }
    for (const [nodeId, address] of others) if (!this.#links.has(nodeId)) this.#link(nodeId, address);
  }

  stop(): void {
    for (const link of this.#links.values()) link.stop();
    this.#links.clear();
  }

  #link(nodeId: string, address: string): void {
    const { nodeId: from, linkKey, limits, runQueue, dial, noticed, reached, unreached, lost } = this.#options;
    const link = new PeerLink({
      from,
      to: nodeId,
      address,
      linkKey,
      limits,
      runQueue,
      dial,
      notice: (notice) => noticed(nodeId, notice),
      reached: () => {
        reached(nodeId);
        link.notify({ kind: "look" });
      },
      unreached: (why) => unreached(nodeId, why),
      closed: () => lost(nodeId),
    });
    this.#links.set(nodeId, link);
  }
}
