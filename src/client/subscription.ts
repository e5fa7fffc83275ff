// Many streams under one credit, as one async iterable that outlives its session: after a reconnect each
// stream goes on where it stood, and what broke is told (GUARANTEES G5). One consumer at a time.
import { encodeAck, encodeCredit, type EventFrame, type ResetFrame } from "../protocol/frames.ts";
import type { ParamsInput, Result } from "../protocol/methods.ts";
import { AegisError, localError } from "./aegis-error.ts";
import { AttachedStream, streamFault, type AddedStream, type StreamToAdd } from "./attached-stream.ts";
import { retryPauseMs } from "./backoff.ts";
import { EventQueue, type CreditWindow } from "./event-queue.ts";
import type { SessionAnswer, SessionMethod } from "./session-requests.ts";
import { streamEvent, streamKey, type StreamEvent, type StreamItem, type StreamName } from "./stream-item.ts";

/** What a subscription needs of the client. */
export interface SubscriptionChannel {
  /** The present session's bound for one message. */
  readonly messageBytesMax: number;
  /** Asks in the present session, again while it is refused as retryable. */
  request<M extends SessionMethod>(method: M, params: ParamsInput<M>, answer: SessionAnswer<M>): void;
  send(frame: Uint8Array): void;
  /** Events with this number are this subscription's from now on. */
  register(number: number, subscription: Subscription): void;
  forget(subscription: Subscription): void;
}

type Attachment = Result<"subscription.add">["streams"][number];

/** Streams named in one `subscription.add`. */
const ADD_MAX = 1000;
/** Streams named in one `subscription.remove`. */
const REMOVE_MAX = 10_000;
/** No stream takes more bytes in a `subscription.add`: an id, a lineage, and the names of its entries. */
const STREAM_BYTES_MAX = 512;
/** No stream takes more bytes in an ACK. */
const ACK_BYTES_MAX = 16;

export class Subscription implements AsyncIterable<StreamItem> {
  readonly #channel: SubscriptionChannel;
  readonly #queue: EventQueue<StreamItem>;
  readonly #streams = new Map<string, AttachedStream>();
  readonly #numbers = new Map<number, AttachedStream>();
  readonly #acknowledged = new Map<number, number>();
  #acknowledging: NodeJS.Immediate | undefined;
  #number: number | undefined;
  /** Counts sessions, so that what was begun in one does not go on in the next. */
  #session = 0;
  #closed = false;

