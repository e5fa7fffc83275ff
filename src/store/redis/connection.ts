// The one place that sends commands through ioredis: one connection, scripts by name, errors without payload.
// Must never send a command twice or queue one while the connection is down (GUARANTEES rule 2).
import { Redis } from "ioredis";
import { StoreRefused, StoreUnavailable, StoreUnreached } from "../store.ts";
import { clientOptions, type ClientDemand } from "./client-options.ts";
import { redirectionOf } from "./redirected.ts";
import type { ScriptName, Scripts } from "./scripts.ts";

/** What Redis answers, in binary. */
export type Reply = Buffer | number | null | Reply[];
export type Argument = string | number | Uint8Array;

/** What was found behind a connection that may be used. */
export interface Admitted {
  /** The server's own name for this run of it; undefined when it was not asked. */
  readonly server: string | undefined;
  /** Undefined where another primary of the cluster keeps it. */
  readonly deploymentId: string | undefined;
}

export interface ConnectionOptions extends ClientDemand {
  readonly scripts: Scripts;
  /** Runs on every new connection before anyone else may use it. Throws StoreRefused to keep it shut. */
  readonly admit: (connection: RedisConnection) => Promise<Admitted>;
  readonly onState: (state: ConnectionState) => void;
}

export type ConnectionState =
  | { readonly kind: "up" }
  | { readonly kind: "down"; readonly reason: string }
  | { readonly kind: "refused"; readonly reason: string };

/** Redis was told to forget its scripts since it was sent this one. */
class ScriptUnknown extends StoreUnreached {}

/** How often a server that was refused is looked at again, and one that could not be judged. */
const ADMIT_REFUSED_AGAIN_MS = 2000;
const ADMIT_UNJUDGED_AGAIN_MS = 200;
const CLOSED = "connection closed";
/** ioredis keeps this from us, and looks again by itself. */
const UNREADY = "connected, but it does not serve yet: it is loading its data, or hangs";

