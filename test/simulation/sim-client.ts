// An application server on a simulated machine: the SDK's own calls and subscriptions over the simulated network, to
// whichever node lets it in. Connects again by itself, as the SDK does.
import { Calls } from "../../src/client/calls.ts";
import { AegisError } from "../../src/client/aegis-error.ts";
import { fullJitterMs } from "../../src/client/backoff.ts";
import { Exchanges } from "../../src/client/exchanges.ts";
import { Subscription } from "../../src/client/subscription.ts";
import { concatenate, encodeRequest, SOCKET_PATH, type ServerFrame, type Welcome } from "../../src/protocol/frames.ts";
import { methods, type MethodName } from "../../src/protocol/methods.ts";
import { decodeServerFrames } from "../../src/protocol/parse-frames.ts";
import type { Machine } from "./machine.ts";
import type { SimSocket } from "./sim-socket.ts";
import type { World } from "./world.ts";

const RECONNECT_MS = { min: 50, max: 1_000 };
/** A node that says nothing for so long is left (the SDK's heartbeat, shortened). */
const SILENCE_MS = 8_000;

export class SimClient {
  readonly calls: Calls;
  /** Attempts that may have had an effect though nobody was told of it. */
  unsure = 0;
  readonly #world: World;
  readonly #machine: Machine;
  readonly #path: string;
  readonly #exchanges = new Exchanges();
  readonly #subscriptions = new Set<Subscription>();
  readonly #numbers = new Map<number, Subscription>();
  #socket: SimSocket | undefined;
  #welcome: Welcome | undefined;
  #pending: Uint8Array[] = [];
  #attempt = 0;
  #heardMs = 0;
  #draining = false;

  /** Must be made in an event of `machine`. */
  constructor(world: World, machine: Machine, applicationId?: string) {
    this.#world = world;
    this.#machine = machine;
    this.#path = applicationId === undefined ? SOCKET_PATH : `${SOCKET_PATH}#${applicationId}`;
    const open = (): boolean => this.#welcome !== undefined && !this.#draining;
    const limits = (): Welcome["limits"] | undefined => this.#welcome?.limits;
    const channel = {
      get open() {
        return open();
      },
      get limits() {
        return limits();
      },
      send: (frame: Uint8Array) => this.#send(frame),
    };
    this.calls = new Calls(channel, this.#exchanges, { inFlightMax: 64, waitingMax: 1024 });
    setInterval(() => this.#watch(), 1_000);
    this.#connect();
  }

  /** Of the node that it is connected to. */
  get node(): string | undefined {
    return this.#welcome?.node;
  }

  subscribe(messages: number): Subscription {
    const subscription = new Subscription(
      {
        messageBytesMax: 4_194_304,
        request: (method, params, answer) => {
          const id = this.#exchanges.begin({
            answered: ({ result, error }) => {
              if (error !== undefined) answer(undefined, new AegisError(error, { method }));
              else answer(methods[method].result.parse(result) as never, undefined);
            },
            lost: () => undefined,
          });
          this.#send(encodeRequest(id, method, params));
        },
        send: (frame) => this.#send(frame),
        register: (number, owner) => this.#numbers.set(number, owner),
        forget: (gone) => this.#subscriptions.delete(gone),
      },
      { messages, bytes: 1_048_576 },
    );
    this.#subscriptions.add(subscription);
    if (this.#welcome !== undefined) subscription.opened();
    return subscription;
  }

  call(method: MethodName, params: object, key: string | undefined, ttlMs: number): Promise<unknown> {
    return this.calls.submit({ method, params, key, ttlMs, signal: undefined, trace: undefined });
  }

  #connect(): void {
    const { simulator, nodes, network } = this.#world;
    const socket = network.dial(this.#machine, simulator.pick(nodes).address, this.#path);
    this.#socket = socket;
    this.#heardMs = performance.now();
    socket.on("message", (data: Uint8Array) => {
      if (this.#socket !== socket) return;
      this.#heardMs = performance.now();
      const parsed = decodeServerFrames(data);
      if (!parsed.ok) throw new Error(`a server broke the protocol: ${parsed.message}`);
      for (const frame of parsed.frames) this.#take(frame);
    });
    socket.on("close", () => {
      if (this.#socket === socket) this.#lost();
    });
  }

  #take(frame: ServerFrame): void {
    if (frame.type === "welcome") {
      [this.#welcome, this.#attempt, this.#draining] = [frame, 0, false];
      for (const subscription of this.#subscriptions) subscription.opened();
      this.calls.pump();
    } else if (frame.type === "response") {
      if (frame.error?.reason === "OUTCOME_UNKNOWN") this.unsure += 1;
      this.#exchanges.answer(frame);
    } else if (frame.type === "event") this.#numbers.get(frame.subscription)?.received(frame);
    else if (frame.type === "reset") this.#numbers.get(frame.subscription)?.reset(frame);
    else if (frame.type === "goaway") this.#draining = true;
    if (this.#draining && this.#exchanges.size === 0) this.#socket?.close();
  }

  #lost(): void {
    this.#socket = undefined;
    this.#welcome = undefined;
    this.#draining = false;
    this.#pending = [];
    this.#numbers.clear();
    for (const subscription of this.#subscriptions) subscription.lost();
    this.unsure += this.#exchanges.size;
    this.#exchanges.loseAll();
    setTimeout(() => this.#connect(), fullJitterMs(this.#attempt, RECONNECT_MS) + 1);
    this.#attempt += 1;
  }

  #watch(): void {
    if (this.#socket === undefined) return;
    const silentMs = performance.now() - this.#heardMs;
    if (silentMs > SILENCE_MS) this.#socket.terminate();
    else if (this.#socket.readyState === this.#socket.OPEN) {
      this.#socket.ping();
      this.#socket.once("pong", () => (this.#heardMs = performance.now()));
    }
  }

  #send(frame: Uint8Array): void {
    if (this.#welcome === undefined) return;
    if (this.#pending.length === 0) setImmediate(() => this.#flush());
    this.#pending.push(frame);
  }

  #flush(): void {
    const pending = this.#pending;
    this.#pending = [];
    if (pending.length > 0) this.#socket?.send(concatenate(pending));
  }
}