  constructor(channel: SubscriptionChannel, window: CreditWindow) {
    this.#channel = channel;
    this.#queue = new EventQueue(window, (messages, bytes) => {
      if (this.#number === undefined) return false;
      channel.send(encodeCredit(this.#number, messages, bytes));
      return true;
    });
  }

  /**
   * Adds streams; resolves with one answer a stream, in order, once the server has attached them.
   * `after`: a position, `"start"`, `"now"`, or `{epoch}` for a group (PROTOCOL S3).
   */
  add(streams: readonly StreamToAdd[]): Promise<AddedStream[]> {
    const fresh: AttachedStream[] = [];
    const answers = streams.map((stream, at) => {
      const fault = streamFault(stream, at);
      if (fault !== undefined) return Promise.resolve({ stream, error: fault });
      const key = streamKey(stream);
      if (this.#closed || this.#streams.has(key)) {
        const message = this.#closed ? "the subscription is closed" : "the stream is in the subscription already";
        return Promise.resolve({ stream, error: localError("BAD_PARAMS", { message, details: { path: "streams" } }) });
      }
      return new Promise<AddedStream>((resolve) => {
        const attached = new AttachedStream(stream, resolve);
        this.#streams.set(key, attached);
        fresh.push(attached);
      });
    });
    this.#attach(fresh, 0);
    return Promise.all(answers);
  }

  /** Takes streams out; events of theirs that were received already are still given out. */
  remove(streams: readonly StreamName[]): void {
    // The server takes no acknowledgement of a stream that it has removed.
    this.#flushAcknowledged();
    const numbers: number[] = [];
    for (const name of streams) {
      const stream = this.#streams.get(streamKey(name));
      if (stream === undefined) continue;
      stream.removed = true;
      const error = localError("CANCELLED", { message: "the stream was removed from the subscription" });
      stream.waiting?.({ stream: stream.name, error });
      if (stream.number !== undefined) numbers.push(stream.number);
      this.#drop(stream);
    }
    this.#removeNumbers(numbers);
  }

  /** Tells the server that an inbox was dealt with up to and with this event; it then forgets them (S7). */
  acknowledge(event: StreamEvent): void {
    const stream = this.#streams.get(streamKey(event.stream));
    if (stream?.name.kind !== "client" || stream.position?.lineage !== event.position.lineage) return;
    stream.acknowledged = Math.max(stream.acknowledged, event.offset);
    this.#acknowledge(stream);
  }

  /** Ends the iteration, after what was received already. */
  close(): void {
    if (this.#closed) return;
    const number = this.#number;
    this.ended(undefined);
    if (number !== undefined) this.#closeNumber(number);
    this.#channel.forget(this);
  }

  /** One consumer: an item counts as consumed, and makes room for another, when the next is asked for. */
  [Symbol.asyncIterator](): AsyncIterator<StreamItem, void, undefined> {
    return this.#queue.take();
  }

  /** A session has begun: everything is set up in it again. */
  opened(): void {
    this.lost();
    if (this.#closed) return;
    this.#channel.request("subscription.open", this.#queue.freshCredit(), (result, error) => {
      if (this.#closed) {
        // Closed before it had a number to be closed by.
        if (result !== undefined) this.#closeNumber(result.subscription);
        return;
      }
      if (result === undefined) {
        this.#fail(error);
        return;
      }
      this.#number = result.subscription;
      this.#channel.register(result.subscription, this);
      this.#queue.grantDue();
      this.#attach([...this.#streams.values()], 0);
    });
  }

  /** The session is over. */
  lost(): void {
    this.#session += 1;
    this.#number = undefined;
    this.#numbers.clear();
    this.#acknowledged.clear();
    for (const stream of this.#streams.values()) stream.number = undefined;
  }

  /** Nothing will come any more. */
  ended(error: AegisError | undefined): void {
    this.#flushAcknowledged();
    this.#closed = true;
    this.lost();
    const reason = error ?? localError("CANCELLED", { message: "the subscription was closed" });
    for (const stream of this.#streams.values()) stream.waiting?.({ stream: stream.name, error: reason });
    this.#streams.clear();
    this.#queue.end(error);
  }

  received(frame: EventFrame): void {
    const stream = this.#numbers.get(frame.stream);
    for (const event of frame.events) {
      if (stream?.position === undefined || !stream.advance(event)) {
        this.#queue.skipEvent(event.body);
        continue;
      }
      const item = streamEvent(stream.name, stream.position.lineage, event);
      if (item instanceof AegisError) {
        this.#fail(item);
        return;
      }
      this.#queue.pushEvent(item, event.body);
    }
  }

  reset(frame: ResetFrame): void {
    const stream = this.#numbers.get(frame.stream);
    if (stream === undefined) return;
    const { reason } = frame;
    const position = reason === "TRIMMED" ? frame.position : undefined;
    if (position === undefined) this.#drop(stream);
    else stream.attached(frame.stream, position);
    const goesOn = position === undefined ? {} : { position };
    this.#queue.pushNotice({ kind: "reset", stream: stream.name, reason, ...goesOn });
  }

  #attach(streams: readonly AttachedStream[], attempt: number): void {
    const session = this.#session;
    const subscription = this.#number;
    if (subscription === undefined) return;
    const addMax = Math.min(ADD_MAX, this.#perMessage(STREAM_BYTES_MAX));
    for (let i = 0; i < streams.length; i += addMax) {
      const some = streams.slice(i, i + addMax).filter((stream) => !stream.removed && stream.number === undefined);
      if (some.length === 0) continue;
      const params = { subscription, streams: some.map((stream) => stream.request()) };
      this.#channel.request("subscription.add", params, (result, error) => {
        const again = some.filter((stream, at) => this.#attached(stream, result?.streams[at], error));
        if (again.length === 0) return;
        const retryAfterMs = Math.max(...(result?.streams ?? []).map(askedPauseMs));
        this.#later(session, retryPauseMs(attempt, { retryAfterMs }), () => this.#attach(again, attempt + 1));
      });
    }
  }

  /** Takes in the answer for one stream. True: it is worth another try. */
  #attached(stream: AttachedStream, added: Attachment | undefined, failure: AegisError | undefined): boolean {
    if (added !== undefined && "stream" in added) {
      if (stream.removed) this.#removeNumbers([added.stream]);
      else this.#began(stream, added);
      return false;
    }
    if (stream.removed) return false;
    const error = added === undefined ? (failure ?? localError("INTERNAL", {})) : new AegisError(added.error);
    if (error.retryable) return true;
    this.#drop(stream);
    if (stream.waiting !== undefined) stream.waiting({ stream: stream.name, error });
    else this.#queue.pushNotice({ kind: "reset", stream: stream.name, reason: "CLOSED", error });
    return false;
  }

  #began(stream: AttachedStream, added: Extract<Attachment, { stream: number }>): void {
    const { stream: number, recovered, position, reason } = added;
    stream.attached(number, position);
    this.#numbers.set(number, stream);
    const why = reason === undefined ? {} : { reason };
    if (stream.waiting !== undefined) stream.waiting({ stream: stream.name, recovered, position, ...why });
    else if (!recovered) {
      this.#queue.pushNotice({ kind: "reset", stream: stream.name, reason: reason ?? "TRIMMED", position });
    }
    stream.waiting = undefined;
    // The session before may have ended before it took this in.
    if (stream.acknowledged > 0) this.#acknowledge(stream);
  }