export class RedisConnection {
  readonly #options: ConnectionOptions;
  readonly #redis: Redis;
  #state: ConnectionState = { kind: "down", reason: "not yet connected" };
  #admitted: Admitted | undefined;
  #admission: NodeJS.Timeout | undefined;
  /** Rises with each loss: what was found before it says nothing of what comes after. */
  #losses = 0;
  #lastError = CLOSED;
  /** Scripts that were sent whole over this connection: its server knows them by their digests. */
  readonly #known = new Set<ScriptName>();
  #corked = false;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#redis = new Redis(clientOptions(options));
    this.#redis.on("connect", () => {
      this.#lastError = UNREADY;
    });
    this.#redis.on("ready", () => {
      this.#lastError = CLOSED;
      this.#admit();
    });
    this.#redis.on("close", () => {
      this.#losses += 1;
      this.#known.clear();
      this.#setState({ kind: "down", reason: this.#lastError });
    });
    this.#redis.on("error", (error: Error) => {
      // Says nothing that the sentinel's own error did not say better.
      if (!error.message.startsWith("All sentinels are unreachable"))
        this.#lastError = reasonOf(error) + placeOf(error);
    });
    this.#redis.on("sentinelError", (error: Error) => {
      this.#lastError = reasonOf(error);
    });
  }

  get state(): ConnectionState {
    return this.#state;
  }

  /** Of the last admission. */
  get admitted(): Admitted | undefined {
    return this.#admitted;
  }

  get lastError(): string {
    return this.#lastError;
  }

  /** Tries for as long as it is not closed; what comes of it shows in the state. */
  start(): void {
    this.#redis.connect().catch(() => undefined);
  }

  /** Leaves its server and looks for one again. Not told by `onState`; down at once, whatever the socket still does. */
  drop(reason: string): void {
    this.#losses += 1;
    this.#lastError = reason;
    this.#state = { kind: "down", reason };
    this.#stream()?.destroy();
  }

  script(name: ScriptName, keys: readonly string[], args: readonly Argument[]): Promise<Reply> {
    return this.#gated() ?? this.scriptUngated(name, keys, args);
  }

  command(name: string, ...args: readonly Argument[]): Promise<Reply> {
    return this.#gated() ?? this.#send(name, args);
  }

  /** As `script`, before the connection is admitted. */
  async scriptUngated(name: ScriptName, keys: readonly string[], args: readonly Argument[]): Promise<Reply> {
    const { lua, digest } = this.#options.scripts[name];
    const losses = this.#losses;
    const whole = (): Promise<Reply> => this.#send("EVAL", [lua, keys.length, ...keys, ...args]);
    if (!this.#known.has(name)) {
      // What is sent behind it must not be executed before it.
      this.#known.add(name);
      return whole();
    }
    try {
      return await this.#send("EVALSHA", [digest, keys.length, ...keys, ...args]);
    } catch (error) {
      // Nothing was run.
      if (!(error instanceof ScriptUnknown) || losses !== this.#losses) throw error;
      return await whole();
    }
  }

  /** As `command`, before the connection is admitted. */
  commandUngated(name: string, ...args: readonly Argument[]): Promise<Reply> {
    return this.#send(name, args);
  }

  async close(): Promise<void> {
    clearTimeout(this.#admission);
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

  /** Why nothing may be sent now; undefined: it may. */
  #gated(): Promise<never> | undefined {
    if (this.#state.kind === "up") return undefined;
    return Promise.reject(new StoreUnreached(`redis is not usable: ${this.#state.reason}`));
  }

  async #send(name: string, parameters: readonly Argument[]): Promise<Reply> {
    try {
      this.#cork();
      // As one list, which ioredis lays flat: a large batch has more parameters than a function may be called with.
      return (await this.#redis.callBuffer(name, parameters.map(asBuffer))) as Reply;
    } catch (error) {
      // Not as the cause: ioredis hangs the command's arguments, payload and all, on its errors.
      if (reasonOf(error) === "refused with NOSCRIPT") throw new ScriptUnknown("redis: does not know the script");
      throw redirectionOf(error) ?? new StoreUnavailable(`redis: ${reasonOf(error)}`);
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
    const losses = this.#losses;
    this.#options.admit(this).then(
      (admitted) => {
        if (losses !== this.#losses) return;
        this.#admitted = admitted;
        this.#setState({ kind: "up" });
      },
      (error: unknown) => {
        if (losses !== this.#losses) return;
        const refused = error instanceof StoreRefused;
        if (refused) this.#setState({ kind: "refused", reason: error.message });
        else this.#lastError = reasonOf(error);
        // The operator may have set what was asked for, or the cluster have found its state.
        this.#admission = setTimeout(
          () => {
            if (losses === this.#losses) this.#admit();
          },
          refused ? ADMIT_REFUSED_AGAIN_MS : ADMIT_UNJUDGED_AGAIN_MS,
        ).unref();
      },
    );
  }

  #setState(state: ConnectionState): void {
    const before = this.#state;
    this.#state = state;
    if (before.kind !== state.kind) this.#options.onState(state);
  }
}

/** ioredis sends any other byte array as its decimal text. */
function asBuffer(parameter: Argument): string | number | Buffer {
  if (typeof parameter !== "object" || Buffer.isBuffer(parameter)) return parameter;
  return Buffer.from(parameter.buffer, parameter.byteOffset, parameter.byteLength);
}

/** Of the system's errors: a sentinel may have named an address that the operator has not. */
function placeOf(error: Error): string {
  const { address, port, hostname } = error as Error & Partial<Record<"address" | "port" | "hostname", unknown>>;
  if (typeof address === "string") return ` at ${address}${typeof port === "number" ? `:${String(port)}` : ""}`;
  return typeof hostname === "string" ? ` at ${hostname}` : "";
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
