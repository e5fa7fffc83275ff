// The mix of calls on one, two and three nodes: what each kind costs wherever the balancer sends it, at its owner, and
// at another node. The deployments stand beside one another and are measured in turns, so that a machine that slows
// down slows all of them down.
import { lowerQuartiles } from "./medians.ts";
import { KINDS, type ClusterWorld, type Cost, type Kind, type Way } from "./cluster-world.ts";

export type Costs = Readonly<Record<Kind, Partial<Record<Way, Cost>>>>;

export interface MixFigures {
  readonly nodes: number;
  /** Without what the nodes and Redis use up in the same time when nobody calls. */
  readonly costs: Costs;
  /** Processor time without any call, microseconds a second: of one node, and of Redis. */
  readonly idleNodeMicros: number;
  readonly idleRedisMicros: number;
}

export interface MixOptions {
  /** Calls of each kind and way, for each node of a deployment. */
  readonly count: number;
  /** For each node. */
  readonly inFlight: number;
  readonly rounds: number;
}

const IDLE_MS = 1000;

export async function runMix(worlds: readonly ClusterWorld[], options: MixOptions): Promise<MixFigures[]> {
  const { count, inFlight, rounds } = options;
  const steps = Math.max(1, Math.round(count / rounds / inFlight));
  const taken = worlds.map(() => new Map<string, Cost[]>());
  const idle = worlds.map((): Cost[] => []);
  // The first round compiles the code and does not count.
  for (let round = 0; round <= rounds; round += 1) {
    for (const [n, world] of worlds.entries()) {
      if (round > 0) idle[n]?.push(await idleOf(world));
      for (const kind of KINDS) {
        for (const way of turned(waysOf(kind, world.nodes), round)) {
          const cost = await world.measure(kind, way, inFlight * world.nodes, steps);
          const costs = taken[n] as Map<string, Cost[]>;
          if (round > 0) costs.set(`${kind} ${way}`, [...(costs.get(`${kind} ${way}`) ?? []), cost]);
        }
      }
    }
  }
  return worlds.map((world, n) => {
    const ofAll = lowerQuartiles(idle[n] as Cost[]);
    return {
      nodes: world.nodes,
      costs: costsOf(taken[n] as Map<string, Cost[]>, world.nodes, ofAll),
      idleNodeMicros: ofAll.nodeMicros / world.nodes,
      idleRedisMicros: ofAll.redisMicros,
    };
  });
}

/**
 * A new identity's actors are where their names put them: nobody can aim at their owner. A node alone is asked as often
 * as one of several: code that has run more is compiled better.
 */
function waysOf(kind: Kind, nodes: number): readonly Way[] {
  if (kind === "identity.create") return ["any"];
  return nodes === 1 ? ["any", "any", "any"] : ["any", "local", "forwarded"];
}

/** Each way comes first as often as the others: whoever does finds caches full of another deployment. */
function turned(ways: readonly Way[], by: number): readonly Way[] {
  const from = by % ways.length;
  return [...ways.slice(from), ...ways.slice(0, from)];
}

/** @param idle for one second */
function costsOf(taken: ReadonlyMap<string, readonly Cost[]>, nodes: number, idle: Cost): Costs {
  const beyondIdle = (cost: Cost): Cost => ({
    ...cost,
    nodeMicros: cost.nodeMicros - (idle.nodeMicros * cost.seconds) / cost.calls,
    redisMicros: cost.redisMicros - (idle.redisMicros * cost.seconds) / cost.calls,
  });
  const costOf = (kind: Kind, way: Way): Cost => lowerQuartiles((taken.get(`${kind} ${way}`) ?? []).map(beyondIdle));
  const entries = KINDS.map((kind) => [
    kind,
    Object.fromEntries(waysOf(kind, nodes).map((way) => [way, costOf(kind, way)])),
  ]);
  return Object.fromEntries(entries) as Costs;
}

async function idleOf(world: ClusterWorld): Promise<Cost> {
  const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, IDLE_MS));
  return world.measured(IDLE_MS / 1000, pause);
}
