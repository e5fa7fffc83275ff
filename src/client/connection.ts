// One session after another over WebSockets: connects, hands over whole frames, connects again when the
// rules allow it (PROTOCOL C7), and says when it never will. Knows nothing of requests and streams.
import { WebSocket } from "ws";
import { reconnectBackoffMs, shouldReconnect } from "../protocol/close-codes.ts";
import {
  SUBPROTOCOL,
  encodePing,
  encodePong,
  type Goaway,
  type ServerFrame,
  type Welcome,
} from "../protocol/frames.ts";
import { decodeServerFrames } from "../protocol/parse-frames.ts";
import { connectionClosed, localError, type AegisError } from "./aegis-error.ts";
import { fullJitterMs } from "./backoff.ts";
import type { ClientSettings } from "./client-options.ts";
import { FrameWriter } from "./frame-writer.ts";
import { handshakeFailure } from "./handshake-failure.ts";

export interface ConnectionHandler {
  /** A session begins. */
  opened(welcome: Welcome): void;
  frame(frame: ServerFrame): void;
  /** The session is over; another may follow. */
  lost(): void;
  /** There will be no other session. */
  ended(error: AegisError | undefined): void;
  /** There is room to send again. */
  writable(): void;
  /** Nothing of this session is waited for: a draining node may be left. */
  idle(): boolean;
}

/** A pong may take so long, or as long as the server's heartbeat if that is shorter. */
const PONG_TIMEOUT_MS = 10_000;
const CLOSE_TIMEOUT_MS = 2000;
const DECODE_LIMITS = { depthMax: 24, elementsMax: 4_000_000 };

interface Session {
  readonly welcome: Welcome;
  /** It answered something: the server works, so the pauses begin anew. */
  served: boolean;
  heardAt: number;
  /** GOAWAY has come. */
  leaves: boolean;
  /** Its time has come, too: nothing new is sent. */
  draining: boolean;
}

export class Connection {
  readonly #settings: ClientSettings;
  readonly #handler: ConnectionHandler;
  #socket: WebSocket | undefined;
  #writer: FrameWriter | undefined;
  #session: Session | undefined;
  #attempt = 0;
  /** Several servers: not every client begins with the same one. */
  #nextUrl: number;
  #lastFailure: string | undefined;
  /** Not before this instant (monotonic) is the next attempt made. */
  #notBefore = 0;
  #timer: NodeJS.Timeout | undefined;
  #heartbeat: NodeJS.Timeout | undefined;
  #ended = false;
  #closed: (() => void) | undefined;
  #closing: Promise<void> | undefined;

  constructor(settings: ClientSettings, handler: ConnectionHandler) {
    this.#settings = settings;
    this.#handler = handler;
    this.#nextUrl = Math.floor(Math.random() * settings.urls.length);
  }

  get welcome(): Welcome | undefined {
    return this.#session?.welcome;
  }

  /** Why the last attempt to connect failed: an HTTP status or a system's error code. */
  get lastFailure(): string | undefined {
    return this.#lastFailure;
  }

  /** True while a new request may be sent. */
  get open(): boolean {
    return this.#session !== undefined && !this.#session.draining && this.#writer?.writable === true;
  }

  /** Gathered with the other frames of this tick. Dropped when there is no session. */
  send(frame: Uint8Array): void {
    if (this.#session !== undefined) this.#writer?.add(frame);
  }

  connect(): void {
    const { urls } = this.#settings;
    const url = urls[this.#nextUrl % urls.length] as string;
    // The one that was lost, or tells its sessions to leave, is the last to be tried again.
    this.#nextUrl += 1;
    const socket = new WebSocket(url, SUBPROTOCOL, {
      headers: { authorization: `Bearer ${this.#settings.token}` },
      perMessageDeflate: false,
      maxPayload: this.#settings.messageBytesMax,
      handshakeTimeout: this.#settings.handshakeTimeoutMs,
      ...(this.#settings.tlsCa === undefined ? {} : { ca: this.#settings.tlsCa }),
    });
    this.#socket = socket;
    socket.on("open", () => {
      // A server that takes connections and says nothing is as good as none.
      this.#timer = setTimeout(() => socket.terminate(), this.#settings.handshakeTimeoutMs);
    });
    socket.on("unexpected-response", (_request, response) => {
      response.resume();
      this.#lastFailure = `HTTP ${response.statusCode ?? 0}`;
      const failure = handshakeFailure(response.statusCode ?? 0, response.headers["retry-after"]);
      if (failure.kind === "fatal") this.#end(failure.error);
      else this.#notBefore = performance.now() + failure.retryAfterMs;
      socket.terminate();
    });
    socket.on("message", (data: Buffer, isBinary: boolean) => {
      if (this.#socket === socket) this.#received(data, isBinary);
    });
    // `close` follows and is what counts; without a listener the process would end.
    socket.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== undefined) this.#lastFailure = error.code;
    });
    socket.on("close", (code) => {
      if (this.#socket === socket) this.#socketClosed(code);
    });
  }

  /** Resolves when the socket is closed, for whoever asks. */
  close(): Promise<void> {
    this.#closing ??= new Promise((resolve) => {
      this.#end(undefined);
      if (this.#socket === undefined) {
        resolve();
        return;
      }
      this.#closed = resolve;
      this.#closeSocket(1000);
    });
    return this.#closing;
  }

