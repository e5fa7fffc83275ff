// Events from a shard's owner to the nodes whose sessions follow its streams: one copy a node. What a relay may lose
// (a cut link, a moved shard) is read from the log: after each attachment the heads are looked at (rule 9).
import { actorKey, parseActorKey, shardOf } from "../actors/actor-address.ts";
import type { ActorKey, Fence, Shard, StreamEntry } from "../store/store.ts";
import type { AttachAnswer, PeerNotice, PeerRequest } from "./peer-frames.ts";

export interface RelaySession {
  readonly nodeId: string;
  notify(notice: PeerNotice): void;
}

export interface EventRelayOptions {
  readonly shardCount: number;
  nodeId(): string;
  fenceOf(shard: Shard): Fence | undefined;
  ownerOf(shard: Shard): string | undefined;
  heard(shard: Shard, owner: string | undefined): void;
  request(nodeId: string, request: PeerRequest, ttlMs: number): Promise<unknown>;
  notify(nodeId: string, notice: PeerNotice): void;
  /** Hands what another node has published to this node's sessions. */
  published(actor: ActorKey, lineage: string, entries: readonly StreamEntry[]): void;
  purged(actor: ActorKey): void;
  /** Looks whether the streams have something that was not heard of. */
  lookAt(actors: readonly ActorKey[]): void;
}

/** Streams of one shard that this node's sessions follow, and the owner that was asked for them. */
interface Attachment {
  readonly actors: Set<ActorKey>;
  /** Actors that the owner has not been asked for yet. */
  readonly fresh: Set<ActorKey>;
  owner: string | undefined;
  fence: number;
  heardMs: number;
  asking: boolean;
}

/** Owners say so often that they are still there. */
const ALIVE_MS = 1_000;
/** Silence after which an attachment counts as lost. */
const SILENCE_MS = 3_000;
const LOOK_MS = 250;
const ASK_MS = 2_000;
const ACTORS_A_REQUEST = 4_096;

export class EventRelay {
  readonly #options: EventRelayOptions;
  /** As an edge: by shard. */
  readonly #attachments = new Map<Shard, Attachment>();
  /** As an owner: who follows what. */
  readonly #followers = new Map<ActorKey, Set<RelaySession>>();
  readonly #shardsOf = new Map<RelaySession, Map<Shard, number>>();
  readonly #timers: NodeJS.Timeout[] = [];

  constructor(options: EventRelayOptions) {
    this.#options = options;
  }

  start(): void {
    this.#timers.push(setInterval(() => this.#lookAfterAttachments(), LOOK_MS).unref());
    this.#timers.push(setInterval(() => this.#sayAlive(), ALIVE_MS).unref());
  }

