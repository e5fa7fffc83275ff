// The subscriptions of one session: the methods that open, fill and close them, and the frames ACK and
// CREDIT (S2–S5). Numbers live as long as the session and are never used twice in it.
import { refuse, type Refusal } from "../protocol/errors.ts";
import type { AckFrame, CreditFrame } from "../protocol/frames.ts";
import type { Params } from "../protocol/methods.ts";
import type { StreamToAdd } from "../protocol/schemas/stream.ts";
import type { RunQueue } from "../run-queue.ts";
import type { Acknowledgements } from "../services/acknowledgements.ts";
import type { Delivery } from "../services/delivery.ts";
import type { AttachedStream, DeliverySubscription, SubscriptionSink } from "../services/delivery-subscription.ts";
import type { Answer, Principal } from "../services/request-port.ts";
import type { ResolvedStream, StreamDirectory } from "../services/stream-directory.ts";
import { refuseStreamKind } from "./request-rules.ts";

export interface SubscriptionsOptions {
  readonly principal: Principal;
  readonly delivery: Delivery;
  readonly streams: Pick<StreamDirectory, "actorOf" | "resolve">;
  readonly acknowledgements: Pick<Acknowledgements, "add">;
  /** In whose turns streams are let go of. */
  readonly runQueue: RunQueue;
  readonly limits: { readonly streamsMax: number; readonly subscriptionsMax: number };
  sinkOf(subscription: number): SubscriptionSink;
}

/** What is done once the answer is on its way, or abandoned when nobody waits for it any more. */
export interface SubscriptionAnswer {
  readonly answer: Answer;
  answered?(): void;
  abandoned?(): void;
}

/** Look-ups of one call on their way at once. */
const LOOKUPS_MAX = 32;
/** Streams let go of in one piece of work. */
const DETACHES_A_PIECE = 128;

interface OpenSubscription {
  readonly delivery: DeliverySubscription;
  /** The inboxes among its streams: what ACK is about. */
  readonly inboxes: Map<number, string>;
}

interface Opening {
  readonly stream: AttachedStream;
  readonly item: StreamToAdd;
  resolved?: ResolvedStream;
}

type AddedStream =
  | { readonly stream: number; readonly recovered: boolean; readonly position: object; readonly reason?: string }
  | { readonly error: Refusal };

export class Subscriptions {
  readonly #options: SubscriptionsOptions;
  readonly #open = new Map<number, OpenSubscription>();
  #nextSubscription = 1;
  #nextStream = 1;
  #streamCount = 0;

  constructor(options: SubscriptionsOptions) {
    this.#options = options;
  }

