// Several primaries behind one store: each key's command goes to the primary that has its slot, over connections that
// are admitted like a single server's. Sends again only what a server said that it did not execute.
import { setTimeout as delay } from "node:timers/promises";
import { StoreRefused, StoreUnavailable, StoreUnreached } from "../store.ts";
import { nameOf, SLOT_COUNT, type SlotMap, slotOf } from "./cluster-slots.ts";
import { ClusterWatch } from "./cluster-watch.ts";
import type { Argument, ConnectionState, Reply } from "./connection.ts";
import { PrimaryLanes, type PrimaryLanesOptions } from "./primary-lanes.ts";
import { Redirected } from "./redirected.ts";
import type { RedisAccess } from "./redis-access.ts";
import { addressOf, type RedisEndpoint, type RedisLogin } from "./redis-url.ts";
import type { ScriptName } from "./scripts.ts";

export interface RedisClusterOptions extends Omit<PrimaryLanesOptions, "address" | "onState"> {
  readonly seeds: readonly RedisEndpoint[];
  readonly login: RedisLogin;
  readonly onState: (state: ConnectionState, primary: string) => void;
}

interface Primary {
  readonly endpoint: RedisEndpoint;
  readonly lanes: PrimaryLanes;
}

/** Between two tries of a command whose slot is on its way. */
const PAUSE_FIRST_MS = 10;
const PAUSE_MAX_MS = 160;

export class RedisCluster implements RedisAccess {
  readonly #options: RedisClusterOptions;
  readonly #watch: ClusterWatch;
  readonly #primaries = new Map<string, Primary>();
  #owners: readonly (Primary | undefined)[] = [];
  #opening: ((failure?: StoreRefused | StoreUnavailable) => void) | undefined;
  #waiting = 0;
  #closed = false;

  constructor(options: RedisClusterOptions) {
    this.#options = options;
    this.#watch = new ClusterWatch({
      ...options,
      onMap: (map) => this.#follow(map),
      onFailure: (failure) => this.#opening?.(failure),
    });
  }

  /** Resolves when every primary is admitted. */
  open(timeoutMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      let late = new StoreUnavailable("redis can't be reached");
      const finish = (end: () => void): void => {
        clearTimeout(timer);
        this.#opening = undefined;
        end();
      };
      const timer = setTimeout(() => finish(() => reject(late)), timeoutMs);
      this.#opening = (failure) => {
        const missing = this.#notUp();
        if (failure instanceof StoreRefused) finish(() => reject(failure));
        else if (failure !== undefined) late = failure;
        else if (missing === undefined) finish(resolve);
        else late = new StoreUnavailable(unreachable(missing));
      };
      this.#watch.start();
    });
  }

  script(name: ScriptName, keys: readonly string[], args: readonly Argument[]): Promise<Reply> {
    const [key = ""] = keys;
    return this.#sendTo(key, (primary) => primary.script(name, keys, args));
  }

  command(name: string, key: string | Buffer, ...args: readonly Argument[]): Promise<Reply> {
    return this.#sendTo(key, (primary) => primary.command(name, key, ...args));
  }

  commandAt(key: string, name: string, ...args: readonly Argument[]): Promise<Reply> {
    return this.#sendTo(key, (primary) => primary.commandAt(key, name, ...args));
  }

  async settled(): Promise<void> {
    await Promise.all(this.primaries().map((lanes) => lanes.settled()));
  }

  primaries(): readonly RedisAccess[] {
    return [...this.#primaries.values()].map(({ lanes }) => lanes);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#watch.close();
    await Promise.all(this.primaries().map((lanes) => lanes.close()));
  }

  async #sendTo(key: string | Buffer, send: (primary: PrimaryLanes) => Promise<Reply>): Promise<Reply> {
    const slot = slotOf(key);
    const primary = this.#owners[slot];
    if (primary === undefined) throw new StoreUnreached("no primary of the redis cluster has the slot");
    try {
      return await send(primary.lanes);
    } catch (error) {
      if (!(error instanceof Redirected)) throw error;
      return await this.#sendAgain(slot, send, primary, error);
    }
  }

  /** Until the slot has found its place, or for as long as an answer may take. */
  async #sendAgain(
    slot: number,
    send: (primary: PrimaryLanes) => Promise<Reply>,
    answered: Primary,
    redirected: Redirected,
  ): Promise<Reply> {
    const { inFlightMax, commandTimeoutMs } = this.#options;
    if (this.#waiting >= inFlightMax) throw new StoreUnreached("too many commands wait for slots on their way");
    this.#waiting += 1;
    try {
      const endMs = performance.now() + commandTimeoutMs;
      let [from, last] = [answered, redirected];
      for (let pauseMs = PAUSE_FIRST_MS; ; pauseMs = Math.min(2 * pauseMs, PAUSE_MAX_MS)) {
        // Who has the slot now knows best; that it is one of the cluster's primaries the map must say.
        if (last.to !== undefined) this.#watch.hurry({ ...last.to, host: last.to.host || from.endpoint.host });
        if (this.#closed || performance.now() + pauseMs > endMs) throw last;
        await delay(pauseMs);
        const primary = this.#owners[slot];
        // One that was only just met is not yet admitted.
        if (primary?.lanes.state.kind !== "up") continue;
        try {
          return await send(primary.lanes);
        } catch (error) {
          if (!(error instanceof Redirected)) throw error;
          [from, last] = [primary, error];
        }
      }
    } finally {
      this.#waiting -= 1;
    }
  }

  #follow(map: SlotMap): void {
    const owners = new Array<Primary | undefined>(SLOT_COUNT).fill(undefined);
    const named = new Set<Primary>();
    for (const { first, last, primary: endpoint } of map.ranges) {
      const primary = this.#primaryAt(endpoint);
      named.add(primary);
      owners.fill(primary, first, last + 1);
    }
    this.#owners = owners;
    for (const [name, primary] of this.#primaries) {
      if (named.has(primary)) continue;
      // What it has not answered fails at once: it may hang.
      this.#primaries.delete(name);
      void primary.lanes.close();
    }
    this.#changed();
  }

  #primaryAt(endpoint: RedisEndpoint): Primary {
    const name = nameOf(endpoint);
    let primary = this.#primaries.get(name);
    if (primary === undefined) {
      const { login, onState, connectTimeoutMs } = this.#options;
      const lanes = new PrimaryLanes({
        ...this.#options,
        address: addressOf(login, endpoint),
        onState: (state) => {
          onState(state, name);
          this.#changed(state);
        },
      });
      primary = { endpoint, lanes };
      this.#primaries.set(name, primary);
      // Its failure shows in its state; it is tried for as long as the map names it.
      lanes.open(connectTimeoutMs).catch(() => undefined);
    }
    return primary;
  }

  #changed(state?: ConnectionState): void {
    if (this.#notUp() !== undefined) this.#watch.hurry();
    this.#opening?.(state?.kind === "refused" ? new StoreRefused(state.reason) : undefined);
  }

  #notUp(): Primary | undefined {
    return [...this.#primaries.values()].find(({ lanes }) => lanes.state.kind !== "up");
  }
}

function unreachable({ endpoint, lanes: { state } }: Primary): string {
  return `redis can't be reached: ${nameOf(endpoint)}: ${state.kind === "up" ? "" : state.reason}`;
}