  stop(): void {
    for (const timer of this.#timers) clearInterval(timer);
  }

  // Edge

  /** The first session of this node follows the actor's stream, or the last one has gone. */
  followed(actor: ActorKey, is: boolean): void {
    if (is) this.#follow(actor);
    else this.#unfollow(actor);
  }

  #follow(actor: ActorKey): void {
    const shard = shardOf(actor, this.#options.shardCount);
    const attachment = this.#attachmentOf(shard);
    attachment.actors.add(actor);
    attachment.fresh.add(actor);
    this.#attach(shard, attachment);
  }

  #unfollow(actor: ActorKey): void {
    const shard = shardOf(actor, this.#options.shardCount);
    const attachment = this.#attachments.get(shard);
    if (attachment?.actors.delete(actor) !== true) return;
    attachment.fresh.delete(actor);
    if (attachment.actors.size === 0) this.#attachments.delete(shard);
    const { owner } = attachment;
    if (owner !== undefined && owner !== this.#options.nodeId()) {
      this.#options.notify(owner, { kind: "detach", actors: [actor] });
    }
  }

  /** A link is gone: what hung on it is attached anew. */
  lost(nodeId: string): void {
    for (const attachment of this.#attachments.values()) {
      if (attachment.owner === nodeId) attachment.owner = undefined;
    }
  }

  /** @param from the node that says so */
  noticed(from: string, notice: PeerNotice): void {
    switch (notice.kind) {
      case "published":
        if (this.#isCurrent(from, notice)) this.#options.published(notice.actor, notice.lineage, notice.entries);
        return;
      case "purged":
        if (this.#isCurrent(from, notice)) this.#options.purged(notice.actor);
        return;
      case "alive":
        for (const [shard, fence] of notice.shards) this.#isCurrent(from, { shard, fence });
        return;
      case "detach":
      case "look":
    }
  }

  /** From the owner under the fence of the attachment; older ones are dropped. */
  #isCurrent(from: string, { shard, fence }: { readonly shard: Shard; readonly fence: number }): boolean {
    const attachment = this.#attachments.get(shard);
    if (attachment?.owner !== from || fence < attachment.fence) return false;
    if (fence > attachment.fence) {
      // It was lost and claimed again: what happened in between is in the log.
      attachment.fence = fence;
      this.#options.lookAt([...attachment.actors]);
    }
    attachment.heardMs = performance.now();
    return true;
  }

  #attachmentOf(shard: Shard): Attachment {
    const present = this.#attachments.get(shard);
    if (present !== undefined) return present;
    const attachment = {
      actors: new Set<ActorKey>(),
      fresh: new Set<ActorKey>(),
      owner: undefined,
      fence: 0,
      heardMs: 0,
      asking: false,
    };
    this.#attachments.set(shard, attachment);
    return attachment;
  }

  #lookAfterAttachments(): void {
    for (const [shard, attachment] of this.#attachments) this.#attach(shard, attachment);
  }

  #attach(shard: Shard, attachment: Attachment): void {
    const { ownerOf, nodeId, lookAt } = this.#options;
    const owner = ownerOf(shard);
    const here = nodeId();
    const isSilent = attachment.owner !== here && performance.now() - attachment.heardMs > SILENCE_MS;
    if (attachment.owner !== owner || isSilent) {
      attachment.owner = undefined;
      for (const actor of attachment.actors) attachment.fresh.add(actor);
    }
    if (attachment.fresh.size === 0 || attachment.asking || owner === undefined) return;
    if (owner === here) {
      // The gate publishes here itself; what it published elsewhere before is in the log.
      attachment.owner = here;
      attachment.fresh.clear();
      lookAt([...attachment.actors]);
      return;
    }
    attachment.asking = true;
    void this.#ask(shard, attachment, owner).finally(() => {
      attachment.asking = false;
      if (attachment.owner === owner && attachment.fresh.size > 0) this.#attach(shard, attachment);
    });
  }

  async #ask(shard: Shard, attachment: Attachment, owner: string): Promise<void> {
    const actors = [...attachment.fresh].slice(0, ACTORS_A_REQUEST);
    let answer: AttachAnswer;
    try {
      answer = (await this.#options.request(owner, { kind: "attach", shard, actors }, ASK_MS)) as AttachAnswer;
    } catch {
      // No link or no answer: looked after again in a moment.
      return;
    }
    if (answer.fence === undefined) {
      this.#options.heard(shard, answer.owner);
      return;
    }
    attachment.owner = owner;
    attachment.fence = Math.max(attachment.fence, answer.fence.number);
    attachment.heardMs = performance.now();
    for (const actor of actors) attachment.fresh.delete(actor);
    this.#options.lookAt(actors.filter((actor) => attachment.actors.has(actor)));
  }

  // Owner

  attach(session: RelaySession, shard: Shard, actors: readonly ActorKey[]): AttachAnswer {
    const fence = this.#options.fenceOf(shard);
    if (fence === undefined) {
      const owner = this.#options.ownerOf(shard);
      return owner === undefined || owner === this.#options.nodeId() ? {} : { owner };
    }
    for (const actor of actors) {
      if (shardOf(actorKey(parseActorKey(actor)), this.#options.shardCount) !== shard) continue;
      const followers = this.#followers.get(actor) ?? new Set();
      if (followers.has(session)) continue;
      this.#followers.set(actor, followers.add(session));
      this.#count(session, shard, 1);
    }
    return { fence };
  }

  detach(session: RelaySession, actors: readonly ActorKey[]): void {
    for (const actor of actors) this.#detach(session, actor);
  }

  /** The session's link is gone. */
  ended(session: RelaySession): void {
    if (!this.#shardsOf.has(session)) return;
    for (const [actor, followers] of this.#followers) if (followers.has(session)) this.#detach(session, actor);
    this.#shardsOf.delete(session);
  }

  /** Called by the gate once the entries are durable, in order for each actor. */
  publish(actor: ActorKey, lineage: string, entries: readonly StreamEntry[]): void {
    const followers = this.#followers.get(actor);
    if (followers === undefined) return;
    const shard = shardOf(actor, this.#options.shardCount);
    const fence = this.#options.fenceOf(shard)?.number ?? 0;
    for (const session of followers) {
      session.notify({ kind: "published", shard, fence, actor, lineage, entries });
    }
  }

  purge(actor: ActorKey): void {
    const shard = shardOf(actor, this.#options.shardCount);
    const fence = this.#options.fenceOf(shard)?.number ?? 0;
    for (const session of this.#followers.get(actor) ?? []) session.notify({ kind: "purged", shard, fence, actor });
  }

  #detach(session: RelaySession, actor: ActorKey): void {
    const followers = this.#followers.get(actor);
    if (followers?.delete(session) !== true) return;
    if (followers.size === 0) this.#followers.delete(actor);
    this.#count(session, shardOf(actor, this.#options.shardCount), -1);
  }

  #count(session: RelaySession, shard: Shard, by: number): void {
    const shards = this.#shardsOf.get(session) ?? new Map<Shard, number>();
    const count = (shards.get(shard) ?? 0) + by;
    if (count > 0) shards.set(shard, count);
    else shards.delete(shard);
    this.#shardsOf.set(session, shards);
  }

  #sayAlive(): void {
    for (const [session, shards] of this.#shardsOf) {
      const owned: [Shard, number][] = [];
      for (const shard of shards.keys()) {
        const fence = this.#options.fenceOf(shard);
        if (fence !== undefined) owned.push([shard, fence.number]);
      }
      if (owned.length > 0) session.notify({ kind: "alive", shards: owned });
    }
  }
}
