// Gathers the frames of one tick into few WebSocket messages: four frames in one write cost a quarter of
// four writes. Counts what the system has not taken yet.
import type { WebSocket } from "ws";
import { concatenate } from "../protocol/frames.ts";

export interface FrameWriterOptions {
  /** The server's bound for one message. */
  readonly messageBytesMax: number;
  readonly unsentBytesMax: number;
  /** Called when there is room again. */
  writable(): void;
}

/** Frames share messages of about this size. */
const BATCH_BYTES = 262_144;

export class FrameWriter {
  readonly #socket: WebSocket;
  readonly #options: FrameWriterOptions;
  #pending: Uint8Array[] = [];
  #unsentBytes = 0;
  #scheduled: NodeJS.Immediate | undefined;
  #full = false;

  constructor(socket: WebSocket, options: FrameWriterOptions) {
    this.#socket = socket;
    this.#options = options;
  }

  get writable(): boolean {
    const room = this.#unsentBytes < this.#options.unsentBytesMax;
    if (!room) this.#full = true;
    return room;
  }

  add(frame: Uint8Array): void {
    this.#pending.push(frame);
    this.#unsentBytes += frame.length;
    this.#scheduled ??= setImmediate(() => this.flush());
  }

  flush(): void {
    clearImmediate(this.#scheduled);
    this.#scheduled = undefined;
    const pending = this.#pending;
    this.#pending = [];
    const batchBytes = Math.min(BATCH_BYTES, this.#options.messageBytesMax);
    let batch: Uint8Array[] = [];
    let bytes = 0;
    for (const frame of pending) {
      if (bytes > 0 && bytes + frame.length > batchBytes) {
        this.#write(batch, bytes);
        batch = [];
        bytes = 0;
      }
      batch.push(frame);
      bytes += frame.length;
    }
    if (bytes > 0) this.#write(batch, bytes);
  }

  #write(frames: readonly Uint8Array[], bytes: number): void {
    this.#socket.send(concatenate(frames), { binary: true }, () => {
      // An error is followed by `close`, which settles everything.
      this.#unsentBytes -= bytes;
      if (this.#full && this.#unsentBytes < this.#options.unsentBytesMax / 2) {
        this.#full = false;
        this.#options.writable();
      }
    });
  }
}
