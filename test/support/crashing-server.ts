// The real server, told at which of its next writes to the store it must die (support/crash-at-write.mjs).
// What dies is the process, by SIGKILL; the store is real and stays.
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { startRedis, type RedisServer } from "./redis-server.ts";
import { ServerProcess } from "./server-process.ts";

/** `unanswered`: the write is made, its answer is lost, and the server lives. */
export type CrashMoment = "before" | "during" | "after" | "unanswered";

export interface CrashPlan {
  /** 1 is the first write from now on. */
  readonly at: number;
  readonly when: CrashMoment;
}

export interface CrashOptions {
  /** More variables of the server's. */
  readonly env?: Readonly<Record<string, string>>;
  /** A test-only entry in the place of the server's own. */
  readonly entry?: string;
}

const preload = path.join(import.meta.dirname, "crash-at-write.mjs");
/** The prefix of keys that a server takes by default. */
const NODES_KEY = "aegis:{nodes}";

export class CrashingServer {
  readonly process: ServerProcess;
  readonly #redis: RedisServer | undefined;
  readonly #folder: string;
  #plans = 0;

  private constructor(server: ServerProcess, redis: RedisServer | undefined, folder: string) {
    this.process = server;
    this.#redis = redis;
    this.#folder = folder;
  }

  static async start(engine: "lmdb" | "redis", { env = {}, entry }: CrashOptions = {}): Promise<CrashingServer> {
    const folder = mkdtempSync(path.join(tmpdir(), "aegis-crash-"));
    const redis = engine === "redis" ? await startRedis({ appendfsync: "always" }) : undefined;
    try {
      const server = await ServerProcess.start({
        ...(redis === undefined ? {} : { redisUrl: redis.url }),
        ...(entry === undefined ? {} : { entry }),
        env: {
          NODE_OPTIONS: `--import=${preload}`,
          AEGIS_SHARDS: "64",
          AEGIS_TEST_CRASH_PLAN: path.join(folder, "plan"),
          AEGIS_TEST_CLOCK_AHEAD_FILE: path.join(folder, "ahead"),
          ...env,
        },
      });
      return new CrashingServer(server, redis, folder);
    } catch (error) {
      await redis?.stop();
      throw error;
    }
  }

  /** From here on writes are counted. */
  plan({ at, when }: CrashPlan): void {
    this.#plans += 1;
    rmSync(`${this.#planFile}.seen`, { force: true });
    writeFileSync(this.#planFile, JSON.stringify({ plan: this.#plans, at, when }));
  }

  /** Takes the plan back; false: it was carried out. */
  unplan(): boolean {
    const waiting = existsSync(this.#planFile);
    rmSync(this.#planFile, { force: true });
    return waiting;
  }

  /** Writes counted since `plan`. */
  get writes(): number {
    const file = `${this.#planFile}.seen`;
    return existsSync(file) ? Number(readFileSync(file, "utf8")) : 0;
  }

  /** @param clockAheadMs by how much the store's clock has moved on meanwhile, beyond what really went by */
  async restart({ clockAheadMs = 0 } = {}): Promise<void> {
    writeFileSync(path.join(this.#folder, "ahead"), String(clockAheadMs));
    // A start waits until it has seen that a recorded node is dead; this one is known to be.
    if (this.#redis !== undefined) await redisCommand(this.#redis.port, `DEL ${NODES_KEY}`);
    await this.process.restart();
  }

  async dispose(): Promise<void> {
    await this.process.dispose();
    await this.#redis?.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  get #planFile(): string {
    return path.join(this.#folder, "plan");
  }
}

function redisCommand(port: number, command: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("error", reject);
    socket.once("data", () => {
      socket.destroy();
      resolve();
    });
    socket.write(`${command}\r\n`);
  });
}
