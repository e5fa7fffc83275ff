// A Redis Cluster of three primaries, each with a replica if asked for: real processes on free ports, with folders of
// their own.
import { setTimeout as delay } from "node:timers/promises";
import { freePort } from "./free-port.ts";
import { redisCommand, replicated, type RedisServer, startRedis } from "./redis-server.ts";

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
    const settings = ["--cluster-node-timeout", String(NODE_TIMEOUT_MS)];
    // A replica may be promoted however long it has heard nothing; the others' shards go on meanwhile.
    settings.push("--cluster-replica-validity-factor", "0", "--cluster-require-full-coverage", "no");
    const args = [...settings, ...login, "--repl-diskless-sync-delay", "0"];
    if (password !== undefined) args.push("--requirepass", password);
    const count = replicas ? 2 * PRIMARIES : PRIMARIES;
    const busPorts = await Promise.all(Array.from({ length: count }, () => freePort()));
    const servers = await Promise.all(
      busPorts.map(async (busPort) => startRedis({ appendfsync, args, busPort, port: await freePort() })),
    );
    const deployment = new RedisClusterDeployment(servers.slice(0, PRIMARIES), servers.slice(PRIMARIES), password);
    try {
      await deployment.#join(busPorts);
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
    const { primary, replica } = this.pair(n);
    await replicated(primary.port, replica.port, this.#password);
  }

  /** Has the n-th replica take its primary's slots, whoever else is there. */
  async takeOver(n: number): Promise<void> {
    await this.ask(this.pair(n).replica, ["CLUSTER", "FAILOVER", "TAKEOVER"]);
    await this.promoted(n);
  }

  /** Has the n-th replica take over from its primary, as for maintenance: nothing is lost. */
  handOver(n: number): Promise<void> {
    const { primary, replica } = this.pair(n);
    return this.#swap(primary, replica);
  }

  /** Undoes `handOver`. */
  handBack(n: number): Promise<void> {
    const { primary, replica } = this.pair(n);
    return this.#swap(replica, primary);
  }

  /** Resolves when the n-th replica is a primary. */
  promoted(n: number): Promise<void> {
    return this.#isNow("role:master", this.pair(n).replica);
  }

  /** Which primary has the slot, by its number, as the cluster was made. */
  primaryOf(slot: number): number {
    return Array.from({ length: PRIMARIES }, (_, n) => n).findLastIndex((n) => slot >= firstSlot(n));
  }

  /** Moves a slot from one primary to another, one key at a time. */
  async moveSlot(slot: number, from: number, to: number): Promise<void> {
    const [source, target] = [this.primaries[from], this.primaries[to]];
    if (source === undefined || target === undefined) throw new Error("no such primary");
    const [sourceId, targetId] = [await this.#idOf(source), await this.#idOf(target)];
    await this.ask(target, ["CLUSTER", "SETSLOT", String(slot), "IMPORTING", sourceId]);
    await this.ask(source, ["CLUSTER", "SETSLOT", String(slot), "MIGRATING", targetId]);
    const migrate = ["MIGRATE", "127.0.0.1", String(target.port)];
    for (;;) {
      const [, size, key] = (await this.ask(source, ["CLUSTER", "GETKEYSINSLOT", String(slot), "1"])).split("\r\n");
      if (size === undefined || key === undefined || key === "") break;
      await this.ask(source, [...migrate, key, "0", "5000"]);
    }
    for (const server of [target, source])
      await this.ask(server, ["CLUSTER", "SETSLOT", String(slot), "NODE", targetId]);
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

  async #join(busPorts: readonly number[]): Promise<void> {
    const [first] = this.primaries;
    if (first === undefined) throw new Error("no server");
    await Promise.all(
      this.servers.map(async (server, n) => {
        // Without an epoch of its own each, the servers would quarrel for some rounds.
        await this.ask(server, ["CLUSTER", "SET-CONFIG-EPOCH", String(n + 1)]);
        if (n >= PRIMARIES) return;
        await this.ask(server, ["CLUSTER", "ADDSLOTSRANGE", String(firstSlot(n)), String(firstSlot(n + 1) - 1)]);
      }),
    );
    for (const [n, { port }] of this.servers.entries()) {
      if (n > 0) await this.ask(first, ["CLUSTER", "MEET", "127.0.0.1", String(port), String(busPorts[n])]);
    }
    await this.#agreed(0);
    for (const [n, replica] of this.replicas.entries()) {
      await this.ask(replica, ["CLUSTER", "REPLICATE", await this.#idOf(this.pair(n).primary)]);
    }
    for (const n of this.replicas.keys()) {
      await until(async () => (await this.ask(this.pair(n).primary, ["WAIT", "1", "1000"])).startsWith(":1"));
    }
    await this.#agreed(this.replicas.length);
  }

  async #swap(from: RedisServer, to: RedisServer): Promise<void> {
    await this.ask(to, ["CLUSTER", "FAILOVER"]);
    await this.#isNow("role:master", to);
    await this.#isNow("master_link_status:up", from);
  }

  #isNow(line: string, server: RedisServer): Promise<void> {
    return until(async () => (await this.ask(server, ["INFO", "replication"])).includes(line));
  }

  async #idOf(server: RedisServer): Promise<string> {
    const [, id = ""] = (await this.ask(server, ["CLUSTER", "MYID"])).split("\r\n");
    return id;
  }

  /** Every server has heard of all, knows who has which slots, and who follows. */
  async #agreed(following: number): Promise<void> {
    const expected = [
      "cluster_state:ok",
      `cluster_known_nodes:${this.servers.length}\r`,
      `cluster_size:${PRIMARIES}\r`,
    ];
    for (const server of this.servers) {
      await until(async () => {
        const [info, nodes] = await Promise.all([
          this.ask(server, ["CLUSTER", "INFO"]),
          this.ask(server, ["CLUSTER", "NODES"]),
        ]);
        return expected.every((line) => info.includes(line)) && nodes.split(/slave [0-9a-f]/).length - 1 === following;
      });
    }
  }
}

function firstSlot(n: number): number {
  return Math.floor((n * SLOTS) / PRIMARIES);
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error("the cluster did not come to it in time");
    await delay(50);
  }
}
