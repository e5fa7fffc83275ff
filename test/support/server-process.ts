// The real server as its own process, as users run it: dist/main.js serve, on free ports, ready when /readyz says
// so. Signals go to that one process; nothing is mocked, nothing of the server is imported.
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { freePort } from "./free-port.ts";

const root = findRoot(import.meta.dirname);
const readyWithinMs = 30_000;
const stoppedWithinMs = 20_000;
const outputCharactersMax = 200_000;

export interface ServerProcessOptions {
  /** `redis://…`; without it the embedded store in a temporary folder, removed by `dispose`. */
  readonly redisUrl?: string;
  /** More `AEGIS_…` variables, over those that are set here. */
  readonly env?: Readonly<Record<string, string>>;
  /** What runs node, if not node itself: strace with its arguments, say. */
  readonly wrapper?: readonly string[];
  /** The script that node runs, if not the server's own: a test-only entry. */
  readonly entry?: string;
  /** The port for clients and other nodes, if it must be known beforehand; otherwise a free one. */
  readonly port?: number;
}

/** As the image and `npm start` run the server. */
export const NODE_FLAGS = ["--max-semi-space-size=64"];

export class ServerProcess {
  readonly port: number;
  readonly adminPort: number;
  /** The embedded store's folder; on Redis an empty folder of this server's own. */
  readonly dataFolder: string;
  readonly #env: Readonly<Record<string, string>>;
  readonly #wrapper: readonly string[];
  /** The script that node runs from the next start on: of another build, say. */
  entry: string;
  #child: ChildProcess | undefined;
  #output = "";

