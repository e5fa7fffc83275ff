// A peer for the SDK that does what a test tells it, frame by frame: it can lose answers, cut connections,
// drain, refuse the upgrade. It speaks the protocol but decides nothing by itself, save PONG and WELCOME.
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { WebSocketServer, type WebSocket } from "ws";
import {
  concatenate,
  encodePong,
  encodeWelcome,
  type ClientFrame,
  type RequestFrame,
  type SessionLimits,
} from "../../src/protocol/frames.ts";
import { decodeClientFrames } from "../../src/protocol/parse-frames.ts";

const defaultLimits: SessionLimits = {
  messageBytesMax: 4_194_304,
  inFlightMax: 1024,
  streamsMax: 200_000,
  heartbeatMs: 20_000,
  ttlMsMax: 30_000,
};

/** One connection of the SDK, seen from the server's side. */
export class ScriptedSession {
  readonly socket: WebSocket;
  readonly upgrade: IncomingMessage;
  /** Frames of each WebSocket message received, PING left out. */
  readonly messages: ClientFrame[][] = [];
  readonly #arrived: ClientFrame[] = [];
  readonly #takers: (() => void)[] = [];
  closeCode: number | undefined;

  constructor(socket: WebSocket, upgrade: IncomingMessage) {
    this.socket = socket;
    this.upgrade = upgrade;
    socket.on("message", (data: Buffer) => this.#received(data));
    socket.on("close", (code) => {
      this.closeCode = code;
      this.#wake();
    });
  }

  send(...frames: Uint8Array[]): void {
    this.socket.send(concatenate(frames));
  }

  /** The next frame of that type; others before it are dropped. */
  async frame<T extends ClientFrame["type"]>(type: T): Promise<Extract<ClientFrame, { type: T }>> {
    for (;;) {
      const frame = await this.next();
      if (frame.type === type) return frame as Extract<ClientFrame, { type: T }>;
    }
  }

  /** @throws Error when the session is closed */
  async next(): Promise<ClientFrame> {
    for (;;) {
      const frame = this.#arrived.shift();
      if (frame !== undefined) return frame;
      if (this.closeCode !== undefined) throw new Error(`closed with ${this.closeCode}`);
      await new Promise<void>((resolve) => this.#takers.push(resolve));
    }
  }

  /** The next request, which must be of that method. */
  async request(method: string): Promise<RequestFrame> {
    const frame = await this.frame("request");
    if (frame.method !== method) throw new Error(`expected ${method}, got ${frame.method}`);
    return frame;
  }

  async closed(): Promise<number> {
    while (this.closeCode === undefined) await new Promise<void>((resolve) => this.#takers.push(resolve));
    return this.closeCode;
  }

  #received(data: Buffer): void {
    const parsed = decodeClientFrames(data);
    if (!parsed.ok) throw new Error(`the client broke the protocol: ${parsed.message}`);
    for (const frame of parsed.frames) if (frame.type === "ping") this.send(encodePong(frame.nonce));
    const frames = parsed.frames.filter(({ type }) => type !== "ping");
    if (frames.length > 0) this.messages.push(frames);
    this.#arrived.push(...frames);
    this.#wake();
  }

  #wake(): void {
    for (const taker of this.#takers.splice(0)) taker();
  }
}

export class ScriptedServer {
  readonly #http: Server;
  readonly #sockets: WebSocketServer;
  readonly #sessions: ScriptedSession[] = [];
  readonly #takers: ((session: ScriptedSession) => void)[] = [];
  /** Answers to upgrade requests before one is taken: HTTP status and Retry-After in seconds. */
  readonly refusals: { readonly status: number; readonly retryAfter?: number }[] = [];
  limits: SessionLimits = defaultLimits;
  /** Sent in place of WELCOME, when a test wants something else. */
  greeting: Uint8Array | "nothing" | undefined;
  upgrades = 0;

  private constructor() {
    this.#http = createServer();
    this.#sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false });
    this.#http.on("upgrade", (request, socket, head) => {
      this.upgrades += 1;
      const refusal = this.refusals.shift();
      if (refusal !== undefined) {
        const retryAfter = refusal.retryAfter === undefined ? "" : `Retry-After: ${refusal.retryAfter}\r\n`;
        socket.end(`HTTP/1.1 ${refusal.status} Refused\r\n${retryAfter}Content-Length: 0\r\nConnection: close\r\n\r\n`);
        return;
      }
      this.#sockets.handleUpgrade(request, socket, head, (webSocket) => this.#opened(webSocket, request));
    });
  }

  static async start(): Promise<ScriptedServer> {
    const server = new ScriptedServer();
    server.#http.listen(0, "127.0.0.1");
    await once(server.#http, "listening");
    return server;
  }

  get url(): string {
    return `ws://127.0.0.1:${(this.#http.address() as AddressInfo).port}`;
  }

  /** The next session that is opened, or was opened and not taken yet. */
  session(): Promise<ScriptedSession> {
    const session = this.#sessions.shift();
    return session === undefined ? new Promise((resolve) => this.#takers.push(resolve)) : Promise.resolve(session);
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets.clients) socket.terminate();
    this.#http.closeAllConnections();
    await new Promise((resolve) => this.#http.close(resolve));
  }

  #opened(socket: WebSocket, request: IncomingMessage): void {
    const session = new ScriptedSession(socket, request);
    const welcome = { session: "s", node: "n", version: "0", protocol: "aegis.v1", limits: this.limits };
    if (this.greeting !== "nothing") session.send(this.greeting ?? encodeWelcome(welcome));
    const taker = this.#takers.shift();
    if (taker === undefined) this.#sessions.push(session);
    else taker(session);
  }
}