  open({ messages, bytes }: Params<"subscription.open">): SubscriptionAnswer {
    if (this.#open.size >= this.#options.limits.subscriptionsMax) return refused(refuse("SUBSCRIPTIONS_LIMIT"));
    const number = this.#nextSubscription++;
    const inboxes = new Map<number, string>();
    const sink = this.#watchEnds(this.#options.sinkOf(number), inboxes);
    const delivery = this.#options.delivery.openSubscription(sink, { messages, bytes });
    this.#open.set(number, { delivery, inboxes });
    return done({ subscription: number });
  }

  async add({ subscription, streams }: Params<"subscription.add">): Promise<SubscriptionAnswer> {
    const open = this.#open.get(subscription);
    if (open === undefined) return refused(refuse("SUBSCRIPTION_NOT_FOUND"));
    const openings: Opening[] = [];
    const results = streams.map((): AddedStream => ({ error: refuse("INTERNAL") }));
    const items = streams.entries();
    // One item after the other in each of a few lanes: a call of 1,000 does not flood the store.
    const lane = async (): Promise<void> => {
      for (const [at, item] of items) {
        // Closed meanwhile: what was attached then would be nobody's to end.
        if (this.#open.get(subscription) !== open) break;
        results[at] = await this.#addOne(open, item, openings);
      }
    };
    await Promise.all(Array.from({ length: Math.min(LOOKUPS_MAX, streams.length) }, lane));
    if (this.#open.get(subscription) !== open) return refused(refuse("SUBSCRIPTION_NOT_FOUND"));
    return {
      ...done({ streams: results }),
      // Events must not overtake the answer that gives their stream its number.
      answered: () => {
        for (const { stream, resolved } of openings) {
          if (resolved !== undefined) open.delivery.start(stream, resolved.position, resolved.last);
        }
      },
      abandoned: () => {
        for (const { stream } of openings) this.#detach(open, stream);
      },
    };
  }

  remove({ subscription, streams }: Params<"subscription.remove">): SubscriptionAnswer {
    const open = this.#open.get(subscription);
    if (open === undefined) return refused(refuse("SUBSCRIPTION_NOT_FOUND"));
    for (const number of streams) {
      const stream = open.delivery.stream(number);
      if (stream !== undefined) this.#detach(open, stream);
    }
    return done({});
  }

  async close({ subscription }: Params<"subscription.close">): Promise<SubscriptionAnswer> {
    const open = this.#open.get(subscription);
    if (open === undefined) return refused(refuse("SUBSCRIPTION_NOT_FOUND"));
    this.#open.delete(subscription);
    await this.#letGo(open.delivery);
    return done({});
  }

  /** A frame about a subscription that was just closed is no fault: it crossed the close. */
  acknowledge({ subscription, offsets }: AckFrame): void {
    const { principal, acknowledgements } = this.#options;
    const open = this.#open.get(subscription);
    if (open === undefined || principal.kind !== "application") return;
    for (const { stream: number, offset } of offsets) {
      const clientId = open.inboxes.get(number);
      const stream = open.delivery.stream(number);
      // What was not sent yet can't be acknowledged: it would be lost.
      if (clientId === undefined || stream === undefined || offset === 0 || offset > stream.cursor) continue;
      acknowledgements.add(principal.applicationId, clientId, { lineage: stream.lineage, offset });
    }
  }

  credit({ subscription, messages, bytes }: CreditFrame): void {
    this.#open.get(subscription)?.delivery.grant({ messages, bytes });
  }

  /** The socket has room again. */
  resume(): void {
    for (const { delivery } of this.#open.values()) delivery.resume();
  }

  closeAll(): void {
    for (const { delivery } of this.#open.values()) void this.#letGo(delivery);
    this.#open.clear();
  }

  /** Silent at once; detached piece by piece, and counted until then: many would hold the event loop (F19). */
  #letGo(delivery: DeliverySubscription): Promise<void> {
    delivery.close();
    return new Promise((resolve) => {
      const step = (): boolean => {
        const { size } = delivery;
        const isMore = delivery.detachSome(DETACHES_A_PIECE);
        this.#streamCount -= size - delivery.size;
        if (!isMore) resolve();
        return isMore;
      };
      this.#options.runQueue.add({ share: 1, step });
    });
  }

  async #addOne(open: OpenSubscription, item: StreamToAdd, openings: Opening[]): Promise<AddedStream> {
    const { principal, streams, limits } = this.#options;
    const wrongScope = refuseStreamKind(item.kind, principal);
    if (wrongScope !== undefined || principal.kind !== "application") return { error: wrongScope ?? refuse("SCOPE") };
    if (this.#streamCount >= limits.streamsMax) return { error: refuse("STREAMS_LIMIT") };
    const { applicationId } = principal;
    this.#streamCount += 1;
    const stream = open.delivery.attach(this.#nextStream++, streams.actorOf(applicationId, item));
    const opening: Opening = { stream, item };
    openings.push(opening);
    const resolved = await streams.resolve(applicationId, item, item.after);
    if (resolved.kind === "refused") {
      this.#detach(open, stream);
      return { error: resolved.refusal };
    }
    opening.resolved = resolved;
    if (item.kind === "client") open.inboxes.set(stream.number, item.id);
    const { recovered, position, reason } = resolved;
    return { stream: stream.number, recovered, position, ...(reason !== undefined && { reason }) };
  }

  #detach(open: OpenSubscription, stream: AttachedStream): void {
    open.inboxes.delete(stream.number);
    if (stream.state === "ended" || open.delivery.closed) return;
    this.#streamCount -= 1;
    open.delivery.detach(stream);
  }

  /** Forgets the streams that delivery ends by itself. */
  #watchEnds(sink: SubscriptionSink, inboxes: Map<number, string>): SubscriptionSink {
    return {
      ...sink,
      reset: (stream, reason, position) => {
        if (reason !== "TRIMMED") {
          this.#streamCount -= 1;
          inboxes.delete(stream);
        }
        sink.reset(stream, reason, position);
      },
    };
  }
}

function done(result: object): SubscriptionAnswer {
  return { answer: { kind: "done", result } };
}

function refused(refusal: Refusal): SubscriptionAnswer {
  return { answer: { kind: "refused", refusal } };
}
