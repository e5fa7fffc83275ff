// A primary, its replica and three sentinels that watch them: real processes on free ports, with folders of their own.
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { freePort } from "./free-port.ts";
import { launchRedis, redisCommand, replicated, type RedisServer, startRedis } from "./redis-server.ts";

export interface SentinelOptions {
  readonly appendfsync?: "always" | "everysec";
  /** What the sentinels ask for, of each other too. */
  readonly password?: string;
}

const PRIMARY_NAME = "aegis-primary";
const SENTINELS = 3;
const DOWN_AFTER_MS = 1000;
const PATIENCE_MS = 30_000;

/** Whoever replicates logs in so; the sentinels and the nodes do not. */
const REPLICATION = ["replica", "on", ">replicates", "+psync", "+replconf", "+ping"];

export class SentinelDeployment {
  readonly primary: RedisServer;
  readonly replica: RedisServer;
  readonly ports: number[] = [];
  readonly #stops: (() => Promise<void>)[] = [];
  readonly #password: string | undefined;

  private constructor(primary: RedisServer, replica: RedisServer, password: string | undefined) {
    this.primary = primary;
    this.replica = replica;
    this.#password = password;
    this.#stops.push(
      () => replica.stop(),
      () => primary.stop(),
    );
  }

  /** Resolves when the replica follows and a failover is possible. */
  static async start({ appendfsync = "always", password }: SentinelOptions = {}): Promise<SentinelDeployment> {
    const login = ["--user", ...REPLICATION, "--masteruser", "replica", "--masterauth", "replicates"];
    const args = [...login, "--repl-diskless-sync-delay", "0"];
    const primary = await startRedis({ appendfsync, args });
    const follow = ["--replicaof", "127.0.0.1", String(primary.port)];
    const replica = await startRedis({ appendfsync, args: [...args, ...follow] });
    const deployment = new SentinelDeployment(primary, replica, password);
    try {
      for (let n = 0; n < SENTINELS; n += 1) await deployment.#addSentinel();
      await deployment.#settled();
    } catch (error) {
      await deployment.stop();
      throw error;
    }
    return deployment;
  }

  get url(): string {
    return this.urlFor(this.ports);
  }

  urlFor(ports: readonly number[], name = PRIMARY_NAME): string {
    return `redis+sentinel://${ports.map((port) => `127.0.0.1:${port}`).join(",")}/${name}`;
  }

  /** Everything written so far is on the replica, and nothing of what comes. */
  async stopReplicating(): Promise<void> {
    await replicated(this.primary.port, this.replica.port);
    await redisCommand(this.primary.port, ["ACL", "SETUSER", "replica", "off"]);
    await redisCommand(this.primary.port, ["CLIENT", "KILL", "TYPE", "replica"]);
  }

  /** Has the sentinels promote the replica, as for maintenance; resolves when they name it. */
  async failover(): Promise<void> {
    await this.ask(["SENTINEL", "FAILOVER", PRIMARY_NAME]);
    await this.promoted();
  }

  /** Resolves when the sentinels name the replica as the primary. */
  async promoted(): Promise<void> {
    const named = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", PRIMARY_NAME];
    await until(async () => (await this.ask(named)).includes(`\r\n${this.replica.port}\r\n`));
  }

  /** Asks the first sentinel. */
  ask(words: readonly string[], port = this.ports[0] ?? 0): Promise<string> {
    return redisCommand(port, words, this.#password);
  }

  /** Stops all that runs, and removes the folders. */
  async stop(): Promise<void> {
    for (const stop of this.#stops.splice(0).reverse()) await stop();
  }

  async #addSentinel(): Promise<void> {
    const dir = await mkdtemp(join(tmpdir(), "aegis-sentinel-"));
    const port = await freePort();
    const file = join(dir, "sentinel.conf");
    const lines = [
      `port ${port}`,
      "bind 127.0.0.1",
      `dir ${dir}`,
      "loglevel warning",
      `sentinel monitor ${PRIMARY_NAME} 127.0.0.1 ${this.primary.port} 2`,
      `sentinel down-after-milliseconds ${PRIMARY_NAME} ${DOWN_AFTER_MS}`,
      `sentinel failover-timeout ${PRIMARY_NAME} 5000`,
      ...(this.#password === undefined ? [] : [`requirepass ${this.#password}`]),
    ];
    await writeFile(file, `${lines.join("\n")}\n`);
    const child = await launchRedis(port, [file, "--sentinel"]);
    this.ports.push(port);
    this.#stops.push(async () => {
      const exit = child.exitCode === null && child.signalCode === null ? once(child, "exit") : undefined;
      child.kill("SIGKILL");
      await exit;
      await rm(dir, { recursive: true, force: true });
    });
  }

  async #settled(): Promise<void> {
    await until(async () => (await redisCommand(this.primary.port, ["WAIT", "1", "1000"])).startsWith(":1"));
    for (const port of this.ports) {
      await until(async () => {
        const [quorum, followed] = await Promise.all([
          this.ask(["SENTINEL", "CKQUORUM", PRIMARY_NAME], port).catch(() => ""),
          this.ask(["SENTINEL", "REPLICAS", PRIMARY_NAME], port),
        ]);
        return quorum.includes(`OK ${SENTINELS} usable`) && followed.includes("master-link-status\r\n$2\r\nok");
      });
    }
  }
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error("the sentinels did not come to it in time");
    await delay(50);
  }
}