  private constructor(ports: readonly [number, number], dataFolder: string, options: ServerProcessOptions) {
    [this.port, this.adminPort] = ports;
    this.dataFolder = dataFolder;
    this.#wrapper = options.wrapper ?? [];
    this.entry = options.entry ?? path.join(root, "dist/main.js");
    const onRedis = {
      AEGIS_OPERATOR_KEY: `aegis_operator_${randomBytes(32).toString("hex")}`,
      AEGIS_SECRET: randomBytes(32).toString("hex"),
    };
    this.#env = {
      AEGIS_HOST: "127.0.0.1",
      AEGIS_PORT: String(this.port),
      AEGIS_ADMIN_PORT: String(this.adminPort),
      AEGIS_STORE: options.redisUrl ?? `lmdb:${dataFolder}`,
      ...(options.redisUrl === undefined ? {} : onRedis),
      ...options.env,
    };
  }

  /** Builds when needed, starts, and resolves when the server is ready. */
  static async start(options: ServerProcessOptions = {}): Promise<ServerProcess> {
    const built = spawnSync(process.execPath, [path.join(root, "scripts/ensure-built.mjs")], { encoding: "utf8" });
    if (built.status !== 0) throw new Error(`The build failed:\n${built.stdout}${built.stderr}`);
    const folder = mkdtempSync(path.join(tmpdir(), "aegis-server-"));
    const server = new ServerProcess([options.port ?? (await freePort()), await freePort()], folder, options);
    try {
      await server.restart();
    } catch (error) {
      await server.dispose();
      throw error;
    }
    return server;
  }

  get url(): string {
    return `ws://127.0.0.1:${this.port}/v1/ws`;
  }

  get adminUrl(): string {
    return `http://127.0.0.1:${this.adminPort}`;
  }

  get pid(): number {
    const pid = this.#child?.pid;
    if (pid === undefined) throw new Error("the server does not run");
    return pid;
  }

  /** The operator's whole token: given to the server, or made by its first start. */
  get operatorToken(): string {
    return this.#env["AEGIS_OPERATOR_KEY"] ?? readFileSync(path.join(this.dataFolder, "operator-key"), "utf8").trim();
  }

  /** The end of what the server wrote, for messages of failing tests. */
  get output(): string {
    return this.#output;
  }

  /** Times that it was expelled and came back as a new member, since it was started first. */
  get comebacks(): number {
    return this.#output.split("this node was expelled and comes back").length - 1;
  }

  /** By its own wall clock: when it wrote the last line of its log. */
  get loggedMs(): number {
    return this.loggedAt("");
  }

  /** The same for the last line with these words in it. NaN: there is none. */
  loggedAt(words: string): number {
    const line = this.#output.split("\n").findLast((text) => text.startsWith("{") && text.includes(words));
    return Number(/"time":(\d+)/.exec(line ?? "")?.[1]);
  }

  /** Serving, and owner of what is placed on it; false when it does not answer. */
  async isReady(): Promise<boolean> {
    return fetch(`${this.adminUrl}/readyz`).then(
      (answer) => answer.ok,
      () => false,
    );
  }

  /** The value of a metric, of all its labels together; 0: it has not counted anything. */
  async metric(name: string): Promise<number> {
    const text = await (await fetch(`${this.adminUrl}/metrics`)).text();
    const values = text.matchAll(new RegExp(`^${name}(?:{.*})? (\\S+)$`, "gm"));
    return [...values].reduce((sum, [, value]) => sum + Number(value), 0);
  }

  /** Starts the server again on the same ports and store; it must not be running. */
  async restart(): Promise<void> {
    if (this.#child !== undefined) throw new Error("the server runs already");
    const [command, ...args] = [...this.#wrapper, process.execPath, ...NODE_FLAGS, this.entry, "serve"];
    const child = spawn(command, args, {
      cwd: this.dataFolder,
      env: { ...process.env, ...this.#env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#child = child;
    // Nothing outlives the test process, whatever becomes of it.
    const reap = (): void => {
      child.kill("SIGKILL");
    };
    process.once("exit", reap);
    child.once("exit", () => process.off("exit", reap));
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        this.#output = (this.#output + text).slice(-outputCharactersMax);
      });
    }
    await this.#ready(child);
  }

  /** Resolves with the exit code when the process has ended by itself; it may be restarted then. */
  async ended(): Promise<number | null> {
    const child = this.#child;
    if (child === undefined) throw new Error("the server does not run");
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
    if (this.#child === child) this.#child = undefined;
    return child.exitCode;
  }

  signal(signal: NodeJS.Signals): void {
    process.kill(this.pid, signal);
  }

  /** SIGSTOP. */
  pause(): void {
    process.kill(this.pid, "SIGSTOP");
  }

  /** SIGCONT. */
  resume(): void {
    process.kill(this.pid, "SIGCONT");
  }

  /** Resolves when the process is gone. */
  async kill9(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** SIGTERM: drains and ends by itself. @returns its exit code */
  async stop(): Promise<number | null> {
    return await this.#end("SIGTERM");
  }

  /** Ends the server, if it runs, and removes its folder. */
  async dispose(): Promise<void> {
    if (this.#child !== undefined) await this.kill9();
    rmSync(this.dataFolder, { recursive: true, force: true });
  }

  async #ready(child: ChildProcess): Promise<void> {
    const until = performance.now() + readyWithinMs;
    for (;;) {
      if (child.exitCode !== null || child.signalCode !== null) {
        this.#child = undefined;
        throw new Error(`the server ended with ${child.exitCode ?? child.signalCode}:\n${this.#output}`);
      }
      if (await this.isReady()) return;
      if (performance.now() > until) throw new Error(`not ready within ${readyWithinMs} ms:\n${this.#output}`);
      await delay(20);
    }
  }

  async #end(signal: "SIGKILL" | "SIGTERM"): Promise<number | null> {
    const child = this.#child;
    if (child === undefined) throw new Error("the server does not run");
    const gone = new Promise<number | null>((resolve) => {
      if (child.exitCode !== null || child.signalCode !== null) resolve(child.exitCode);
      else child.once("exit", resolve);
    });
    child.kill(signal);
    const late = delay(stoppedWithinMs, "late" as const, { ref: false });
    const code = await Promise.race([gone, late]);
    if (code === "late") throw new Error(`still running ${stoppedWithinMs} ms after ${signal}:\n${this.#output}`);
    this.#child = undefined;
    return code;
  }
}

/** The project's folder, from wherever this file was compiled to. */
function findRoot(folder: string): string {
  if (existsSync(path.join(folder, "package-lock.json"))) return folder;
  const parent = path.dirname(folder);
  if (parent === folder) throw new Error("the project's folder was not found");
  return findRoot(parent);
}
