// A client of the wire for tests: raw frames in and out over a real WebSocket, nothing done by itself.
import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { WebSocket, type ClientOptions } from "ws";
import { concatenate, encodeRequest, type RequestOptions, type ServerFrame } from "../../src/protocol/frames.ts";
import { decodeServerFrames } from "../../src/protocol/parse-frames.ts";

type FrameOf<T extends ServerFrame["type"]> = Extract<ServerFrame, { type: T }>;

/** Generous for a busy machine; a test that waits so long has failed. */
const WAIT_MS = 10_000;

export class WireClient {
  readonly socket: WebSocket;
  readonly frames: ServerFrame[] = [];
  /** Frames of each message, to see what was batched. */
  readonly messages: number[] = [];
  closed: { code: number; reason: string } | undefined;
  #nextId = 1;
  #changed: (() => void)[] = [];

  constructor(socket: WebSocket) {
    this.socket = socket;
    socket.on("message", (data) => {
      const parsed = decodeServerFrames(data as Buffer);
      if (!parsed.ok) throw new Error(`the server sent what is no frame: ${parsed.message}`);
      this.messages.push(parsed.frames.length);
      this.frames.push(...parsed.frames);
      this.#wake();
    });
    socket.on("close", (code, reason) => {
      this.closed = { code, reason: reason.toString() };
      this.#wake();
    });
    socket.on("error", () => this.#wake());
  }

  static async connect(port: number, token: string, options: ClientOptions = {}): Promise<WireClient> {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/v1/ws`, ["aegis.v1"], {
      headers: { authorization: `Bearer ${token}` },
      perMessageDeflate: false,
      ...options,
    });
    const client = new WireClient(socket);
    await once(socket, "open");
    return client;
  }

  send(...frames: Uint8Array[]): void {
    this.socket.send(concatenate(frames));
  }

  request(method: string, params: object, options?: RequestOptions): number {
    const id = this.#nextId++;
    this.send(encodeRequest(id, method, params, options));
    return id;
  }

  async call(method: string, params: object, options?: RequestOptions): Promise<FrameOf<"response">> {
    return await this.response(this.request(method, params, options));
  }

  response(id: number): Promise<FrameOf<"response">> {
    return this.until(() => this.of("response").find((frame) => frame.id === id), `the answer to ${id}`);
  }

  of<T extends ServerFrame["type"]>(type: T): FrameOf<T>[] {
    return this.frames.filter((frame): frame is FrameOf<T> => frame.type === type);
  }

  /** Offsets of a stream, in the order of their coming. */
  offsets(stream: number): number[] {
    return this.of("event")
      .filter((frame) => frame.stream === stream)
      .flatMap(({ events }) => events.map(({ offset }) => offset));
  }

  async until<T>(condition: () => T | undefined | false, what: string): Promise<T> {
    const deadline = Date.now() + WAIT_MS;
    for (;;) {
      const value = condition();
      if (value !== undefined && value !== false) return value;
      const leftMs = deadline - Date.now();
      if (leftMs <= 0) throw new Error(`waited in vain for ${what}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, Math.min(leftMs, 50));
        this.#changed.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }

  async closeCode(): Promise<number> {
    return (await this.until(() => this.closed, "the close")).code;
  }

  #wake(): void {
    const changed = this.#changed;
    this.#changed = [];
    for (const wake of changed) wake();
  }
}

export interface RefusedUpgrade {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly body: Record<string, unknown>;
}

/** Expects the upgrade to be refused. */
export function refusedUpgrade(
  port: number,
  options: {
    readonly token?: string;
    readonly protocols?: string[];
    readonly path?: string;
    readonly authorization?: string;
  },
): Promise<RefusedUpgrade> {
  const authorization = options.authorization ?? (options.token === undefined ? undefined : `Bearer ${options.token}`);
  const socket = new WebSocket(`ws://127.0.0.1:${port}${options.path ?? "/v1/ws"}`, options.protocols ?? ["aegis.v1"], {
    headers: authorization === undefined ? {} : { authorization },
  });
  return new Promise((resolve, reject) => {
    socket.on("error", reject);
    socket.on("open", () => {
      socket.terminate();
      reject(new Error("the upgrade was not refused"));
    });
    socket.on("unexpected-response", (_request, response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("end", () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body: JSON.parse(Buffer.concat(chunks).toString()) as Record<string, unknown>,
        }),
      );
    });
  });
}
