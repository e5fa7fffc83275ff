// One subscription: many streams under one credit. Each stream is a cursor; a live event goes straight on
// while its stream is current and there is credit, else the stream is behind and is read from the store.
// Never skips, doubles or reorders an offset of a stream, whatever the order of news and reads (G5).
import type { ActorKey, StreamEntry, StreamHead } from "../store/store.ts";
import { isIncomplete } from "./inbox-reader.ts";
import type { StreamPosition } from "./stream-directory.ts";

export type ResetReason = "TRIMMED" | "LINEAGE_CHANGED" | "CLOSED";

export interface SubscriptionSink {
  event(stream: number, entry: StreamEntry): void;
  /** TRIMMED goes on after `position`; the others end the stream. */
  reset(stream: number, reason: ResetReason, position?: StreamPosition): void;
  /** False while the socket has enough to carry: events then wait in the store. */
  writable(): boolean;
}

export interface Credit {
  readonly messages: number;
  readonly bytes: number;
}

/** What a subscription needs of the hub. */
export interface DeliveryHub {
  readonly limits: DeliveryLimits;
  readonly events: DeliveryEvents;
  register(stream: AttachedStream): void;
  unregister(stream: AttachedStream): void;
  /** The subscription has credit and something to read: it gets its turn. */
  wantsRead(subscription: DeliverySubscription): void;
}

export interface DeliveryLimits {
  /** Reads of the store at once. */
  readonly streamReadsMax: number;
  /** Events of one read. */
  readonly streamReadEventsMax: number;
  /** Bytes of one read. */
  readonly streamReadBytesMax: number;
  /** Heads looked up a second, in turn, in case that news was lost; 0: none. */
  readonly streamChecksPerSecond: number;
}

export interface DeliveryEvents {
  streamAttached(): void;
  streamDetached(): void;
  eventsSent(from: "memory" | "store", count: number, bytes: number): void;
  streamBehind(): void;
  streamReset(reason: string): void;
  streamRead(): void;
  deliveryFailed(error: unknown): void;
}

export interface AttachedStream {
  readonly number: number;
  readonly actor: ActorKey;
  readonly subscription: DeliverySubscription;
  /** `opening` until its start is known; then `open`; `ended` never changes again. */
  state: "opening" | "open" | "ended";
  lineage: string;
  /** Newest offset sent. */
  cursor: number;
  /** Newest offset known to be durable; above the cursor: the stream is behind. */
  known: number;
  /** While a read is on its way, news only raises `known`. */
  reading: boolean;
  /** The stream was purged before it began: said as soon as its number is known to the client. */
  purged: boolean;
}

export interface StreamQuery {
  readonly after: number;
  readonly limit: number;
  readonly bytesMax: number;
  readonly knownBefore: number;
}

export interface StreamRead {
  readonly entries: readonly StreamEntry[];
  readonly head: StreamHead;
  readonly lineage: string;
}

export class DeliverySubscription {
  readonly #hub: DeliveryHub;
  readonly #sink: SubscriptionSink;
  readonly #streams = new Map<number, AttachedStream>();
  /** Streams that wait for their turn to be read, in the order of their turns. */
  readonly #behind = new Set<AttachedStream>();
  #messages: number;
  #bytes: number;
  /** Credit that reads on their way may use up. */
  #reservedMessages = 0;
  #reservedBytes = 0;
  #closed = false;

  constructor(hub: DeliveryHub, sink: SubscriptionSink, credit: Credit) {
    this.#hub = hub;
    this.#sink = sink;
    this.#messages = credit.messages;
    this.#bytes = credit.bytes;
  }

  /**
   * Takes note of news about the actor from now on; `start` follows once it is known where to begin.
   * Between the two nothing can be missed.
   */
  attach(number: number, actor: ActorKey): AttachedStream {
    const stream: AttachedStream = {
      number,
      actor,
      subscription: this,
      state: "opening",
      lineage: "",
      cursor: 0,
      known: 0,
      reading: false,
      purged: false,
    };
    this.#streams.set(number, stream);
    this.#hub.register(stream);
    return stream;
  }

