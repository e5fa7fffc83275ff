// The network between simulated machines: TCP as its users know it. A direction may be slow or stop for a while, and
// then delivers late; a connection ends and loses what is on its way; nothing is lost out of the middle of a stream.
import type { Machine } from "./machine.ts";
import { FAIR_LATENCY_MS } from "./store-view.ts";
import { SimSocket, type Packet } from "./sim-socket.ts";
import type { Simulator } from "./simulator.ts";

export interface Listener {
  readonly machine: Machine;
  /** False: turned away. */
  accept(socket: SimSocket, path: string): boolean;
}

interface Direction {
  readonly from: Machine;
  readonly to: Machine;
  /** Nothing sent later arrives before this. */
  lastMs: number;
}

interface Connection {
  readonly ends: readonly [SimSocket, SimSocket];
  readonly directions: readonly [Direction, Direction];
  cut: boolean;
}

const REFUSED_MS = 1;
const RESET_AFTER_SILENCE_MS = 60_000;

export class SimNetwork {
  readonly #simulator: Simulator;
  readonly #listeners = new Map<string, Listener>();
  readonly #connections = new Set<Connection>();
  /** Directions in which nothing goes, `from>to`, and until when. */
  readonly #stopped = new Map<string, number>();
  /** Pairs that refuse each other's connections, and until when. */
  readonly #refusing = new Map<string, number>();
  latencyMs: readonly [number, number] = FAIR_LATENCY_MS;

  constructor(simulator: Simulator) {
    this.#simulator = simulator;
  }

  listen(address: string, listener: Listener): void {
    this.#listeners.set(address, listener);
  }

  dial(from: Machine, address: string, path: string): SimSocket {
    const socket = new SimSocket(from);
    const listener = this.#listeners.get(address);
    if (listener === undefined || listener.machine.state === "dead" || this.#refuses(from, listener.machine)) {
      from.after(REFUSED_MS, "arrival", `refused by ${address}`, () => socket.lost());
      return socket;
    }
    const { machine } = listener;
    const arriveMs = this.#arrival({ from, to: machine, lastMs: 0 });
    this.#simulator.plan(machine, arriveMs, "arrival", `dialled by ${from.name}`, () => {
      this.#accepted(socket, listener, path);
    });
    machine.onDeath(() => from.after(this.#latency(), "arrival", "reset", () => socket.lost()));
    return socket;
  }

  /** Nothing goes from one machine to the other until then; what is sent meanwhile arrives late. */
  stop(from: string, to: string, untilMs: number): void {
    this.#stopped.set(`${from}>${to}`, untilMs);
    this.#simulator.note(`NOTHING ${from} > ${to} until ${untilMs.toFixed(0)}`);
  }

  /** As a firewall that answers: connections between the two are reset, and new ones refused. */
  refuse(one: string, other: string, untilMs: number): void {
    for (const way of [`${one}>${other}`, `${other}>${one}`]) this.#refusing.set(way, untilMs);
    this.cut(one, other);
  }

  heal(): void {
    this.#stopped.clear();
    this.#refusing.clear();
  }

  /** Connections between the two are reset. */
  cut(one: string, other: string): void {
    for (const connection of this.#connections) {
      const names = connection.ends.map(({ machine }) => machine.name);
      if (names.includes(one) && names.includes(other)) this.#reset(connection, 0);
    }
  }

  /** @param silent its peers hear nothing of its end for a minute, as when a host loses its power */
  died(machine: Machine, silent: boolean): void {
    for (const connection of this.#connections) {
      if (connection.ends.some((end) => end.machine === machine)) {
        this.#reset(connection, silent ? RESET_AFTER_SILENCE_MS : this.#latency());
      }
    }
  }

  #accepted(socket: SimSocket, listener: Listener, path: string): void {
    const { machine } = listener;
    const accepted = new SimSocket(machine);
    const connection: Connection = {
      ends: [socket, accepted],
      directions: [
        { from: socket.machine, to: machine, lastMs: 0 },
        { from: machine, to: socket.machine, lastMs: 0 },
      ],
      cut: false,
    };
    socket.carry = (packet) => this.#carry(connection, 0, packet);
    accepted.carry = (packet) => this.#carry(connection, 1, packet);
    accepted.readyState = accepted.OPEN;
    const back = connection.directions[1];
    const arriveMs = this.#arrival(back);
    if (socket.readyState !== socket.CONNECTING || !listener.accept(accepted, path)) {
      this.#simulator.plan(socket.machine, arriveMs, "arrival", "turned away", () => socket.lost());
      return;
    }
    this.#connections.add(connection);
    back.lastMs = arriveMs;
    this.#simulator.plan(socket.machine, arriveMs, "arrival", "open", () => {
      // Given up meanwhile: the other end hears of it.
      if (socket.readyState === socket.CONNECTING) socket.opened();
      else this.#carry(connection, 0, { kind: "close", code: 1006 });
    });
  }

  #carry(connection: Connection, way: 0 | 1, packet: Packet): void {
    if (connection.cut) return;
    const direction = connection.directions[way];
    const arriveMs = Math.max(this.#arrival(direction), direction.lastMs);
    direction.lastMs = arriveMs;
    const receiver = connection.ends[way === 0 ? 1 : 0];
    this.#simulator.plan(direction.to, arriveMs, "arrival", `${packet.kind} of ${direction.from.name}`, () => {
      if (connection.cut) return;
      if (packet.kind === "close") this.#connections.delete(connection);
      receiver.received(packet);
    });
  }

  #reset(connection: Connection, afterMs: number): void {
    this.#connections.delete(connection);
    connection.cut = true;
    for (const end of connection.ends) {
      if (end.machine.state !== "dead") end.machine.after(afterMs, "arrival", "reset", () => end.lost());
    }
  }

  /** When what is sent now arrives. */
  #arrival({ from, to }: Direction): number {
    const freeMs = this.#stopped.get(`${from.name}>${to.name}`) ?? 0;
    return Math.max(this.#simulator.nowMs, freeMs) + this.#latency();
  }

  #refuses(from: Machine, to: Machine): boolean {
    return (this.#refusing.get(`${from.name}>${to.name}`) ?? 0) > this.#simulator.nowMs;
  }

  #latency(): number {
    return this.#simulator.between(...(this.latencyMs as [number, number]));
  }
}
