// Several real servers on one real Redis, as one deployment behind a balancer. `cuttable`: each node reaches Redis,
// and is reached by the others, through proxies of its own.
import { randomBytes } from "node:crypto";
import { actorKey, shardOf } from "../../src/actors/actor-address.ts";
import type { ActorAddress } from "../../src/actors/actor-port.ts";
import { SERVER_SETTINGS } from "../../src/config.ts";
import type { NodesOverview } from "../../src/protocol/schemas/operator-pages.ts";
import { RedisKeys } from "../../src/store/redis/keys.ts";
import { Balancer } from "./balancer.ts";
import { CuttingProxy } from "./cutting-proxy.ts";
import { freePort } from "./free-port.ts";
import { redisCommand, startRedis, type RedisServer } from "./redis-server.ts";
import { ServerProcess, type ServerProcessOptions } from "./server-process.ts";

const SHARDS = SERVER_SETTINGS.shards.fallback;

type NodeOptions = Pick<ServerProcessOptions, "entry" | "env">;

export interface ClusterProcessOptions extends NodeOptions {
  readonly nodes: number;
  /** What one node is given besides. */
  readonly each?: (n: number) => NodeOptions;
  readonly cuttable?: boolean;
}

/** What stands between a node and the others. */
export interface NodeCuts {
  /** Between the node and Redis. */
  readonly store: CuttingProxy;
  /** Between the other nodes and this one: links that they have dialled. */
  readonly peers: CuttingProxy;
}

export class ClusterProcess {
  readonly redis: RedisServer;
  readonly servers: ServerProcess[] = [];
  readonly balancer: Balancer;
  readonly #options: ClusterProcessOptions;
  readonly #shared: Readonly<Record<string, string>>;
  readonly #cuts: NodeCuts[] = [];

  private constructor(redis: RedisServer, balancer: Balancer, options: ClusterProcessOptions) {
    this.redis = redis;
    this.balancer = balancer;
    this.#options = options;
    this.#shared = {
      AEGIS_OPERATOR_KEY: `aegis_operator_${randomBytes(32).toString("hex")}`,
      AEGIS_SECRET: randomBytes(32).toString("hex"),
      AEGIS_DRAIN_MS: "3000",
      ...options.env,
    };
  }

  static async start(options: ClusterProcessOptions): Promise<ClusterProcess> {
    const redis = await startRedis({ appendfsync: "always" });
    const cluster = new ClusterProcess(redis, await Balancer.start([]), options);
    try {
      for (let n = 0; n < options.nodes; n += 1) await cluster.add();
    } catch (error) {
      await cluster.dispose();
      throw error;
    }
    return cluster;
  }

  /** Another node of the deployment. */
  async add(): Promise<ServerProcess> {
    const { entry, cuttable = false, each } = this.#options;
    const own = each?.(this.servers.length) ?? {};
    const port = await freePort();
    const cuts = cuttable ? await this.#proxies(port) : undefined;
    const script = own.entry ?? entry;
    const server = await ServerProcess.start({
      port,
      redisUrl: cuts === undefined ? this.redis.url : `redis://127.0.0.1:${cuts.store.port}`,
      ...(script === undefined ? {} : { entry: script }),
      env: {
        ...this.#shared,
        ...(cuts === undefined ? {} : { AEGIS_ADVERTISE: `127.0.0.1:${cuts.peers.port}` }),
        ...own.env,
      },
    });
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
    return found(this.servers[n]);
  }

  cuts(n: number): NodeCuts {
    return found(this.#cuts[n]);
  }

  /** Cuts the node from the other nodes, both ways, until `heal`. */
  cutFromPeers(n: number): void {
    const { pid } = this.server(n);
    for (const [other, { peers }] of this.#cuts.entries()) peers.refuse(other === n ? {} : { pid });
  }

  /** Ends every cut. */
  heal(): void {
    for (const cuts of this.#cuts) for (const proxy of [cuts.store, cuts.peers]) proxy.pass();
  }

  /** Who is in the cluster, as the node with this admin port sees it. */
  async nodes(adminUrl = this.server(0).adminUrl): Promise<NodesOverview> {
    const headers = { authorization: `Bearer ${this.operatorToken}` };
    return (await (await fetch(`${adminUrl}/v1/nodes`, { headers })).json()) as NodesOverview;
  }

  /** The node that owns the actor's shard, as the store says. */
  async ownerOf(actor: ActorAddress): Promise<number> {
    const port = await this.#ownersPort(shardOf(actorKey(actor), SHARDS));
    return this.servers.findIndex((server, n) => [server.port, this.#cuts[n]?.peers.port].includes(port));
  }

  /** Which actors are the node's, as the store says now. */
  async ownedBy(n: number): Promise<(actor: ActorAddress) => boolean> {
    const owners = await Promise.all(Array.from({ length: SHARDS }, (_, shard) => this.#ownersPort(shard)));
    const port = this.#cuts[n]?.peers.port ?? this.server(n).port;
    return (actor) => owners[shardOf(actorKey(actor), SHARDS)] === port;
  }

  async #ownersPort(shard: number): Promise<number> {
    const answer = await redisCommand(this.redis.port, ["HGET", new RedisKeys("aegis").own(shard), "address"]);
    return Number(/:(\d+)\r\n$/.exec(answer)?.[1]);
  }

  async dispose(): Promise<void> {
    await this.balancer.stop();
    await Promise.all(this.servers.map((server) => server.dispose()));
    for (const { store, peers } of this.#cuts) await Promise.all([store.close(), peers.close()]);
    await this.redis.stop();
  }

  async #proxies(port: number): Promise<NodeCuts> {
    const cuts = { store: await CuttingProxy.to(this.redis.port), peers: await CuttingProxy.to(port) };
    this.#cuts.push(cuts);
    return cuts;
  }
}

function found<T>(one: T | undefined): T {
  if (one === undefined) throw new Error("no such node");
  return one;
}