  #drop(stream: AttachedStream): void {
    this.#streams.delete(streamKey(stream.name));
    if (stream.number !== undefined) this.#numbers.delete(stream.number);
    stream.number = undefined;
  }

  #removeNumbers(numbers: readonly number[]): void {
    const subscription = this.#number;
    if (subscription === undefined) return;
    for (let i = 0; i < numbers.length; i += REMOVE_MAX) {
      const streams = numbers.slice(i, i + REMOVE_MAX);
      this.#channel.request("subscription.remove", { subscription, streams }, () => undefined);
    }
  }

  #closeNumber(subscription: number): void {
    this.#channel.request("subscription.close", { subscription }, () => undefined);
  }

  #acknowledge(stream: AttachedStream): void {
    if (stream.number === undefined) return;
    this.#acknowledged.set(stream.number, stream.acknowledged);
    this.#acknowledging ??= setImmediate(() => this.#flushAcknowledged());
  }

  #flushAcknowledged(): void {
    clearImmediate(this.#acknowledging);
    this.#acknowledging = undefined;
    if (this.#number === undefined || this.#acknowledged.size === 0) return;
    const offsets = [...this.#acknowledged].map(([stream, offset]) => ({ stream, offset }));
    this.#acknowledged.clear();
    const ackMax = this.#perMessage(ACK_BYTES_MAX);
    for (let i = 0; i < offsets.length; i += ackMax) {
      this.#channel.send(encodeAck(this.#number, offsets.slice(i, i + ackMax)));
    }
  }

  /** At least one, whatever bound the server has told. */
  #perMessage(bytesMax: number): number {
    return Math.max(1, Math.floor(this.#channel.messageBytesMax / bytesMax));
  }

  #later(session: number, pauseMs: number, what: () => void): void {
    setTimeout(() => {
      if (this.#session === session) what();
    }, pauseMs);
  }

  #fail(error: AegisError | undefined): void {
    this.ended(error);
    this.#channel.forget(this);
  }
}

function askedPauseMs(added: Attachment): number {
  return "error" in added ? (added.error.retryAfterMs ?? 0) : 0;
}
