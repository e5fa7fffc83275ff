// Asks a cluster which primary has which slots: each second, sooner when something is wrong. Only says where to look:
// whether a server may be written to is judged at its connection, and by the server itself with each command.
import { Redis } from "ioredis";
import { StoreRefused, StoreUnavailable } from "../store.ts";
import { type ClientDemand, clientOptions } from "./client-options.ts";
import { nameOf, type SlotMap, slotMapOf } from "./cluster-slots.ts";
import { reasonOf, type Reply } from "./connection.ts";
import { addressOf, type RedisEndpoint, type RedisLogin } from "./redis-url.ts";
import { textOf } from "./replies.ts";

export interface ClusterWatchOptions extends Omit<ClientDemand, "address"> {
  readonly login: RedisLogin;
  readonly seeds: readonly RedisEndpoint[];
  readonly onMap: (map: SlotMap) => void;
  /** No server gave a map: the last one stands. */
  readonly onFailure: (failure: StoreRefused | StoreUnavailable) => void;
}

const PERIOD_MS = 1000;
const HURRY_MS = 100;
/** Then the next server is asked. */
const TURN_MS = 1000;

export class ClusterWatch {
  readonly #options: ClusterWatchOptions;
  #servers: readonly RedisEndpoint[] = [];
  /** Asked before all others. */
  #first: RedisEndpoint | undefined;
  #line: { readonly server: RedisEndpoint; readonly redis: Redis } | undefined;
  #timer: NodeJS.Timeout | undefined;
  #looking = false;
  #hurried = false;
  #closed = false;

  constructor(options: ClusterWatchOptions) {
    this.#options = options;
  }

  start(): void {
    void this.#look();
  }

  /** Looks again soon. @param first whom to ask before all others */
  hurry(first?: RedisEndpoint): void {
    if (first !== undefined) this.#first = first;
    if (this.#hurried) return;
    this.#hurried = true;
    if (!this.#looking) this.#wait();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#hangUp();
  }

  async #look(): Promise<void> {
    this.#looking = true;
    this.#hurried = false;
    const found = await this.#ask();
    this.#looking = false;
    if (this.#closed) return;
    if (found instanceof Error) this.#options.onFailure(found);
    else {
      this.#servers = found.servers;
      this.#options.onMap(found);
    }
    this.#wait();
  }

  #wait(): void {
    clearTimeout(this.#timer);
    if (!this.#closed) this.#timer = setTimeout(() => void this.#look(), this.#hurried ? HURRY_MS : PERIOD_MS);
  }

  async #ask(): Promise<SlotMap | StoreRefused | StoreUnavailable> {
    const known = [this.#first, ...this.#servers, ...this.#options.seeds].filter((server) => server !== undefined);
    const candidates = new Map(known.map((server) => [nameOf(server), server]));
    let failure: StoreRefused | StoreUnavailable = new StoreUnavailable("redis can't be reached");
    for (const [name, server] of candidates) {
      if (this.#closed) break;
      try {
        const map = await this.#mapOf(server);
        this.#first = server;
        return map;
      } catch (error) {
        this.#hangUp();
        // What a server refuses says more than that the next one is away.
        if (failure instanceof StoreRefused) continue;
        failure =
          error instanceof StoreRefused
            ? error
            : new StoreUnavailable(`redis can't be reached: ${name}: ${reasonOf(error)}`);
      }
    }
    return failure;
  }

  async #mapOf(server: RedisEndpoint): Promise<SlotMap> {
    const redis = await this.#lineTo(server);
    const [state, slots] = await Promise.all([
      redis.callBuffer("CLUSTER", "INFO") as Promise<Reply>,
      redis.callBuffer("CLUSTER", "SLOTS") as Promise<Reply>,
    ]);
    // A server that is cut off from the others would name primaries that are none any more.
    if (!textOf(state).includes("cluster_state:ok")) throw new Error("the cluster's state is not ok");
    return slotMapOf(slots, server);
  }

  async #lineTo(server: RedisEndpoint): Promise<Redis> {
    if (this.#line !== undefined && nameOf(this.#line.server) === nameOf(server)) return this.#line.redis;
    this.#hangUp();
    const address = addressOf(this.#options.login, server);
    const redis = new Redis({
      ...clientOptions({ ...this.#options, address, connectTimeoutMs: TURN_MS, commandTimeoutMs: TURN_MS }),
      // Whoever does not answer is left for the next server.
      retryStrategy: () => null,
    });
    let reason: unknown;
    redis.on("error", (error: Error) => {
      reason = error;
    });
    this.#line = { server, redis };
    try {
      await redis.connect();
    } catch (error) {
      throw reason ?? error;
    }
    if (textOf((await redis.callBuffer("INFO", "cluster")) as Reply).includes("cluster_enabled:0"))
      throw new StoreRefused("this Redis does not run in cluster mode: name it with redis://");
    return redis;
  }

  #hangUp(): void {
    this.#line?.redis.disconnect();
    this.#line = undefined;
  }
}
