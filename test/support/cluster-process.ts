// Several real servers on one real Redis, as one deployment behind a balancer.
import { randomBytes } from "node:crypto";
import type { NodesOverview } from "../../src/protocol/schemas/operator-pages.ts";
import { Balancer } from "./balancer.ts";
import { startRedis, type RedisServer } from "./redis-server.ts";
import { ServerProcess, type ServerProcessOptions } from "./server-process.ts";

export interface ClusterProcessOptions extends Pick<ServerProcessOptions, "entry" | "env"> {
  readonly nodes: number;
}

export class ClusterProcess {
  readonly redis: RedisServer;
  readonly servers: ServerProcess[] = [];
  readonly balancer: Balancer;
  readonly #options: ServerProcessOptions;

  private constructor(redis: RedisServer, balancer: Balancer, options: ServerProcessOptions) {
    this.redis = redis;
    this.balancer = balancer;
    this.#options = options;
  }

  static async start({ nodes, entry, env }: ClusterProcessOptions): Promise<ClusterProcess> {
    const redis = await startRedis({ appendfsync: "always" });
    const cluster = new ClusterProcess(redis, await Balancer.start([]), {
      redisUrl: redis.url,
      ...(entry === undefined ? {} : { entry }),
      env: {
        AEGIS_OPERATOR_KEY: `aegis_operator_${randomBytes(32).toString("hex")}`,
        AEGIS_SECRET: randomBytes(32).toString("hex"),
        AEGIS_DRAIN_MS: "3000",
        ...env,
      },
    });
    try {
      for (let n = 0; n < nodes; n += 1) await cluster.add();
    } catch (error) {
      await cluster.dispose();
      throw error;
    }
    return cluster;
  }

  /** Another node of the deployment. */
  async add(): Promise<ServerProcess> {
    const server = await ServerProcess.start(this.#options);
    this.servers.push(server);
    this.balancer.ports = this.servers.map(({ port }) => port);
    return server;
  }

  get url(): string {
    return this.balancer.url;
  }

  get operatorToken(): string {
    return this.server(0).operatorToken;
  }

  server(n: number): ServerProcess {
    const server = this.servers[n];
    if (server === undefined) throw new Error("no such server");
    return server;
  }

  /** Who is in the cluster, as the node with this admin port sees it. */
  async nodes(adminUrl = this.server(0).adminUrl): Promise<NodesOverview> {
    const headers = { authorization: `Bearer ${this.operatorToken}` };
    return (await (await fetch(`${adminUrl}/v1/nodes`, { headers })).json()) as NodesOverview;
  }

  async dispose(): Promise<void> {
    await this.balancer.stop();
    await Promise.all(this.servers.map((server) => server.dispose()));
    await this.redis.stop();
  }
}
