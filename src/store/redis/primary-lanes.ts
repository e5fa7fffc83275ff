// Several connections to one primary, which are one to the outside: Redis takes so much from each in a turn and syncs
// once a turn, so more connections make each sync carry more. A key's commands always take the same one, in their
// order. Must never let two of them serve different servers: what one loses, all leave.
import { StoreRefused, StoreUnavailable, StoreUnreached } from "../store.ts";
import { type ClientDemand, sentinelOptions } from "./client-options.ts";
import { slotOf } from "./cluster-slots.ts";
import {
  type Argument,
  type ConnectionOptions,
  type ConnectionState,
  RedisConnection,
  type Reply,
} from "./connection.ts";
import { PrimaryWatch } from "./primary-watch.ts";
import type { RedisAccess } from "./redis-access.ts";
import type { ScriptName } from "./scripts.ts";

export interface PrimaryLanesOptions extends ConnectionOptions {
  /** 1 … 32 */
  readonly connections: number;
  /** Commands sent over any of them and not yet answered; more are turned away. */
  readonly inFlightMax: number;
  /** All connections lead to one server, which may be used from now on. */
  readonly onAdmitted: (deploymentId: string | undefined) => void;
}

/** One that nothing is sent over would be closed on the way, or by Redis' own `timeout`, and all others with it. */
const STIR_MS = 1000;

export class PrimaryLanes implements RedisAccess {
  readonly #options: PrimaryLanesOptions;
  readonly #lanes: readonly RedisConnection[];
  readonly #watch: PrimaryWatch | undefined;
  readonly #stirring: NodeJS.Timeout;
  #state: ConnectionState = { kind: "down", reason: "not yet connected" };
  #opening: ((state: ConnectionState) => void) | undefined;
  #inFlight = 0;

  constructor(options: PrimaryLanesOptions) {
    this.#options = options;
    const onState = (state: ConnectionState): void => {
      if (state.kind === "down") this.#drop(state.reason);
      else this.#judge();
    };
    this.#lanes = Array.from({ length: options.connections }, () => new RedisConnection({ ...options, onState }));
    this.#watch = watchFor(options, () => this.#drop("another server has become the primary"));
    this.#stirring = setInterval(() => this.#stir(), STIR_MS).unref();
  }

  /** Up when every connection is; what is wrong with the first that is not. */
  get state(): ConnectionState {
    if (this.#state.kind !== "down") return this.#state;
    const lane = this.#lanes.find(({ state }) => state.kind !== "up");
    return { kind: "down", reason: lane?.lastError ?? this.#state.reason };
  }

  /** Resolves when all are admitted. @throws StoreRefused, StoreUnavailable after the time given */
  open(timeoutMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const finish = (end: () => void): void => {
        clearTimeout(late);
        this.#opening = undefined;
        end();
      };
      const late = setTimeout(() => {
        const { state } = this;
        const reason = state.kind === "up" ? "" : state.reason;
        finish(() => reject(new StoreUnavailable(`redis can't be reached: ${reason}`)));
      }, timeoutMs);
      this.#opening = (state) => {
        if (state.kind === "up") finish(resolve);
        if (state.kind === "refused") finish(() => reject(new StoreRefused(state.reason)));
      };
      for (const lane of this.#lanes) lane.start();
    });
  }

  script(name: ScriptName, keys: readonly string[], args: readonly Argument[]): Promise<Reply> {
    return this.#send(keys[0] ?? "", (lane) => lane.script(name, keys, args));
  }

  command(name: string, key: string | Buffer, ...args: readonly Argument[]): Promise<Reply> {
    return this.#send(key, (lane) => lane.command(name, key, ...args));
  }

  commandAt(key: string, name: string, ...args: readonly Argument[]): Promise<Reply> {
    return this.#send(key, (lane) => lane.command(name, ...args));
  }

  async settled(): Promise<void> {
    await Promise.all(this.#lanes.map((lane) => lane.command("PING")));
  }

  primaries(): readonly RedisAccess[] {
    return [this];
  }

  async close(): Promise<void> {
    clearInterval(this.#stirring);
    this.#watch?.close();
    await Promise.all(this.#lanes.map((lane) => lane.close()));
  }

  async #send(key: string | Buffer, send: (lane: RedisConnection) => Promise<Reply>): Promise<Reply> {
    const { state } = this;
    if (state.kind !== "up") throw new StoreUnreached(`redis is not usable: ${state.reason}`);
    if (this.#inFlight >= this.#options.inFlightMax) throw new StoreUnreached("too many commands wait for redis");
    this.#inFlight += 1;
    try {
      return await send(this.#laneOf(key));
    } finally {
      this.#inFlight -= 1;
    }
  }

  /** All keys of a shard have one slot. */
  #laneOf(key: string | Buffer): RedisConnection {
    const n = this.#lanes.length === 1 ? 0 : slotOf(key) % this.#lanes.length;
    return this.#lanes[n] as RedisConnection;
  }

  /** What the others have not been answered fails too: they may lead to a server that is no longer the primary. */
  #drop(reason: string): void {
    for (const lane of this.#lanes) lane.drop(reason);
    this.#setState({ kind: "down", reason });
  }

  #judge(): void {
    const refused = this.#lanes.find(({ state }) => state.kind === "refused");
    if (refused !== undefined) this.#setState(refused.state);
    else if (this.#lanes.every(({ state }) => state.kind === "up")) this.#agree();
  }

  #agree(): void {
    const [first, ...others] = this.#lanes.map(({ admitted }) => admitted);
    // Some were made before a failover, or before a restart, and some after it.
    if (others.some((other) => other?.server !== first?.server)) this.#drop("connections lead to different servers");
    else {
      // The slot of what the store says about itself may have come while they were admitted.
      const knowing = this.#lanes.find(({ admitted }) => admitted?.deploymentId !== undefined);
      this.#options.onAdmitted(knowing?.admitted?.deploymentId);
      this.#setState({ kind: "up" });
    }
  }

  #stir(): void {
    // One that hangs is left when it has owed an answer for too long (`socketTimeout`).
    if (this.#state.kind === "up") this.settled().catch(() => undefined);
  }

  #setState(state: ConnectionState): void {
    const before = this.#state;
    this.#state = state;
    this.#opening?.(state);
    if (before.kind !== state.kind) this.#options.onState(state);
  }
}

function watchFor(options: ClientDemand, moved: () => void): PrimaryWatch | undefined {
  const { route } = options.address;
  return route.kind === "sentinel" ? new PrimaryWatch(route, sentinelOptions(options), moved) : undefined;
}
