// The one place that sends commands through ioredis: one connection, scripts by name, errors without payload.
// Must never send a command twice or queue one while the connection is down (GUARANTEES rule 2).
import { Redis } from "ioredis";
import { StoreRefused, StoreUnavailable } from "../store.ts";
import { clientOptions, type ClientDemand, sentinelOptions } from "./client-options.ts";
import { PrimaryWatch } from "./primary-watch.ts";
import { redirectionOf } from "./redirected.ts";
import type { ScriptName } from "./scripts.ts";

/** What Redis answers, in binary. */
export type Reply = Buffer | number | null | Reply[];
export type Argument = string | number | Uint8Array;

/** Where the store's commands go: one connection, or one to each primary of a cluster. */
export interface RedisAccess {
  /** Runs a script, whose keys all lie in one slot; one round trip. @throws StoreUnavailable */
  script(name: ScriptName, keys: readonly string[], args: readonly Argument[]): Promise<Reply>;
  /** Runs a command on a key. @throws StoreUnavailable */
  command(name: string, key: string | Buffer, ...args: readonly Argument[]): Promise<Reply>;
  /** Runs a command that names no key where the key lies. @throws StoreUnavailable */
  commandAt(key: string, name: string, ...args: readonly Argument[]): Promise<Reply>;
  /** Of all servers that keys lie on. */
  connections(): readonly RedisConnection[];
  /** @throws StoreRefused, StoreUnavailable after the time given */
  open(timeoutMs: number): Promise<void>;
  /** What is still unanswered fails with StoreUnavailable. */
  close(): Promise<void>;
}

export interface ConnectionOptions extends ClientDemand {
  readonly scripts: ReadonlyMap<ScriptName, string>;
  /** Commands sent and not yet answered; more are turned away. */
  readonly inFlightMax: number;
  /** Runs on every new connection before anyone else may use it. Throws StoreRefused to keep it shut. */
  readonly admit: (connection: RedisConnection) => Promise<void>;
  readonly onState: (state: ConnectionState) => void;
}

export type ConnectionState =
  | { readonly kind: "up" }
  | { readonly kind: "down"; readonly reason: string }
  | { readonly kind: "refused"; readonly reason: string };

/** ioredis loads a script again that Redis has forgotten; it was forgotten once more before it was called. */
class ScriptsForgotten extends StoreUnavailable {}

type Command = (...parameters: unknown[]) => Promise<Reply>;

/** How often a server that was refused is looked at again, and one that could not be judged. */
const ADMIT_REFUSED_AGAIN_MS = 2000;
const ADMIT_UNJUDGED_AGAIN_MS = 200;

