// What leaves one socket: frames gathered and written once a tick, events of a stream gathered into one
// EVT. Its queue is bounded, in bytes (and one frame more) and in time without progress; at a bound it says so and
// takes no more.
import type { WebSocket } from "ws";
import { concatenate, encodeEventFrame, type EncodedEvent } from "../protocol/frames.ts";

export interface SocketWriterLimits {
  readonly socketQueueBytesMax: number;
  readonly socketPauseBytes: number;
  readonly socketStallMs: number;
}

export interface SocketWriterListener {
  /** The queue has reached its bound, and there is more. */
  overflowed(): void;
  /** There is room again after `writable()` was false. */
  drained(): void;
}

/** Frames of one tick share WebSocket messages of about this size: progress is seen once a message. */
const MESSAGE_BYTES = 262_144;
/** What an event costs in the queue beside its body. */
const EVENT_OVERHEAD_BYTES = 40;

interface EventBatch {
  readonly subscription: number;
  readonly stream: number;
  readonly events: EncodedEvent[];
  bytes: number;
}

export class SocketWriter {
  readonly #socket: WebSocket;
  readonly #limits: SocketWriterLimits;
  readonly #listener: SocketWriterListener;
  #pending: (Uint8Array | EventBatch)[] = [];
  /** The batch that a stream's next event of this tick joins; stream numbers are unique in a session. */
  readonly #batches = new Map<number, EventBatch>();
  #pendingBytes = 0;
  #sentBytes = 0;
  #progressAt = 0;
  #scheduled = false;
  #paused = false;
  #closed = false;

  constructor(socket: WebSocket, limits: SocketWriterLimits, listener: SocketWriterListener) {
    this.#socket = socket;
    this.#limits = limits;
    this.#listener = listener;
  }

  frame(bytes: Uint8Array): void {
    if (!this.#admit(bytes.length)) return;
    this.#pending.push(bytes);
  }

  event(subscription: number, stream: number, event: EncodedEvent): void {
    const bytes = event.body.length + EVENT_OVERHEAD_BYTES;
    if (!this.#admit(bytes)) return;
    const batch = this.#batches.get(stream);
    if (batch !== undefined && batch.bytes + bytes <= MESSAGE_BYTES) {
      batch.events.push(event);
      batch.bytes += bytes;
      return;
    }
    const fresh = { subscription, stream, events: [event], bytes };
    this.#batches.set(stream, fresh);
    this.#pending.push(fresh);
  }

  /** A frame about a stream: later events of the stream stay behind it. */
  streamFrame(stream: number, bytes: Uint8Array): void {
    this.#batches.delete(stream);
    this.frame(bytes);
  }

  /** False while enough waits already. */
  writable(): boolean {
    const room = this.queuedBytes < this.#limits.socketPauseBytes && !this.#closed;
    if (!room) this.#paused = true;
    return room;
  }

  get queuedBytes(): number {
    return this.#pendingBytes + this.#sentBytes;
  }

  stalled(nowMs: number): boolean {
    return this.#sentBytes > 0 && nowMs - this.#progressAt > this.#limits.socketStallMs;
  }

  /** Writes what waits, now: for the frames before a close. */
  flush(): void {
    this.#scheduled = false;
    if (this.#closed || this.#pending.length === 0) return;
    const pending = this.#pending;
    this.#pending = [];
    this.#batches.clear();
    this.#pendingBytes = 0;
    let [pieces, bytes]: [Uint8Array[], number] = [[], 0];
    for (const item of pending) {
      const piece = item instanceof Uint8Array ? item : encodeEventFrame(item.subscription, item.stream, item.events);
      if (bytes > 0 && bytes + piece.length > MESSAGE_BYTES) {
        this.#write(pieces, bytes);
        [pieces, bytes] = [[], 0];
      }
      pieces.push(piece);
      bytes += piece.length;
    }
    this.#write(pieces, bytes);
  }

  close(): void {
    this.#closed = true;
    this.#pending = [];
    this.#batches.clear();
    this.#pendingBytes = 0;
  }

  #admit(bytes: number): boolean {
    if (this.#closed) return false;
    // What waits is judged, not what comes: an answer larger than the bound is still an answer (G6).
    if (this.queuedBytes >= this.#limits.socketQueueBytesMax) {
      this.#listener.overflowed();
      return false;
    }
    this.#pendingBytes += bytes;
    if (!this.#scheduled) {
      this.#scheduled = true;
      setImmediate(() => this.flush());
    }
    return true;
  }

  #write(pieces: readonly Uint8Array[], bytes: number): void {
    const [only] = pieces;
    const message = pieces.length === 1 && only !== undefined ? only : concatenate(pieces);
    if (this.#sentBytes === 0) this.#progressAt = performance.now();
    this.#sentBytes += bytes;
    this.#socket.send(message, { binary: true }, () => {
      this.#sentBytes -= bytes;
      this.#progressAt = performance.now();
      // Half empty before it fills again, or each small write would wake the readers.
      if (!this.#paused || this.#closed || this.queuedBytes > this.#limits.socketPauseBytes / 2) return;
      this.#paused = false;
      this.#listener.drained();
    });
  }
}
