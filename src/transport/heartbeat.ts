// Pings one socket and notices when nobody answers (C5): by a ping of WebSocket's, which a client's library answers by
// itself, and by a PING frame, which a client sees whose library shows no pings. Either's pong will do. The time for it
// begins when the ping has left, not while it waits behind what the socket carries.
import type { WebSocket } from "ws";
import type { Nonce } from "../protocol/frames.ts";

export interface HeartbeatLimits {
  readonly heartbeatMs: number;
  readonly pongTimeoutMs: number;
}

export interface HeartbeatDuties {
  /** Sends a PING frame. */
  ping(nonce: number): void;
  /** No pong came in time. */
  missed(): void;
}

/** ± 10 %, so that sessions opened together do not beat together. */
const SPREAD = 0.1;

export class Heartbeat {
  readonly #socket: WebSocket;
  readonly #limits: HeartbeatLimits;
  readonly #duties: HeartbeatDuties;
  #beat: NodeJS.Timeout | undefined;
  #pong: NodeJS.Timeout | undefined;
  #awaiting = false;
  #nonce = 0;

  constructor(socket: WebSocket, limits: HeartbeatLimits, duties: HeartbeatDuties) {
    this.#socket = socket;
    this.#limits = limits;
    this.#duties = duties;
    socket.on("pong", () => this.#answered());
    this.#schedule();
  }

  stop(): void {
    clearTimeout(this.#beat);
    clearTimeout(this.#pong);
    this.#awaiting = false;
  }

  /** A PONG frame came. */
  pong(nonce: Nonce): void {
    if (nonce === this.#nonce) this.#answered();
  }

  #schedule(): void {
    const spread = 1 - SPREAD + 2 * SPREAD * Math.random();
    this.#beat = setTimeout(() => this.#ping(), this.#limits.heartbeatMs * spread);
  }

  #ping(): void {
    if (this.#socket.readyState !== this.#socket.OPEN) return;
    this.#awaiting = true;
    this.#nonce += 1;
    this.#duties.ping(this.#nonce);
    this.#socket.ping(undefined, false, () => {
      // Stopped, or answered already: the news that it left may come last.
      if (this.#awaiting) this.#pong = setTimeout(() => this.#duties.missed(), this.#limits.pongTimeoutMs);
    });
  }

  #answered(): void {
    // A pong that nobody asked for (RFC 6455 §5.5.3) answers nothing.
    if (!this.#awaiting) return;
    this.#awaiting = false;
    clearTimeout(this.#pong);
    this.#schedule();
  }
}
