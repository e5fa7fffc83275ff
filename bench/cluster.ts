// `npm run bench -- cluster [--nodes 1,2,3] [--count 3840] [--kills 5] [--write] [--bars]`: what calls cost on several
// nodes, how they gather into batches, and how long a killed, a drained and a new node keep calls waiting. With --bars
// it ends non-zero when one is missed.
import { parseArgs } from "node:util";
import { runBatches, type BatchFigures } from "./batch-run.ts";
import type { BenchResult } from "./benchmark-document.ts";
import { clusterBars } from "./cluster-bars.ts";
import type { ClusterFigures } from "./cluster-figures.ts";
import { clusterSection } from "./cluster-section.ts";
import { ClusterWorld } from "./cluster-world.ts";
import { runKills, runMoves } from "./heal-run.ts";
import { runMix } from "./mix-run.ts";

/** For each node. */
const IN_FLIGHT = 64;
const ROUNDS = 12;
const BATCHES_IN_FLIGHT = [256, 1024];
const HOST_ROUND_MS = 1000;

export async function cluster(args: string[]): Promise<BenchResult> {
  const { values } = parseArgs({
    args,
    options: {
      nodes: { type: "string", default: "1,2,3" },
      count: { type: "string", default: "3840" },
      kills: { type: "string", default: "5" },
      bars: { type: "boolean", default: false },
    },
  });
  const figures = await run({
    nodes: values.nodes.split(",").map((text) => wholeOf("--nodes", text, 1)),
    count: wholeOf("--count", values.count, 1),
    kills: wholeOf("--kills", values.kills, 0),
  });
  const bars = clusterBars(figures);
  for (const { what, held } of bars) console.log(`${held ? "held  " : "missed"} ${what}`);
  if (values.bars && bars.some(({ held }) => !held)) process.exitCode = 1;
  return {
    title: "Many nodes",
    command: `npm run bench -- cluster --nodes ${values.nodes} --count ${values.count} --kills ${values.kills} --write`,
    text: clusterSection(figures, bars),
  };
}

interface RunOptions {
  /** Deployments of so many nodes each. */
  readonly nodes: readonly number[];
  readonly count: number;
  readonly kills: number;
}

async function run({ nodes, count, kills }: RunOptions): Promise<ClusterFigures> {
  const moves = shown("moved", await runMoves());
  const worlds: ClusterWorld[] = [];
  try {
    for (const n of nodes) worlds.push(await ClusterWorld.start(n));
    const [smallest] = worlds;
    if (smallest === undefined) throw new Error("--nodes names no deployment");
    const memory = shown("memory", await memoryOf(smallest));
    for (const world of worlds) await world.widen(IN_FLIGHT * world.nodes);
    const mix = await runMix(worlds, { count, inFlight: IN_FLIGHT, rounds: ROUNDS });
    for (const one of mix) shown("mix", one);
    const batches: BatchFigures[] = [];
    for (const inFlight of BATCHES_IN_FLIGHT) {
      batches.push(shown("batches", await runBatches(smallest, { inFlight, calls: count * 2, hostMs: HOST_ROUND_MS })));
    }
    const largest = worlds.reduce((a, b) => (b.nodes > a.nodes ? b : a));
    const heal = largest.nodes > 1 && kills > 0 ? shown("healed", await runKills(largest, kills)) : undefined;
    return { inFlight: IN_FLIGHT, mix, batches, heal, moves, ...memory };
  } finally {
    await Promise.all(worlds.map((world) => world.dispose()));
  }
}

const LANES = 512;
const MESSAGES_EACH = 8;

async function memoryOf(world: ClusterWorld): Promise<Pick<ClusterFigures, "laneBytes" | "messageBytes">> {
  // The first of everything costs what belongs to all.
  await world.widen(1);
  const empty = await world.redisMemoryBytes();
  await world.widen(LANES + 1);
  const founded = await world.redisMemoryBytes();
  await world.measure("group.send", "any", LANES, MESSAGES_EACH);
  const written = await world.redisMemoryBytes();
  return {
    laneBytes: (founded - empty) / LANES,
    messageBytes: (written - founded) / (LANES * MESSAGES_EACH),
  };
}

/** Whoever waits sees how far it has come. */
function shown<T>(what: string, figures: T): T {
  console.log(what, JSON.stringify(figures));
  return figures;
}

function wholeOf(name: string, text: string, min: number): number {
  const number = Number(text);
  if (!Number.isInteger(number) || number < min)
    throw new Error(`${name} must be of whole numbers from ${String(min)}`);
  return number;
}
