// The one place that sends commands through ioredis: one connection, scripts by name, errors without payload.
// Must never send a command twice or queue one while the connection is down (GUARANTEES rule 2).
import { Redis } from "ioredis";
import { StoreRefused, StoreUnavailable, StoreUnreached } from "../store.ts";
import { clientOptions, type ClientDemand } from "./client-options.ts";
import { redirectionOf } from "./redirected.ts";
import type { ScriptName } from "./scripts.ts";

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
  readonly scripts: ReadonlyMap<ScriptName, string>;
  /** Runs on every new connection before anyone else may use it. Throws StoreRefused to keep it shut. */
  readonly admit: (connection: RedisConnection) => Promise<Admitted>;
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
const CLOSED = "connection closed";
/** ioredis keeps this from us, and looks again by itself. */
const UNREADY = "connected, but it does not serve yet: it is loading its data, or hangs";

export class RedisConnection {
  readonly #options: ConnectionOptions;
  readonly #redis: Redis;
  readonly #commands: Readonly<Record<string, Command | undefined>>;
  #state: ConnectionState = { kind: "down", reason: "not yet connected" };
  #admitted: Admitted | undefined;
  #admission: NodeJS.Timeout | undefined;
  /** Rises with each loss: what was found before it says nothing of what comes after. */
  #losses = 0;
  #lastError = CLOSED;
  #corked = false;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#redis = new Redis(clientOptions(options));
    for (const [name, lua] of options.scripts) this.#redis.defineCommand(commandOf(name), { lua });
    this.#commands = this.#redis as unknown as Record<string, Command | undefined>;
    this.#redis.on("connect", () => {
      this.#lastError = UNREADY;
    });
    this.#redis.on("ready", () => {
      this.#lastError = CLOSED;
      this.#admit();
    });
    this.#redis.on("close", () => {
      this.#losses += 1;
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

  async script(name: ScriptName, keys: readonly string[], args: readonly Argument[]): Promise<Reply> {
    const parameters = [...keys, ...args];
    try {
      return await this.#gated(methodOf(name), keys.length, parameters);
    } catch (error) {
      if (!(error instanceof ScriptsForgotten)) throw error;
      const lua = this.#options.scripts.get(name) ?? "";
      return await this.#gated("callBuffer", "EVAL", [lua, keys.length, ...parameters]);
    }
  }

  command(name: string, ...args: readonly Argument[]): Promise<Reply> {
    return this.#gated("callBuffer", name, args);
  }

  /** As `script`, before the connection is admitted. */
  scriptUngated(name: ScriptName, keys: readonly string[], args: readonly Argument[]): Promise<Reply> {
    return this.#send(methodOf(name), keys.length, [...keys, ...args]);
  }

  /** As `command`, before the connection is admitted. */
  commandUngated(name: string, ...args: readonly Argument[]): Promise<Reply> {
    return this.#send("callBuffer", name, args);
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

  #gated(method: string, first: string | number, parameters: readonly Argument[]): Promise<Reply> {
    if (this.#state.kind !== "up") {
      return Promise.reject(new StoreUnreached(`redis is not usable: ${this.#state.reason}`));
    }
    return this.#send(method, first, parameters);
  }

  async #send(method: string, first: string | number, parameters: readonly Argument[]): Promise<Reply> {
    try {
      this.#cork();
      const command = this.#commands[method];
      if (command === undefined) throw new Error(`no such redis command: ${method}`);
      // As one list, which ioredis lays flat: a large batch has more parameters than a function may be called with.
      return await command.call(this.#redis, first, parameters.map(asBuffer));
    } catch (error) {
      // Not as the cause: ioredis hangs the command's arguments, payload and all, on its errors.
      if (reasonOf(error) === "refused with NOSCRIPT") throw new ScriptsForgotten("redis: forgets its scripts");
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

function commandOf(name: ScriptName): string {
  return `aegis:${name}`;
}

/** Of ioredis, which answers with bytes. */
function methodOf(name: ScriptName): string {
  return `aegis:${name}Buffer`;
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