  #received(data: Buffer, isBinary: boolean): void {
    const parsed = isBinary
      ? decodeServerFrames(data, DECODE_LIMITS)
      : ({ ok: false, message: "a text message" } as const);
    if (!parsed.ok) {
      this.#violated(parsed.message);
      return;
    }
    if (this.#session !== undefined) this.#session.heardAt = performance.now();
    for (const frame of parsed.frames) this.#handle(frame);
  }

  #handle(frame: ServerFrame): void {
    if (this.#ended) return;
    if (frame.type === "welcome") {
      if (this.#session !== undefined) this.#violated("a second WELCOME");
      else this.#opened(frame);
    } else if (this.#session === undefined) this.#violated("no WELCOME first");
    else if (frame.type === "ping") this.send(encodePong(frame.nonce));
    else if (frame.type === "goaway") this.#goAway(frame);
    else if (frame.type !== "pong") {
      if (frame.type === "response") this.#session.served = true;
      this.#handler.frame(frame);
      this.#leaveWhenIdle();
    }
  }

  #opened(welcome: Welcome): void {
    clearTimeout(this.#timer);
    const now = performance.now();
    this.#session = { welcome, served: false, heardAt: now, leaves: false, draining: false };
    this.#writer = new FrameWriter(this.#socket as WebSocket, {
      messageBytesMax: welcome.limits.messageBytesMax,
      unsentBytesMax: this.#settings.unsentBytesMax,
      writable: () => this.#handler.writable(),
    });
    const { heartbeatMs } = welcome.limits;
    const beatMs = Math.max(50, heartbeatMs / 2);
    const silenceMs = beatMs + Math.min(PONG_TIMEOUT_MS, Math.max(50, heartbeatMs));
    this.#heartbeat = setInterval(() => this.#beat(beatMs, silenceMs), beatMs);
    this.#settings.observer.connected?.(welcome);
    this.#handler.opened(welcome);
  }

  /** A silent server is asked; one that stays silent is given up. */
  #beat(beatMs: number, silenceMs: number): void {
    if (this.#session === undefined) return;
    const silentMs = performance.now() - this.#session.heardAt;
    if (silentMs > silenceMs) this.#socket?.terminate();
    else if (silentMs >= beatMs) this.send(encodePing(Math.floor(silentMs)));
  }

  /** Goes on as before until its time in the window has come; then leaves as soon as nothing is waited for. */
  #goAway({ deadlineMs, reconnectMinMs, reconnectMaxMs }: Goaway): void {
    const session = this.#session;
    if (session === undefined || session.leaves) return;
    session.leaves = true;
    const leaveInMs = reconnectMinMs + Math.random() * Math.max(0, reconnectMaxMs - reconnectMinMs);
    // Where the server ends the session earlier, all the same: that is what spreads its clients.
    this.#notBefore = performance.now() + leaveInMs;
    this.#attempt = 0;
    const endAt = performance.now() + deadlineMs;
    const drain = (): void => {
      session.draining = true;
      this.#timer = setTimeout(() => this.#closeSocket(1000), endAt - performance.now());
      this.#leaveWhenIdle();
    };
    this.#timer = setTimeout(drain, Math.min(leaveInMs, deadlineMs));
  }

  #leaveWhenIdle(): void {
    if (this.#session?.draining === true && this.#handler.idle()) this.#closeSocket(1000);
  }

  #violated(message: string): void {
    this.#end(localError("INTERNAL", { message: `the server broke the protocol: ${message}` }));
    this.#closeSocket(4500);
  }

  #closeSocket(code: number): void {
    const socket = this.#socket;
    if (socket === undefined) return;
    clearTimeout(this.#timer);
    this.#writer?.flush();
    if (socket.readyState === WebSocket.CONNECTING) socket.terminate();
    else socket.close(code);
    this.#timer = setTimeout(() => socket.terminate(), CLOSE_TIMEOUT_MS);
  }

  #socketClosed(code: number): void {
    clearTimeout(this.#timer);
    clearInterval(this.#heartbeat);
    const session = this.#session;
    this.#session = undefined;
    this.#socket = undefined;
    this.#writer = undefined;
    if (session !== undefined) {
      if (session.served) this.#attempt = 0;
      this.#handler.lost();
      if (!shouldReconnect(code)) this.#end(closeError(code));
    }
    const retryInMs = this.#ended ? undefined : this.#reconnectInMs();
    if (session !== undefined) this.#settings.observer.disconnected?.(code, retryInMs);
    if (retryInMs !== undefined) this.#timer = setTimeout(() => this.connect(), retryInMs);
    this.#closed?.();
  }

  #reconnectInMs(): number {
    const pauseMs = fullJitterMs(this.#attempt, reconnectBackoffMs);
    this.#attempt += 1;
    // GOAWAY and Retry-After name the time themselves.
    const notBefore = this.#notBefore;
    this.#notBefore = 0;
    return notBefore === 0 ? pauseMs : Math.max(0, Math.round(notBefore - performance.now()));
  }

  #end(error: AegisError | undefined): void {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#timer);
    clearInterval(this.#heartbeat);
    this.#handler.ended(error);
  }
}

function closeError(code: number): AegisError {
  return code === 4501
    ? localError("KEY_REVOKED", { details: { closeCode: code } })
    : connectionClosed(`the server closed the connection with ${code}`, { closeCode: code });
}
