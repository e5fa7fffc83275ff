// As an edge: the streams that this node's sessions follow, attached to their shards' owners. What an attachment may
// lose (a cut link, a moved shard) is read from the log: after each one the heads are looked at (rule 9).
import { shardOf } from "../actors/actor-address.ts";
import type { Lane, RunQueue } from "../run-queue.ts";
import type { ActorKey, Fence, Shard, StreamEntry } from "../store/store.ts";
import type { AttachAnswer, PeerNotice, PeerRequest } from "./peer-frames.ts";

export interface AttachmentsOptions {
  readonly shardCount: number;
  /** In whose turns shards are looked after. */
  readonly runQueue: RunQueue;
  nodeId(): string;
  ownerOf(shard: Shard): string | undefined;
  /** Of a shard that is owned here. */
  fenceOf(shard: Shard): Fence | undefined;
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
  /** One request at a time. */
  ask: Ask | undefined;
}

interface Ask {
  readonly owner: string;
  readonly actors: readonly ActorKey[];
}

/** Silence after which an attachment counts as lost. */
const SILENCE_MS = 3_000;
const LOOK_MS = 250;
const ASK_MS = 2_000;
const ACTORS_A_REQUEST = 4_096;

export class Attachments {
  readonly #options: AttachmentsOptions;
  readonly #attachments = new Map<Shard, Attachment>();
  /** Shards that wait to be looked after: each asks for thousands of streams when a link was cut (F19). */
  readonly #due = new Set<Shard>();
  readonly #lane: Lane = { share: 1, step: () => this.#lookAfterNext() };
  #timer: NodeJS.Timeout | undefined;

  constructor(options: AttachmentsOptions) {
    this.#options = options;
  }

  start(): void {
    this.#timer = setInterval(() => this.#lookAfter(this.#attachments.keys()), LOOK_MS).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

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
      // An answer that came before the cut may be heard after it: what it promises hangs on the link that is gone.
      if (attachment.ask?.owner === nodeId) attachment.ask = undefined;
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
        for (const [shard, { fence }] of notice.shards) {
          if (!this.#isCurrent(from, { shard, fence })) this.#outrun(shard, fence);
        }
        return;
      case "detach":
      case "look":
    }
  }

  /** From the owner under the fence of the attachment; older ones are dropped. */
  #isCurrent(from: string, { shard, fence }: { readonly shard: Shard; readonly fence: number }): boolean {
    const attachment = this.#attachments.get(shard);
    if (attachment?.owner !== from || fence < attachment.fence) return false;
    attachment.heardMs = performance.now();
    if (fence > attachment.fence) {
      // Lost and claimed again: its owner may have forgotten who follows, and what happened in between is in the log.
      attachment.fence = fence;
      for (const actor of attachment.actors) attachment.fresh.add(actor);
      this.#lookAfter([shard]);
    }
    return true;
  }

  /** Others know of a later fence than the owner that was asked: it is asked again, and says whose the shard is now. */
  #outrun(shard: Shard, fence: number): void {
    const attachment = this.#attachments.get(shard);
    if (attachment?.owner === undefined || attachment.owner === this.#options.nodeId()) return;
    if (fence > attachment.fence) attachment.owner = undefined;
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
      ask: undefined,
    };
    this.#attachments.set(shard, attachment);
    return attachment;
  }

  #lookAfter(shards: Iterable<Shard>): void {
    for (const shard of shards) this.#due.add(shard);
    if (this.#due.size > 0) this.#options.runQueue.add(this.#lane);
  }

  #lookAfterNext(): boolean {
    for (const shard of this.#due) {
      this.#due.delete(shard);
      const attachment = this.#attachments.get(shard);
      if (attachment !== undefined) this.#attach(shard, attachment);
      break;
    }
    return this.#due.size > 0;
  }

  #attach(shard: Shard, attachment: Attachment): void {
    const { ownerOf, nodeId } = this.#options;
    const owner = ownerOf(shard);
    if (owner === nodeId()) {
      this.#attachHere(shard, attachment, owner);
      return;
    }
    if (attachment.ask !== undefined) return;
    if (attachment.owner !== owner || performance.now() - attachment.heardMs > SILENCE_MS) {
      attachment.owner = undefined;
      for (const actor of attachment.actors) attachment.fresh.add(actor);
    }
    if (attachment.fresh.size === 0 || owner === undefined) return;
    const ask: Ask = { owner, actors: [...attachment.fresh].slice(0, ACTORS_A_REQUEST) };
    attachment.ask = ask;
    // Before the answer: one that is let go of and followed anew meanwhile has to be asked for again.
    for (const actor of ask.actors) attachment.fresh.delete(actor);
    void this.#ask(shard, attachment, ask).finally(() => {
      if (attachment.ask === ask) attachment.ask = undefined;
      this.#detachUnfollowed(shard, ask);
      if (attachment.owner === owner && attachment.fresh.size > 0) this.#attach(shard, attachment);
    });
  }

  /** The gate publishes here itself; what was published before this fence, perhaps elsewhere, is in the log. */
  #attachHere(shard: Shard, attachment: Attachment, here: string): void {
    attachment.owner = here;
    attachment.fresh.clear();
    const fence = this.#options.fenceOf(shard)?.number;
    if (fence === undefined || fence === attachment.fence) return;
    attachment.fence = fence;
    this.#options.lookAt([...attachment.actors]);
  }

  /** Those that were let go of while the owner was asked for them: it may have them. */
  #detachUnfollowed(shard: Shard, { owner, actors: asked }: Ask): void {
    const followed = this.#attachments.get(shard)?.actors;
    const actors = asked.filter((actor) => followed?.has(actor) !== true);
    if (actors.length > 0) this.#options.notify(owner, { kind: "detach", actors });
  }

  async #ask(shard: Shard, attachment: Attachment, ask: Ask): Promise<void> {
    const { request, heard, lookAt } = this.#options;
    // No link or no answer: looked after again in a moment.
    const answer = await request(ask.owner, { kind: "attach", shard, actors: ask.actors }, ASK_MS).then(
      (value) => value as AttachAnswer,
      () => undefined,
    );
    const followed = ask.actors.filter((actor) => attachment.actors.has(actor));
    if (answer?.fence === undefined || attachment.ask !== ask) {
      for (const actor of followed) attachment.fresh.add(actor);
      if (answer !== undefined && answer.fence === undefined) heard(shard, answer.owner);
      return;
    }
    attachment.owner = ask.owner;
    attachment.fence = Math.max(attachment.fence, answer.fence.number);
    attachment.heardMs = performance.now();
    lookAt(followed);
  }
}
