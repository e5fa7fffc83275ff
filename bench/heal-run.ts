// How long calls wait when a node is killed, and how long shards take to move when a node leaves or joins in order.
import { ClusterProcess } from "../test/support/cluster-process.ts";
import type { NodesOverview } from "../src/protocol/schemas/operator-pages.ts";
import { until, type ClusterWorld } from "./cluster-world.ts";

/** Twice the default: with two nodes about 256 of them move. */
const MOVED_SHARDS = 512;

export interface HealFigures {
  readonly nodes: number;
  /** Sorted. From kill -9 until every shard is owned and a message to a group of the dead node is answered. */
  readonly healedMs: readonly number[];
}

export interface Move {
  readonly shards: number;
  readonly ms: number;
}

/** Kills each node in turn, `kills` times, and starts it again. */
export async function runKills(world: ClusterWorld, kills: number): Promise<HealFigures> {
  const { cluster, nodes } = world;
  const healedMs: number[] = [];
  for (let kill = 0; kill < kills; kill += 1) {
    const victim = kill % nodes;
    await until(async () => (await cluster.nodes()).nodes.length === nodes);
    await until(async () => (await cluster.nodes()).unowned === 0);
    // The groups that it owns are not those of the kill before.
    await world.lookUpOwners();
    const others = cluster.servers.filter((_, n) => n !== victim);
    const began = performance.now();
    await cluster.server(victim).kill9();
    const answered = world.sendBeside(victim);
    for (const server of others) await until(async () => (await server.metric("aegis_members")) === nodes - 2);
    for (const { adminUrl } of others) await until(async () => (await cluster.nodes(adminUrl)).unowned === 0);
    await answered;
    healedMs.push(performance.now() - began);
    await cluster.server(victim).restart();
  }
  return { nodes, healedMs: healedMs.sort((a, b) => a - b) };
}

/** One of two nodes is drained, and comes back. @returns what moved each time */
export async function runMoves(): Promise<{ readonly drain: Move; readonly join: Move }> {
  const cluster = await ClusterProcess.start({ nodes: 2, env: { AEGIS_SHARDS: String(MOVED_SHARDS) } });
  try {
    const [first, second] = [cluster.server(0), cluster.server(1)];
    const shards = await second.metric("aegis_shards_owned");
    const nodeId = (await cluster.nodes(second.adminUrl)).answeredBy;
    const began = performance.now();
    const answer = await fetch(`${first.adminUrl}/v1/nodes/${nodeId}/drain`, {
      method: "POST",
      headers: { authorization: `Bearer ${cluster.operatorToken}` },
    });
    if (!answer.ok) throw new Error(`the drain was answered ${String(answer.status)}`);
    await until(async () => ownedBy(await cluster.nodes(), first.port) === MOVED_SHARDS);
    const drain = { shards, ms: performance.now() - began };
    await second.ended();
    await second.restart();
    await until(async () => (await second.metric("aegis_shards_missing")) === 0);
    // Both logs are of this machine's clock.
    const join = {
      shards: await second.metric("aegis_shards_owned"),
      ms: Date.now() - first.loggedAt("a node has joined"),
    };
    return { drain, join };
  } finally {
    await cluster.dispose();
  }
}

function ownedBy({ nodes }: NodesOverview, port: number): number {
  return nodes.find(({ address }) => address.endsWith(`:${String(port)}`))?.shards ?? 0;
}
