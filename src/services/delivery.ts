// The hub between the gate and the sessions' subscriptions: hands on what became durable, and shares the
// store's reads fairly among subscriptions that are behind. Buffers no event: a subscription that can't
// take one keeps its cursor and the store keeps the event (S5, G5).
import type { ActorKey, Shard, Store, StreamEntry } from "../store/store.ts";
import {
  DeliverySubscription,
  type AttachedStream,
  type Credit,
  type DeliveryEvents,
  type DeliveryHub,
  type DeliveryLimits,
  type SubscriptionSink,
} from "./delivery-subscription.ts";

export interface DeliveryOptions {
  readonly store: Pick<Store, "readStream" | "readStreamHead">;
  shardOf(actor: ActorKey): Shard;
  readonly limits: DeliveryLimits;
  readonly events: DeliveryEvents;
  /** The first subscription here follows the actor's stream, or the last one has gone. */
  followed(actor: ActorKey, is: boolean): void;
}

/** After a failed read nobody reads for so long: the store is likely away for all. */
const READ_RETRY_MS = 200;

export class Delivery {
  readonly #options: DeliveryOptions;
  readonly #hub: DeliveryHub;
  readonly #attached = new Map<ActorKey, Set<AttachedStream>>();
  /** Subscriptions with something to read, in the order of their turns. */
  readonly #waiting = new Set<DeliverySubscription>();
  #reads = 0;
  #pause: NodeJS.Timeout | undefined;
  #checks: NodeJS.Timeout | undefined;
  #nextCheck: IterableIterator<ActorKey> | undefined;
  #checking = false;
  /** Streams whose heads are to be looked at before their turn. */
  readonly #toCheck = new Set<ActorKey>();
  #checkingSome = false;
  #checkRetry: NodeJS.Timeout | undefined;

