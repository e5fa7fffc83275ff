// One run: a cluster, its load and its faults, all from one seed; then calm, and the judgement.
import { judge } from "./judge.ts";
import { FaultPlan } from "./fault-plan.ts";
import { EPOCH_MS, fixtures } from "./fixtures.ts";
import { Load } from "./load.ts";
import { owningTime } from "./owned-time.ts";
import { OwnershipWatch } from "./ownership-watch.ts";
import { Simulator } from "./simulator.ts";
import { World } from "./world.ts";

export interface RunOptions {
  readonly seed: number;
  readonly sabotage?: ReadonlySet<string>;
  readonly trace?: (line: string) => void;
  readonly profile?: RunProfile;
}

/** What a run is made of, where its seed does not say. */
export interface RunProfile {
  /** Kinds of faults to draw from; all by default. */
  readonly faults?: readonly string[];
  readonly faultsMax?: number;
  readonly nodes?: number;
  readonly shards?: number;
  readonly clients?: number;
  readonly pauseMsMax?: number;
  /** In which faults begin. */
  readonly faultsMs?: number;
}

export interface RunResult {
  readonly seed: number;
  /** What was promised and not kept; empty for a good run. */
  readonly violations: readonly string[];
  readonly faults: readonly string[];
  /** Equal for equal runs. */
  readonly digest: string;
  /** Shards that were given a new lineage, as their owners said. */
  readonly lineageChanges: number;
  readonly operations: number;
  readonly done: number;
  readonly unknown: number;
  readonly events: number;
  readonly simulatedMs: number;
}

const SHARDS = 8;
const PREPARED_WITHIN_MS = 20_000;
const FAULTS_MS = 8_000;
const LOAD_GOES_ON_MS = 1_000;
/** For what waits: unsettled reservations are looked at after 45 s (src/actors/handle-machine.ts). */
const CALM_MS_MAX = 110_000;

export function simulate(options: RunOptions): Promise<RunResult> {
  // Made before time is taken over, once a process.
  fixtures();
  const simulator = new Simulator(options.seed, EPOCH_MS, options.trace);
  return owningTime(simulator, () => run(simulator, options));
}

async function run(simulator: Simulator, { seed, sabotage = new Set(), profile = {} }: RunOptions): Promise<RunResult> {
  const nodes = 2 + Math.floor(simulator.random() * 3);
  const clients = 3 + Math.floor(simulator.random() * 3);
  const pauseMsMax = simulator.pick([150, 400, 800]);
  const { shards: shardCount = SHARDS, faultsMs = FAULTS_MS } = profile;
  const world = new World(simulator, { nodes: profile.nodes ?? nodes, shardCount, sabotage });
  const load = new Load(world, {
    clients: profile.clients ?? clients,
    followers: 2,
    pauseMsMax: profile.pauseMsMax ?? pauseMsMax,
  });
  const plan = new FaultPlan(world, profile.faults, profile.faultsMax);
  const watch = new OwnershipWatch(world, plan);
  await prepare(world, load, plan);
  if (world.violations.length === 0) {
    plan.begin(faultsMs);
    world.later(0, "the load begins", () => load.start());
    watch.start();
    await simulator.runUntil(simulator.nowMs + faultsMs);
    plan.heal();
    await simulator.runUntil(simulator.nowMs + LOAD_GOES_ON_MS);
    load.stop();
    await calm(world, load);
    await judge(world, load);
  }
  for (const failure of simulator.failures) world.bug("an event", failure);
  const { operations } = load;
  return {
    seed,
    violations: world.violations,
    faults: plan.done,
    digest: simulator.digest(),
    lineageChanges: world.lineageChanges,
    operations: operations.length,
    done: operations.filter(({ outcome }) => outcome.kind === "done").length,
    unknown: operations.filter(({ outcome }) => outcome.kind === "unknown").length,
    events: simulator.eventsRun,
    simulatedMs: simulator.nowMs,
  };
}

async function prepare(world: World, load: Load, plan: FaultPlan): Promise<void> {
  const { simulator } = world;
  // One may join later.
  const [late] = plan.joinsLate ? [world.nodes.length - 1] : [];
  world.nodes.forEach((node, n) => {
    if (n !== late) world.later(simulator.between(0, 500), `start ${node.name}`, () => node.start());
  });
  const state = { prepared: false };
  world.later(600, "prepare", async () => {
    await load.prepare();
    state.prepared = true;
  });
  await simulator.runUntil(PREPARED_WITHIN_MS, () => state.prepared || simulator.failures.length > 0);
  if (!state.prepared) world.violated("the cluster did not come to serve");
}

/** Runs until nothing is owed any more, or for as long as that may take. */
async function calm(world: World, load: Load): Promise<void> {
  const { simulator } = world;
  const until = simulator.nowMs + CALM_MS_MAX;
  const isCalm = (): boolean => !load.busy && world.nodes.every(({ serves }) => serves);
  for (let calmFor = 0; calmFor < 2 && simulator.nowMs < until;) {
    await simulator.runUntil(simulator.nowMs + 1_000);
    calmFor = isCalm() && world.owesNothing() ? calmFor + 1 : 0;
  }
}
