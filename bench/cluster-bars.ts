// What the run on many nodes is held against. Every bar is told, held or not.
import { SLOW_SYNC_MS } from "./batch-run.ts";
import { KINDS, type Cost, type Kind } from "./cluster-world.ts";
import type { ClusterFigures } from "./cluster-figures.ts";
import type { HostFigures } from "./host-run.ts";
import type { MixFigures } from "./mix-run.ts";

export interface Bar {
  readonly what: string;
  readonly held: boolean;
}

const FORWARDED_TIMES_MAX = 2.5;
const MODEL_SHARE = 0.15;
const FLOOR_SHARE = 0.6;
const HEAL_MEDIAN_MS = 2000;
const HEAL_MAX_MS = 6000;
const MOVED_MS = 3000;

export function totalMicros({ nodeMicros, redisMicros }: Pick<Cost, "nodeMicros" | "redisMicros">): number {
  return nodeMicros + redisMicros;
}

/** What it costs more, nodes and Redis together, to send one call of that kind to the owner over a link. */
export function forwardingMicros(kind: Kind, { costs }: MixFigures): number | undefined {
  const { local, forwarded } = costs[kind];
  if (local === undefined || forwarded === undefined) return undefined;
  return (totalMicros(forwarded) - totalMicros(local)) / (forwarded.forwards - local.forwards);
}

/**
 * The cost at the owner + calls forwarded × what forwarding one costs. Of a kind that can't be aimed one node tells the
 * first and the fewest nodes the other, and more nodes are held against them. Undefined: there is nothing to hold against.
 * @param owner whose cost: of the deployment's own nodes where that is known, or of one node alone
 */
export function modelMicros(
  kind: Kind,
  one: MixFigures,
  mix: readonly MixFigures[],
  owner: "own" | "alone" = "own",
): number | undefined {
  const { any, local } = one.costs[kind];
  const alone = mix.find(({ nodes }) => nodes === 1)?.costs[kind].any;
  const atOwner = owner === "own" ? (local ?? alone) : alone;
  if (atOwner === undefined || any === undefined || one.nodes === 1) return undefined;
  const forwarding = forwardingMicros(kind, one) ?? forwardingAmongFewer(kind, one, mix, atOwner);
  return forwarding === undefined ? undefined : totalMicros(atOwner) + any.forwards * forwarding;
}

function forwardingAmongFewer(
  kind: Kind,
  { nodes }: MixFigures,
  mix: readonly MixFigures[],
  alone: Cost,
): number | undefined {
  const [fewest] = mix.filter((other) => other.nodes > 1 && other.nodes < nodes).sort((a, b) => a.nodes - b.nodes);
  const cost = fewest?.costs[kind].any;
  return cost && (totalMicros(cost) - totalMicros(alone)) / cost.forwards;
}

export function clusterBars({ mix, batches, heal, moves }: ClusterFigures): Bar[] {
  const many = mix.filter(({ nodes }) => nodes > 1);
  const isWithinModel = (one: MixFigures, kind: Kind): boolean => {
    const model = modelMicros(kind, one, mix);
    const { any } = one.costs[kind];
    return model === undefined || any === undefined || Math.abs(totalMicros(any) / model - 1) <= MODEL_SHARE;
  };
  const isCheap = ({ costs }: MixFigures, kind: Kind): boolean => {
    const { local, forwarded } = costs[kind];
    if (local === undefined || forwarded === undefined) return true;
    return forwarded.nodeMicros <= FORWARDED_TIMES_MAX * local.nodeMicros;
  };
  const healedMs = heal?.healedMs ?? [];
  const median = healedMs[Math.floor((healedMs.length - 1) / 2)] ?? 0;
  const bars = [
    {
      what: `a call that is forwarded costs the nodes at most ${String(FORWARDED_TIMES_MAX)} times one at its owner`,
      held: many.every((one) => KINDS.every((kind) => isCheap(one, kind))),
    },
    ...many.map((one) => ({
      what: `on ${String(one.nodes)} nodes each kind costs within 15 % of its cost at the owner + calls forwarded × forwarding`,
      held: KINDS.every((kind) => isWithinModel(one, kind)),
    })),
    ...batches.flatMap(({ inFlight, host, onSlowDisk }) => [
      floorBar(inFlight, host, "on the disk that is there"),
      floorBar(inFlight, onSlowDisk, `with ${String(SLOW_SYNC_MS)} ms more for each sync`),
    ]),
  ];
  if (heal !== undefined) {
    bars.push({
      what: `a killed node's shards are served again within 2 s (median) and 6 s (longest of ${String(healedMs.length)})`,
      held: median <= HEAL_MEDIAN_MS && (healedMs.at(-1) ?? 0) <= HEAL_MAX_MS,
    });
  }
  bars.push({
    what: "about 256 shards move within 3 s, by a drain and by a join",
    held: Math.max(moves.drain.ms, moves.join.ms) <= MOVED_MS,
  });
  return bars;
}

function floorBar(inFlight: number, { floorShare }: HostFigures, where: string): Bar {
  return {
    what: `at ${inFlight.toLocaleString("en-US")} in flight, ${where}, a host answers at least ${String(FLOOR_SHARE)} of the floor`,
    held: floorShare >= FLOOR_SHARE,
  };
}
