// Gathers the frames that leave for one peer in a tick into one message. Bounded: a peer that takes nothing is cut,
// and whatever it misses it finds in the store.
import { encodePeerFrame, type PeerFrame } from "./peer-frames.ts";
import type { PeerSocket } from "./peer-link-socket.ts";

export class PeerLinkWriter {
  readonly #socket: PeerSocket;
  readonly #queueBytesMax: number;
  #frames: Uint8Array[] = [];
  #bytes = 0;

  constructor(socket: PeerSocket, queueBytesMax: number) {
    this.#socket = socket;
    this.#queueBytesMax = queueBytesMax;
  }

  send(frame: PeerFrame): void {
    if (this.#socket.readyState !== this.#socket.OPEN) return;
    const bytes = encodePeerFrame(frame);
    if (this.#frames.length === 0) setImmediate(() => this.#flush());
    this.#frames.push(bytes);
    this.#bytes += bytes.length;
    if (this.#bytes + this.#socket.bufferedAmount > this.#queueBytesMax) this.#socket.terminate();
  }

  #flush(): void {
    const frames = this.#frames;
    this.#frames = [];
    this.#bytes = 0;
    if (this.#socket.readyState === this.#socket.OPEN) this.#socket.send(Buffer.concat(frames));
  }
}
