// One connection whose frames are kept as the bytes that went over the wire, one by one and in order. Pings are
// left out: they come when they come.
import { once } from "node:events";
import { WebSocket } from "ws";
import { scanValues } from "../../src/protocol/msgpack-scan.ts";

const frameWithinMs = 10_000;
const limits = { depthMax: 32, elementsMax: 1_000_000 };
const pingFirstBytes = Buffer.of(0x92, 7);

export class FrameChannel {
  readonly #socket: WebSocket;
  readonly #frames: Buffer[] = [];
  #arrived: () => void = () => undefined;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on("message", (data) => {
      this.#frames.push(...split(data as Buffer).filter((frame) => !frame.subarray(0, 2).equals(pingFirstBytes)));
      this.#arrived();
    });
  }

  static async open(url: string, token: string): Promise<FrameChannel> {
    const headers = { authorization: `Bearer ${token}` };
    const socket = new WebSocket(url, ["aegis.v1"], { headers, perMessageDeflate: false });
    const channel = new FrameChannel(socket);
    await once(socket, "open");
    return channel;
  }

  send(frame: Uint8Array): void {
    this.#socket.send(frame);
  }

  /** The next frame from the server. */
  async next(): Promise<Buffer> {
    const until = performance.now() + frameWithinMs;
    for (;;) {
      const frame = this.#frames.shift();
      if (frame !== undefined) return frame;
      if (performance.now() > until) throw new Error(`no frame came within ${frameWithinMs} ms`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 1000);
        this.#arrived = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  /** Frames that came and that nobody has asked for. */
  get left(): number {
    return this.#frames.length;
  }

  close(): void {
    this.#socket.terminate();
  }
}

function split(message: Buffer): Buffer[] {
  let start = 0;
  return scanValues(message, limits).map(({ end }) => {
    const frame = message.subarray(start, end);
    start = end;
    return frame;
  });
}