  constructor(options: DeliveryOptions) {
    this.#options = options;
    this.#hub = {
      limits: options.limits,
      events: options.events,
      register: (stream) => this.#register(stream),
      unregister: (stream) => this.#unregister(stream),
      wantsRead: (subscription) => {
        this.#waiting.add(subscription);
        this.#run();
      },
    };
    if (options.limits.streamChecksPerSecond > 0) {
      this.#checks = setInterval(() => void this.#checkHeads(), 1000);
      this.#checks.unref();
    }
  }

  openSubscription(sink: SubscriptionSink, credit: Credit): DeliverySubscription {
    return new DeliverySubscription(this.#hub, sink, credit);
  }

  /** Called by the gate once the entries are durable, in order for each actor. */
  published(actor: ActorKey, lineage: string, entries: readonly StreamEntry[]): void {
    for (const stream of this.#attached.get(actor) ?? []) stream.subscription.publish(stream, lineage, entries);
  }

  /** Looks whether these streams have something that was not heard of: news may have been lost. */
  lookAt(actors: readonly ActorKey[]): void {
    for (const actor of actors) if (this.#attached.has(actor)) this.#toCheck.add(actor);
    void this.#checkSome();
  }

  /** Called by the gate once an actor's stream is gone for good. */
  purged(actor: ActorKey): void {
    for (const stream of this.#attached.get(actor) ?? []) stream.subscription.end(stream, "CLOSED");
  }

  /** Ends every read to come; what is attached stays silent from now on. */
  stop(): void {
    clearInterval(this.#checks);
    clearTimeout(this.#pause);
    clearTimeout(this.#checkRetry);
    this.#attached.clear();
    this.#toCheck.clear();
    this.#waiting.clear();
  }

  #register(stream: AttachedStream): void {
    const streams = this.#attached.get(stream.actor);
    if (streams === undefined) {
      this.#attached.set(stream.actor, new Set([stream]));
      this.#options.followed(stream.actor, true);
    } else streams.add(stream);
    this.#options.events.streamAttached();
  }

  #unregister(stream: AttachedStream): void {
    const streams = this.#attached.get(stream.actor);
    if (streams?.delete(stream) !== true) return;
    if (streams.size === 0) {
      this.#attached.delete(stream.actor);
      this.#options.followed(stream.actor, false);
    }
    this.#options.events.streamDetached();
  }

  #run(): void {
    while (this.#pause === undefined && this.#reads < this.#options.limits.streamReadsMax) {
      const [subscription] = this.#waiting;
      if (subscription === undefined) return;
      this.#waiting.delete(subscription);
      const stream = subscription.nextBehind();
      if (stream === undefined) continue;
      this.#reads += 1;
      this.#options.events.streamRead();
      void this.#read(subscription, stream);
      // Behind all others: one read a turn.
      if (subscription.hungry()) this.#waiting.add(subscription);
    }
  }

  async #read(subscription: DeliverySubscription, stream: AttachedStream): Promise<void> {
    const { store, events } = this.#options;
    const query = subscription.reserve(stream);
    try {
      const read = await store.readStream(this.#options.shardOf(stream.actor), stream.actor, query);
      subscription.giveBack(stream, query);
      subscription.take(stream, query, read);
    } catch (error) {
      subscription.giveBack(stream, query);
      subscription.fallBehind(stream);
      events.deliveryFailed(error);
      this.#pause ??= setTimeout(() => {
        this.#pause = undefined;
        this.#run();
      }, READ_RETRY_MS).unref();
    } finally {
      this.#reads -= 1;
    }
    if (subscription.hungry()) this.#waiting.add(subscription);
    this.#run();
  }

  /** News of a write can be lost between nodes (GUARANTEES, rule 9); the heads in the store can't. */
  async #checkHeads(): Promise<void> {
    if (this.#checking) return;
    this.#checking = true;
    try {
      for (let count = 0; count < this.#options.limits.streamChecksPerSecond; count += 1) {
        const actor = this.#nextActor();
        if (actor === undefined) return;
        await this.#checkHead(actor);
      }
    } catch (error) {
      this.#options.events.deliveryFailed(error);
    } finally {
      this.#checking = false;
    }
  }

  async #checkSome(): Promise<void> {
    // One retry at a time, however many ask while the store is away.
    if (this.#checkingSome || this.#checkRetry !== undefined) return;
    this.#checkingSome = true;
    try {
      while (this.#toCheck.size > 0) await this.#checkNext();
    } catch (error) {
      // The store is likely away for all.
      this.#options.events.deliveryFailed(error);
      this.#checkRetry = setTimeout(() => {
        this.#checkRetry = undefined;
        void this.#checkSome();
      }, READ_RETRY_MS).unref();
    } finally {
      this.#checkingSome = false;
    }
  }

  /** Out of the set before they are looked at: what is said of one meanwhile asks for another look. */
  async #checkNext(): Promise<void> {
    const some: ActorKey[] = [];
    for (const actor of this.#toCheck) {
      if (some.length === this.#options.limits.streamReadsMax) break;
      some.push(actor);
      this.#toCheck.delete(actor);
    }
    try {
      await Promise.all(some.map((actor) => this.#checkHead(actor)));
    } catch (error) {
      for (const actor of some) if (this.#attached.has(actor)) this.#toCheck.add(actor);
      throw error;
    }
  }

  /** Undefined at the end of each round. */
  #nextActor(): ActorKey | undefined {
    this.#nextCheck ??= this.#attached.keys();
    const next = this.#nextCheck.next();
    if (next.done !== true) return next.value;
    this.#nextCheck = undefined;
    return undefined;
  }

  async #checkHead(actor: ActorKey): Promise<void> {
    const before = [...(this.#attached.get(actor) ?? [])].map((stream) => ({ stream, known: stream.known }));
    const { head, lineage } = await this.#options.store.readStreamHead(this.#options.shardOf(actor), actor);
    for (const { stream, known } of before) stream.subscription.checkHead(stream, lineage, head, known);
  }
}