export class RedisConnection implements RedisAccess {
  readonly #options: ConnectionOptions;
  readonly #redis: Redis;
  readonly #commands: Readonly<Record<string, Command | undefined>>;
  #state: ConnectionState = { kind: "down", reason: "not yet connected" };
  #admission: NodeJS.Timeout | undefined;
  #lastError = "connection closed";
  #inFlight = 0;
  #corked = false;
  readonly #watch: PrimaryWatch | undefined;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#redis = new Redis(clientOptions(options));
    for (const [name, lua] of options.scripts) this.#redis.defineCommand(commandName(name), { lua });
    this.#commands = this.#redis as unknown as Record<string, Command | undefined>;
    this.#redis.on("ready", () => this.#admit());
    this.#redis.on("close", () => this.#setState({ kind: "down", reason: this.#lastError }));
    this.#redis.on("error", (error: Error) => {
      // Says nothing that the sentinel's own error did not say better.
      if (!error.message.startsWith("All sentinels are unreachable")) this.#lastError = reasonOf(error);
    });
    this.#redis.on("sentinelError", (error: Error) => {
      this.#lastError = reasonOf(error);
    });
    this.#watch = watchFor(options, () => this.#stream()?.destroy());
  }

  get state(): ConnectionState {
    return this.#state;
  }

  /** Resolves when the first connection is admitted. @throws StoreRefused, StoreUnavailable after the time given */
  open(timeoutMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => {
        finish(() => reject(new StoreUnavailable(`redis can't be reached: ${this.#lastError}`)));
      }, timeoutMs);
      const finish = (end: () => void): void => {
        clearTimeout(late);
        this.#opening = undefined;
        end();
      };
      this.#opening = (state) => {
        if (state.kind === "up") finish(resolve);
        if (state.kind === "refused") finish(() => reject(new StoreRefused(state.reason)));
      };
      // Its failure shows in the state; ioredis tries again by itself.
      this.#redis.connect().catch(() => undefined);
    });
  }

  #opening: ((state: ConnectionState) => void) | undefined;

  async script(name: ScriptName, keys: readonly string[], args: readonly Argument[]): Promise<Reply> {
    const parameters = [keys.length, ...keys, ...args];
    try {
      return await this.#gated(`${commandName(name)}Buffer`, parameters);
    } catch (error) {
      if (!(error instanceof ScriptsForgotten)) throw error;
      return await this.#gated("callBuffer", ["EVAL", this.#options.scripts.get(name), ...parameters]);
    }
  }

  command(name: string, ...args: readonly Argument[]): Promise<Reply> {
    return this.#gated("callBuffer", [name, ...args]);
  }

  commandAt(_key: string, name: string, ...args: readonly Argument[]): Promise<Reply> {
    return this.command(name, ...args);
  }

  connections(): readonly RedisConnection[] {
    return [this];
  }

  /** As `script`, before the connection is admitted. */
  scriptUngated(name: ScriptName, keys: readonly string[], args: readonly Argument[]): Promise<Reply> {
    return this.#send(`${commandName(name)}Buffer`, [keys.length, ...keys, ...args]);
  }

  /** As `command`, before the connection is admitted. */
  commandUngated(name: string, ...args: readonly Argument[]): Promise<Reply> {
    return this.#send("callBuffer", [name, ...args]);
  }

  async close(): Promise<void> {
    clearTimeout(this.#admission);
    this.#watch?.close();
    const { status } = this.#redis;
    // Between two attempts there is no socket whose end could be waited for.
    const ended =
      status === "reconnecting" || status === "wait" || status === "end"
        ? Promise.resolve()
        : new Promise<void>((resolve) => this.#redis.once("end", () => resolve()));
    this.#redis.disconnect();
    // A server that hangs would not answer a polite end.
    this.#stream()?.destroy();
    await ended;
  }

  #gated(method: string, parameters: readonly unknown[]): Promise<Reply> {
    if (this.#state.kind !== "up") {
      return Promise.reject(new StoreUnavailable(`redis is not usable: ${this.#state.reason}`));
    }
    return this.#send(method, parameters);
  }

  async #send(method: string, parameters: readonly unknown[]): Promise<Reply> {
    if (this.#inFlight >= this.#options.inFlightMax) throw new StoreUnavailable("too many commands wait for redis");
    this.#inFlight += 1;
    try {
      this.#cork();
      const command = this.#commands[method];
      if (command === undefined) throw new Error(`no such redis command: ${method}`);
      return await command.apply(this.#redis, parameters.map(asBuffer));
    } catch (error) {
      // Not as the cause: ioredis hangs the command's arguments, payload and all, on its errors.
      if (reasonOf(error) === "refused with NOSCRIPT") throw new ScriptsForgotten("redis: forgets its scripts");
      throw redirectionOf(error) ?? new StoreUnavailable(`redis: ${reasonOf(error)}`);
    } finally {
      this.#inFlight -= 1;
    }
  }

  /** Undefined before the first connection, whatever ioredis's types say. */
  #stream(): Redis["stream"] | undefined {
    return this.#redis.stream;
  }

  /** What is sent within one turn of the event loop leaves in one write. */
  #cork(): void {
    const stream = this.#stream();
    if (this.#corked || stream === undefined) return;
    this.#corked = true;
    stream.cork();
    process.nextTick(() => {
      this.#corked = false;
      stream.uncork();
    });
  }

  #admit(): void {
    clearTimeout(this.#admission);
    this.#options.admit(this).then(
      () => {
        if (this.#redis.status === "ready") this.#setState({ kind: "up" });
      },
      (error: unknown) => {
        const refused = error instanceof StoreRefused;
        if (refused) this.#setState({ kind: "refused", reason: error.message });
        else this.#lastError = reasonOf(error);
        // The operator may have set what was asked for, or the cluster have found its state.
        this.#admission = setTimeout(
          () => {
            if (this.#redis.status === "ready") this.#admit();
          },
          refused ? ADMIT_REFUSED_AGAIN_MS : ADMIT_UNJUDGED_AGAIN_MS,
        ).unref();
      },
    );
  }

  #setState(state: ConnectionState): void {
    const before = this.#state;
    this.#state = state;
    this.#opening?.(state);
    if (before.kind !== state.kind) this.#options.onState(state);
  }
}

function watchFor(options: ConnectionOptions, moved: () => void): PrimaryWatch | undefined {
  const { route } = options.address;
  return route.kind === "sentinel" ? new PrimaryWatch(route, sentinelOptions(options), moved) : undefined;
}

/** ioredis sends any other byte array as its decimal text. */
function asBuffer(parameter: unknown): unknown {
  if (!(parameter instanceof Uint8Array) || Buffer.isBuffer(parameter)) return parameter;
  return Buffer.from(parameter.buffer, parameter.byteOffset, parameter.byteLength);
}

function commandName(name: ScriptName): string {
  return `aegis${name
    .split("-")
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join("")}`;
}

/** The error's code, or its first word when Redis said it; never arguments. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return "unknown error";
  const { code } = error as { readonly code?: unknown };
  if (typeof code === "string") return code;
  if (error.name === "ReplyError") return `refused with ${/^[A-Z]+/.exec(error.message)?.[0] ?? "an error"}`;
  // ioredis's own texts about the connection.
  return error.message.slice(0, 100);
}
