// One end of a simulated WebSocket: what `ws` gives to links between nodes and to sessions, as far as they use it.
// Whole messages in order until the connection ends; what is on its way then is lost.
import { EventEmitter } from "node:events";
import type { Machine } from "./machine.ts";

export type Packet =
  | { readonly kind: "message"; readonly data: Buffer }
  | { readonly kind: "ping" }
  | { readonly kind: "pong" }
  | { readonly kind: "close"; readonly code: number };

const CONNECTING = 0;
const OPEN = 1;
const CLOSED = 3;
/** As `ws` names an end without a closing handshake. */
const ABNORMAL = 1006;

export class SimSocket extends EventEmitter {
  readonly CONNECTING = CONNECTING;
  readonly OPEN = OPEN;
  readonly bufferedAmount = 0;
  readonly machine: Machine;
  readyState = CONNECTING;
  /** Came in while the reader wanted nothing. */
  readonly #unread: Packet[] = [];
  #paused = false;
  /** Sends to the other end; undefined until there is one. */
  carry: ((packet: Packet) => void) | undefined;

  constructor(machine: Machine) {
    super();
    this.machine = machine;
  }

  opened(): void {
    if (this.readyState !== CONNECTING) return;
    this.readyState = OPEN;
    this.emit("open");
  }

  send(data: Uint8Array, ...rest: unknown[]): void {
    if (this.readyState !== OPEN) return;
    // As the system does: what was handed over is no longer the sender's.
    this.carry?.({ kind: "message", data: Buffer.from(data) });
    this.#done(rest);
  }

  ping(...rest: unknown[]): void {
    if (this.readyState !== OPEN) return;
    this.carry?.({ kind: "ping" });
    this.#done(rest);
  }

  close(code = 1000): void {
    if (this.readyState === CLOSED) return;
    this.carry?.({ kind: "close", code });
    this.#end(code);
  }

  terminate(): void {
    if (this.readyState === CLOSED) return;
    this.carry?.({ kind: "close", code: ABNORMAL });
    this.#end(ABNORMAL);
  }

  /** From the network, in an event of this end's machine. */
  received(packet: Packet): void {
    if (this.readyState !== OPEN) return;
    if (this.#paused) this.#unread.push(packet);
    else if (packet.kind === "message") this.emit("message", packet.data, true);
    else if (packet.kind === "ping") this.carry?.({ kind: "pong" });
    else if (packet.kind === "pong") this.emit("pong");
    else this.lost(packet.code);
  }

  get isPaused(): boolean {
    return this.#paused;
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    for (const packet of this.#unread.splice(0)) this.received(packet);
  }

  /** The connection is gone, or never came about. */
  lost(code = ABNORMAL): void {
    if (this.readyState === CLOSED) return;
    this.readyState = CLOSED;
    this.emit("close", code);
  }

  #end(code: number): void {
    this.readyState = CLOSED;
    this.machine.after(0, "arrival", "closed", () => this.emit("close", code));
  }

  #done(rest: unknown[]): void {
    const written = rest.at(-1);
    if (typeof written === "function") this.machine.after(0, "arrival", "written", () => (written as () => void)());
  }
}