  /** `last`: the newest offset when `position` was found; undefined: unknown. */
  start(stream: AttachedStream, position: StreamPosition, last: number | undefined): void {
    if (stream.state !== "opening") return;
    // A lineage heard meanwhile that differs shows itself at the read that its news asks for.
    const heardOther = stream.lineage !== "" && stream.lineage !== position.lineage;
    stream.state = "open";
    stream.lineage = position.lineage;
    stream.cursor = position.offset;
    stream.known = Math.max(stream.known, position.offset, last ?? 0);
    if (stream.purged) return this.end(stream, "CLOSED");
    if (last === undefined || heardOther || stream.known > stream.cursor) this.fallBehind(stream);
  }

  stream(number: number): AttachedStream | undefined {
    return this.#streams.get(number);
  }

  numbers(): IterableIterator<number> {
    return this.#streams.keys();
  }

  get size(): number {
    return this.#streams.size;
  }

  detach(stream: AttachedStream): void {
    stream.state = "ended";
    this.#streams.delete(stream.number);
    this.#behind.delete(stream);
    this.#hub.unregister(stream);
  }

  /** Says nothing more. What is attached stays so until it is detached. */
  close(): void {
    this.#closed = true;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Detaches so many, oldest first. False: those were all. */
  detachSome(count: number): boolean {
    let left = count;
    for (const stream of this.#streams.values()) {
      if (left === 0) return true;
      this.detach(stream);
      left -= 1;
    }
    return false;
  }

  grant(credit: Credit): void {
    // A sum above 2^53 would lose its ones; nobody sends so much.
    this.#messages = Math.min(this.#messages + credit.messages, Number.MAX_SAFE_INTEGER);
    this.#bytes = Math.min(this.#bytes + credit.bytes, Number.MAX_SAFE_INTEGER);
    this.resume();
  }

  /** There may be room again: credit was granted or the socket was drained. */
  resume(): void {
    if (this.hungry()) this.#hub.wantsRead(this);
  }

  publish(stream: AttachedStream, lineage: string, entries: readonly StreamEntry[]): void {
    if (stream.state === "opening") {
      stream.lineage = lineage;
      stream.known = entries.at(-1)?.offset ?? stream.known;
      return;
    }
    if (lineage !== stream.lineage) {
      this.end(stream, "LINEAGE_CHANGED");
      return;
    }
    let [count, bytes] = [0, 0];
    for (const entry of entries) {
      if (stream.state === "ended") break;
      if (entry.offset <= stream.known) continue;
      const isNext = stream.cursor === stream.known && entry.offset === stream.cursor + 1;
      stream.known = entry.offset;
      if (isNext && !stream.reading && this.#mayPassBy() && !isIncomplete(entry)) {
        [count, bytes] = [count + 1, bytes + entry.body.length];
        this.#send(stream, entry);
      }
    }
    if (count > 0) this.#hub.events.eventsSent("memory", count, bytes);
    if (stream.state === "open" && stream.known > stream.cursor && !stream.reading) this.fallBehind(stream);
  }

  /** @param knownBefore what was known when the look-up began: the store must know at least that. */
  checkHead(stream: AttachedStream, lineage: string, head: StreamHead, knownBefore: number): void {
    if (stream.state === "opening") {
      // Where it begins was perhaps looked up before this, and is said after it.
      stream.known = stream.lineage === lineage ? Math.max(stream.known, head.last) : head.last;
      stream.lineage = lineage;
      stream.purged ||= head.purged === true;
    }
    if (stream.state !== "open") return;
    if (lineage !== stream.lineage) this.end(stream, "LINEAGE_CHANGED");
    else if (head.last < knownBefore) this.end(stream, "LINEAGE_CHANGED");
    else if (head.purged === true) this.end(stream, "CLOSED");
    else if (head.last > stream.known) {
      stream.known = head.last;
      if (!stream.reading) this.fallBehind(stream);
    }
  }

  end(stream: AttachedStream, reason: "LINEAGE_CHANGED" | "CLOSED"): void {
    if (stream.state === "ended" || this.#closed) return;
    if (stream.state === "opening") {
      stream.purged = true;
      return;
    }
    this.detach(stream);
    this.#hub.events.streamReset(reason);
    this.#sink.reset(stream.number, reason);
  }

  // Reading, driven by Delivery.

  /** Whether a read could bring something that may be sent. */
  hungry(): boolean {
    return this.#behind.size > 0 && this.#mayTake();
  }

  nextBehind(): AttachedStream | undefined {
    if (!this.hungry()) return undefined;
    const [stream] = this.#behind;
    if (stream !== undefined) this.#behind.delete(stream);
    return stream;
  }

  reserve(stream: AttachedStream): StreamQuery {
    const { streamReadEventsMax, streamReadBytesMax } = this.#hub.limits;
    const limit = Math.min(streamReadEventsMax, this.#messages - this.#reservedMessages);
    const bytesMax = Math.min(streamReadBytesMax, this.#bytes - this.#reservedBytes);
    stream.reading = true;
    this.#reservedMessages += limit;
    this.#reservedBytes += bytesMax;
    return { after: stream.cursor, limit, bytesMax, knownBefore: stream.known };
  }

  /** The read is over. */
  giveBack(stream: AttachedStream, query: StreamQuery): void {
    if (!stream.reading) return;
    stream.reading = false;
    this.#reservedMessages -= query.limit;
    this.#reservedBytes -= query.bytesMax;
  }

  take(stream: AttachedStream, query: StreamQuery, read: StreamRead): void {
    if (stream.state !== "open" || this.#closed) return;
    if (read.lineage !== stream.lineage) return this.end(stream, "LINEAGE_CHANGED");
    // What was durable is gone: the store lost it, and whoever owns the stream is about to say so (rule 8).
    if (read.head.last < query.knownBefore) return this.end(stream, "LINEAGE_CHANGED");
    // The word of it was lost on its way, or is still to come.
    if (read.head.purged === true) return this.end(stream, "CLOSED");
    stream.known = Math.max(stream.known, read.head.last);
    this.#skipTrimmed(stream, read.entries[0]?.offset ?? read.head.first);
    let [count, bytes] = [0, 0];
    for (const entry of read.entries) {
      // The rest is read again when there is room: nothing is kept.
      if (!this.#mayTake() || !this.#isOpen(stream)) break;
      [count, bytes] = [count + 1, bytes + entry.body.length];
      this.#send(stream, entry);
    }
    if (count > 0) this.#hub.events.eventsSent("store", count, bytes);
    if (this.#isOpen(stream) && stream.known > stream.cursor) this.#behind.add(stream);
  }

  #isOpen(stream: AttachedStream): boolean {
    return stream.state === "open";
  }

  #skipTrimmed(stream: AttachedStream, first: number): void {
    if (first <= stream.cursor + 1) return;
    stream.cursor = first - 1;
    stream.known = Math.max(stream.known, stream.cursor);
    this.#hub.events.streamReset("TRIMMED");
    this.#sink.reset(stream.number, "TRIMMED", { lineage: stream.lineage, offset: stream.cursor });
  }

  #send(stream: AttachedStream, entry: StreamEntry): void {
    this.#messages -= 1;
    this.#bytes -= entry.body.length;
    stream.cursor = entry.offset;
    this.#sink.event(stream.number, entry);
    // A group's last event (PROTOCOL §4, Events): its log goes.
    if (entry.type === "closed") this.end(stream, "CLOSED");
  }

  fallBehind(stream: AttachedStream): void {
    if (this.#behind.has(stream) || stream.state !== "open" || this.#closed) return;
    this.#behind.add(stream);
    this.#hub.events.streamBehind();
    this.resume();
  }

  #mayTake(): boolean {
    const hasCredit = this.#messages > this.#reservedMessages && this.#bytes > this.#reservedBytes;
    return hasCredit && !this.#closed && this.#sink.writable();
  }

  /** Live events leave one message for each stream that waits for its turn, or a busy one starves it. */
  #mayPassBy(): boolean {
    return this.#mayTake() && this.#messages - this.#reservedMessages > this.#behind.size;
  }
}
