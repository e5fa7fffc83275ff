// The frames of one socket: decoded and taken in their order, as the run queue has time for them. What waits undecoded
// is counted, so that whoever sends more than is taken can be read more slowly. Must never take one frame before an
// earlier one.
import type { Lane, RunQueue } from "./run-queue.ts";

export interface FrameIntakeOptions<Frame> {
  readonly queue: RunQueue;
  /** Frames taken in a row before others have their turn. */
  readonly share: number;
  /** Throws for what is no message of this protocol. */
  decode(message: Uint8Array): readonly Frame[];
  /** @param arrivedMs when the frame's message came in (`performance.now()`) */
  take(frame: Frame, arrivedMs: number): void;
  /** `decode` or `take` threw: nothing more is taken. */
  failed(error: unknown): void;
  /** More than `bytesMax` wait, or half of that no more. */
  readonly backlog: FrameBacklog;
}

export interface FrameBacklog {
  readonly bytesMax: number;
  changed(isFull: boolean): void;
}

interface Message {
  readonly bytes: Uint8Array;
  readonly arrivedMs: number;
}

export class FrameIntake<Frame> {
  readonly #options: FrameIntakeOptions<Frame>;
  readonly #lane: Lane;
  #messages: Message[] = [];
  /** Of the first message, once it is decoded. */
  #frames: readonly Frame[] | undefined;
  #taken = 0;
  #bytes = 0;
  #full = false;
  #stopped = false;
  #emptied: (() => void) | undefined;

  constructor(options: FrameIntakeOptions<Frame>) {
    this.#options = options;
    this.#lane = { share: options.share, step: () => this.#step() };
  }

  /** A message that came in. */
  add(bytes: Uint8Array): void {
    if (this.#stopped) return;
    this.#messages.push({ bytes, arrivedMs: performance.now() });
    this.#count(bytes.length);
    if (this.#messages.length === 1) this.#options.queue.add(this.#lane);
  }

  /** Calls back once all that came in is taken: at once, when nothing waits. */
  whenEmpty(callback: () => void): void {
    if (this.#messages.length === 0) callback();
    else this.#emptied = callback;
  }

  /** Drops what waits; nothing more is taken. */
  stop(): void {
    this.#stopped = true;
    this.#options.queue.remove(this.#lane);
    this.#messages = [];
    this.#frames = undefined;
    this.#count(-this.#bytes);
    this.#emptied?.();
    this.#emptied = undefined;
  }

  #step(): boolean {
    try {
      this.#takeNext();
    } catch (error) {
      this.stop();
      this.#options.failed(error);
    }
    if (this.#messages.length > 0) return true;
    this.#emptied?.();
    this.#emptied = undefined;
    return false;
  }

  #takeNext(): void {
    const [message] = this.#messages;
    if (message === undefined) return;
    this.#frames ??= this.#options.decode(message.bytes);
    const frame = this.#frames[this.#taken];
    this.#taken += 1;
    if (this.#taken >= this.#frames.length) {
      this.#messages.shift();
      this.#frames = undefined;
      this.#taken = 0;
      this.#count(-message.bytes.length);
    }
    if (frame !== undefined) this.#options.take(frame, message.arrivedMs);
  }

  #count(bytes: number): void {
    this.#bytes += bytes;
    const { backlog } = this.#options;
    const isFull = this.#bytes > (this.#full ? backlog.bytesMax / 2 : backlog.bytesMax);
    if (isFull === this.#full) return;
    this.#full = isFull;
    backlog.changed(isFull);
  }
}
