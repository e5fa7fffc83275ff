// Gathers the frames that leave for one peer in a tick into few messages. Bounded: a peer that takes nothing is cut,
// and whatever it misses it finds in the store.
import { encodePeerFrame, type PeerFrame } from "./peer-frames.ts";
import type { PeerSocket } from "./peer-link-socket.ts";

export interface PeerWriterLimits {
  /** Bytes of one message between nodes. */
  readonly peerMessageBytesMax: number;
  /** Bytes waiting for one peer, more cuts the link; or come from it and waiting here, more is not read. */
  readonly peerQueueBytesMax: number;
}

/** Frames share a message of about this size: whoever takes it decodes all of it at a stretch. */
const MESSAGE_BYTES = 262_144;

export class PeerLinkWriter {
  readonly #socket: PeerSocket;
  readonly #limits: PeerWriterLimits;
  #frames: Uint8Array[] = [];
  #bytes = 0;

  constructor(socket: PeerSocket, limits: PeerWriterLimits) {
    this.#socket = socket;
    this.#limits = limits;
  }

  /** False: it is larger than a message may be, and is not sent. */
  send(frame: PeerFrame): boolean {
    if (this.#socket.readyState !== this.#socket.OPEN) return true;
    const bytes = encodePeerFrame(frame);
    if (bytes.length > this.#limits.peerMessageBytesMax) return false;
    if (this.#frames.length === 0) setImmediate(() => this.#flush());
    this.#frames.push(bytes);
    this.#bytes += bytes.length;
    if (this.#bytes + this.#socket.bufferedAmount > this.#limits.peerQueueBytesMax) this.#socket.terminate();
    return true;
  }

  #flush(): void {
    const frames = this.#frames;
    this.#frames = [];
    this.#bytes = 0;
    let [message, bytes]: [Uint8Array[], number] = [[], 0];
    for (const frame of frames) {
      if (bytes > 0 && bytes + frame.length > MESSAGE_BYTES) {
        this.#write(message);
        [message, bytes] = [[], 0];
      }
      message.push(frame);
      bytes += frame.length;
    }
    this.#write(message);
  }

  #write(frames: readonly Uint8Array[]): void {
    if (this.#socket.readyState === this.#socket.OPEN) this.#socket.send(Buffer.concat(frames));
  }
}
