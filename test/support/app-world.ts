// The whole server in this process, as app.ts wires it, on free ports and an embedded store of its own; with
// clients of the operator and of applications. Closes everything, and fails where the server logged a bug.
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { startApp, type App } from "../../src/app.ts";
import { AegisError, connect, type AegisClient, type ParamsInput } from "../../src/client/client.ts";
import type { Limits } from "../../src/config.ts";
import { loadConfig } from "../../src/load-config.ts";
import { commonReasons, isMethodName, methods } from "../../src/protocol/methods.ts";
import { createTelemetry } from "../../src/telemetry.ts";
import { WireClient } from "./wire-client.ts";

export interface AppWorldOptions {
  readonly limits?: Partial<Limits>;
  readonly settings?: ParamsInput<"application.create">["settings"];
}

/** An application with its first key, and a client of that key. */
export interface TestApplication {
  readonly applicationId: string;
  readonly keyId: string;
  readonly token: string;
  readonly client: AegisClient;
}

/** The line that pino writes for what must never happen. */
const ERROR_LEVEL = 50;

export class AppWorld {
  readonly operatorToken: string;
  #app: App | undefined;
  #operator: AegisClient | undefined;
  readonly #folder = mkdtempSync(path.join(tmpdir(), "aegis-app-"));
  readonly #clients: AegisClient[] = [];
  readonly #wires: WireClient[] = [];
  readonly #bugs: string[] = [];

  private constructor() {
    this.operatorToken = `aegis_operator_${randomBytes(32).toString("hex")}`;
  }

  static async start(options: AppWorldOptions = {}): Promise<AppWorld> {
    const world = new AppWorld();
    await world.#start(options);
    return world;
  }

  get port(): number {
    return this.#running().port;
  }

  get operator(): AegisClient {
    if (this.#operator === undefined) throw new Error("the world has not begun");
    return this.#operator;
  }

  async connect(token: string): Promise<AegisClient> {
    const client = await connect({ url: `ws://127.0.0.1:${String(this.port)}`, token });
    this.#clients.push(client);
    return client;
  }

  /** A client that does nothing by itself: no keys, no retries. */
  async wire(token: string): Promise<WireClient> {
    const wire = await WireClient.connect(this.port, token);
    this.#wires.push(wire);
    return wire;
  }

  async application(settings?: AppWorldOptions["settings"]): Promise<TestApplication> {
    const given = settings === undefined ? {} : { settings };
    const { applicationId, key } = await this.operator.application.create({ name: "test", ...given });
    return { applicationId, keyId: key.keyId, token: key.secret, client: await this.connect(key.secret) };
  }

  /** @throws Error when the server logged a bug */
  async stop(): Promise<void> {
    for (const { socket } of this.#wires) socket.terminate();
    await Promise.all(this.#clients.map((client) => client.close()));
    await this.#app?.stop();
    rmSync(this.#folder, { recursive: true, force: true });
    if (this.#bugs.length > 0) throw new Error(`the server logged:\n${this.#bugs.join("")}`);
  }

  async #start({ limits = {} }: AppWorldOptions): Promise<void> {
    const environment = {
      AEGIS_PORT: "0",
      AEGIS_ADMIN_PORT: "0",
      AEGIS_STORE: `lmdb:${this.#folder}`,
      AEGIS_SHARDS: "16",
    };
    const loaded = loadConfig({ flags: [], environment, readFile: () => "{}" });
    if (loaded.kind !== "config") throw new Error("the test's settings are wrong");
    const config = { ...loaded.config, limits: { ...loaded.config.limits, drainMs: 0, ...limits } };
    const destination = {
      write: (line: string) => {
        if ((JSON.parse(line) as { level: number }).level >= ERROR_LEVEL) this.#bugs.push(line);
      },
    };
    this.#app = await startApp({
      config,
      secrets: { secret: randomBytes(32).toString("hex"), operatorKey: this.operatorToken, made: [] },
      telemetry: createTelemetry({ level: "warn", node: "test", version: "0", destination }),
      version: "0",
      nodeId: "test",
    });
    this.#operator = await this.connect(this.operatorToken);
  }

  #running(): App {
    if (this.#app === undefined) throw new Error("the world has not begun");
    return this.#app;
  }
}

/** The error with which a call must end. @throws Error when the page does not name its reason for the method (E1) */
export async function refusal(call: Promise<unknown>): Promise<AegisError> {
  const error: unknown = await call.then(
    (result) => new Error(`not refused: ${JSON.stringify(result, (_, value: unknown) => String(value))}`),
    (reason: unknown) => reason,
  );
  if (!(error instanceof AegisError)) throw error;
  const { method, reason } = error;
  if (method !== undefined && isMethodName(method)) {
    const named: readonly string[] = [...methods[method].reasons, ...commonReasons];
    if (!named.includes(reason)) throw new Error(`${method} does not name ${reason} among its reasons`);
  }
  return error;
}

/** A basic credential: its type, then its identity with a header for its length (RFC 9420 §5.3). */
export function basicCredential(identity: string | Uint8Array): Uint8Array {
  const bytes = typeof identity === "string" ? Buffer.from(identity, "utf8") : identity;
  const length = bytes.length < 64 ? [bytes.length] : [0x40 | (bytes.length >> 8), bytes.length & 0xff];
  return Uint8Array.from([0, 1, ...length, ...bytes]);
}
