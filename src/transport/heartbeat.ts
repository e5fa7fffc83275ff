// Pings one socket and notices when nobody answers (C5). The time for the pong begins when the ping has
// left, not while it waits behind what the socket carries.
import type { WebSocket } from "ws";

export interface HeartbeatLimits {
  readonly heartbeatMs: number;
  readonly pongTimeoutMs: number;
}

/** ± 10 %, so that sessions opened together do not beat together. */
const SPREAD = 0.1;

export class Heartbeat {
  readonly #socket: WebSocket;
  readonly #limits: HeartbeatLimits;
  readonly #missed: () => void;
  #beat: NodeJS.Timeout | undefined;
  #pong: NodeJS.Timeout | undefined;
  #awaiting = false;

  constructor(socket: WebSocket, limits: HeartbeatLimits, missed: () => void) {
    this.#socket = socket;
    this.#limits = limits;
    this.#missed = missed;
    socket.on("pong", () => this.#answered());
    this.#schedule();
  }

  stop(): void {
    clearTimeout(this.#beat);
    clearTimeout(this.#pong);
    this.#awaiting = false;
  }

  #schedule(): void {
    const spread = 1 - SPREAD + 2 * SPREAD * Math.random();
    this.#beat = setTimeout(() => this.#ping(), this.#limits.heartbeatMs * spread);
  }

  #ping(): void {
    if (this.#socket.readyState !== this.#socket.OPEN) return;
    this.#awaiting = true;
    this.#socket.ping(undefined, false, () => {
      // Stopped, or answered already: the news that it left may come last.
      if (this.#awaiting) this.#pong = setTimeout(this.#missed, this.#limits.pongTimeoutMs);
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
