// A Redis Cluster of three primaries, each with a replica if asked for: real processes on free ports, with folders of
// their own.
import { setTimeout as delay } from "node:timers/promises";
import { redisCommand, type RedisServer, startRedis } from "./redis-server.ts";

export interface RedisClusterOptions {
  /** One for each primary. Default: none. */
  readonly replicas?: boolean;
  readonly appendfsync?: "always" | "everysec";
  readonly password?: string;
}

const PRIMARIES = 3;
const SLOTS = 16_384;
const NODE_TIMEOUT_MS = 1000;
const PATIENCE_MS = 30_000;

/** Whoever replicates logs in so; the nodes do not. */
const REPLICATION = ["replica", "on", ">replicates", "+psync", "+replconf", "+ping"];

export class RedisClusterDeployment {
  readonly primaries: readonly RedisServer[];
  /** The n-th follows the n-th primary. */
  readonly replicas: readonly RedisServer[];
  readonly #password: string | undefined;

  private constructor(primaries: RedisServer[], replicas: RedisServer[], password: string | undefined) {
    this.primaries = primaries;
    this.replicas = replicas;
    this.#password = password;
  }

  /** Resolves when every server knows all slots' primaries, and every replica follows. */
  static async start(options: RedisClusterOptions = {}): Promise<RedisClusterDeployment> {
    const { replicas = false, appendfsync = "always", password } = options;
    const login = ["--user", ...REPLICATION, "--masteruser", "replica", "--masterauth", "replicates"];
    const settings = ["--cluster-enabled", "yes", "--cluster-node-timeout", String(NODE_TIMEOUT_MS)];
    // A replica may be promoted however long it has heard nothing; the others' shards go on meanwhile.
    settings.push("--cluster-replica-validity-factor", "0", "--cluster-require-full-coverage", "no");
    const args = [...settings, ...login, "--repl-diskless-sync-delay", "0"];
    if (password !== undefined) args.push("--requirepass", password);
    const count = replicas ? 2 * PRIMARIES : PRIMARIES;
    const servers = await Promise.all(Array.from({ length: count }, () => startRedis({ appendfsync, args })));
    const deployment = new RedisClusterDeployment(servers.slice(0, PRIMARIES), servers.slice(PRIMARIES), password);
    try {
      await deployment.#join();
    } catch (error) {
      await deployment.stop();
      throw error;
    }
    return deployment;
  }

  get servers(): readonly RedisServer[] {
    return [...this.primaries, ...this.replicas];
  }

  get url(): string {
    return this.urlFor(this.servers.map(({ port }) => port));
  }

  urlFor(ports: readonly number[], user = this.#password === undefined ? "" : `:${this.#password}@`): string {
    return `redis+cluster://${user}${ports.map((port) => `127.0.0.1:${String(port)}`).join(",")}`;
  }

  ask(server: RedisServer, words: readonly string[]): Promise<string> {
    return redisCommand(server.port, words, this.#password);
  }

  /** Everything written to a primary so far is on its replica, and nothing of what comes. */
  async stopReplicating(n: number): Promise<void> {
    const { primary } = this.pair(n);
    await this.replicated(n);
    await this.ask(primary, ["ACL", "SETUSER", "replica", "off"]);
    await this.ask(primary, ["CLIENT", "KILL", "TYPE", "replica"]);
  }

  /** Resolves when the n-th replica has all that its primary has acknowledged. */
  async replicated(n: number): Promise<void> {
    await this.ask(this.pair(n).primary, ["WAIT", "1", "10000"]);
  }

  /** Has the n-th replica take its primary's slots, whoever else is there. */
  async takeOver(n: number): Promise<void> {
    await this.ask(this.pair(n).replica, ["CLUSTER", "FAILOVER", "TAKEOVER"]);
    await this.promoted(n);
  }

  /** Resolves when the n-th replica is a primary. */
  promoted(n: number): Promise<void> {
    return until(async () => (await this.ask(this.pair(n).replica, ["INFO", "replication"])).includes("role:master"));
  }

  pair(n: number): { readonly primary: RedisServer; readonly replica: RedisServer } {
    const [primary, replica] = [this.primaries[n], this.replicas[n]];
    if (primary === undefined || replica === undefined) throw new Error("no such primary with a replica");
    return { primary, replica };
  }

  /** Stops all that runs, and removes the folders. */
  async stop(): Promise<void> {
    await Promise.all(this.servers.map((server) => server.stop()));
  }

  async #join(): Promise<void> {
    const [first] = this.primaries;
    if (first === undefined) throw new Error("no server");
    await Promise.all(
      this.servers.map(async (server, n) => {
        // Without an epoch of its own each, the servers would quarrel for some rounds.
        await this.ask(server, ["CLUSTER", "SET-CONFIG-EPOCH", String(n + 1)]);
        if (n >= PRIMARIES) return;
        const [from, to] = [n, n + 1].map((part) => Math.floor((part * SLOTS) / PRIMARIES)) as [number, number];
        await this.ask(server, ["CLUSTER", "ADDSLOTSRANGE", String(from), String(to - 1)]);
      }),
    );
    for (const { port } of this.servers.slice(1)) await this.ask(first, ["CLUSTER", "MEET", "127.0.0.1", String(port)]);
    await this.#agreed(PRIMARIES);
    for (const [n, replica] of this.replicas.entries()) {
      const id = await this.ask(this.pair(n).primary, ["CLUSTER", "MYID"]);
      await this.ask(replica, ["CLUSTER", "REPLICATE", id.split("\r\n")[1] ?? ""]);
    }
    for (const n of this.replicas.keys()) {
      await until(async () => (await this.ask(this.pair(n).primary, ["WAIT", "1", "1000"])).startsWith(":1"));
    }
    await this.#agreed(PRIMARIES);
  }

  /** Every server has heard of all, and knows who has which slots. */
  async #agreed(primaries: number): Promise<void> {
    for (const server of this.servers) {
      await until(async () => {
        const info = await this.ask(server, ["CLUSTER", "INFO"]);
        const expected = [`cluster_known_nodes:${this.servers.length}\r`, `cluster_size:${primaries}\r`];
        return ["cluster_state:ok", ...expected].every((line) => info.includes(line));
      });
    }
  }
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error("the cluster did not come to it in time");
    await delay(50);
  }
}
