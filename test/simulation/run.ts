// One run: a cluster, its load and its faults, all from one seed; then calm, and the judgement.
import { judge } from "./judge.ts";
import { followersLag } from "./judge-groups.ts";
import { FaultPlan } from "./fault-plan.ts";
import { EPOCH_MS, fixtures } from "./fixtures.ts";
import { Load, mixes, type Mix } from "./load.ts";
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
  /** Of calls. */
  readonly mix?: Mix;
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

/** The more runs are short and the more meet in few shards, the more is found in the same time. */
const SHARDS = [2, 4, 8];
const FAULTS_MS = [2_500, 4_000, 6_000];
const PAUSE_MS_MAX = [200, 400, 800];
const PREPARED_WITHIN_MS = 20_000;
const LOAD_GOES_ON_MS = 500;
/** How often it is looked whether a run is over, and how many times in a row it must be. */
const CALM_LOOK_MS = 500;
const CALM_LOOKS = 3;
/** For what waits: unsettled reservations are looked at after 45 s (src/actors/handle-machine.ts). */
const CALM_MS_MAX = 110_000;
/** A node that falls silent is left after 8 s (sim-client.ts), an owner after 3 s (GUARANTEES.md, rule 9). */
const FOLLOWED_WITHIN_MS = 15_000;

export function simulate(options: RunOptions): Promise<RunResult> {
  // Made before time is taken over, once a process.
  fixtures();
  const simulator = new Simulator(options.seed, EPOCH_MS, options.trace);
  return owningTime(simulator, () => run(simulator, options));
}

async function run(simulator: Simulator, { seed, sabotage = new Set(), profile = {} }: RunOptions): Promise<RunResult> {
  const nodes = 2 + Math.floor(simulator.random() * 3);
  const clients = 3 + Math.floor(simulator.random() * 3);
  const pauseMsMax = simulator.pick(PAUSE_MS_MAX);
  const drawn = { shards: simulator.pick(SHARDS), faultsMs: simulator.pick(FAULTS_MS), mix: simulator.pick(mixes) };
  const { shards: shardCount = drawn.shards, faultsMs = drawn.faultsMs } = profile;
  const world = new World(simulator, { nodes: profile.nodes ?? nodes, shardCount, sabotage });
  const load = new Load(world, {
    clients: profile.clients ?? clients,
    followers: 2,
    pauseMsMax: profile.pauseMsMax ?? pauseMsMax,
    mix: profile.mix ?? drawn.mix,
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

/** Runs until nothing is owed any more and all followers have all, or for as long as that may take. */
async function calm(world: World, load: Load): Promise<void> {
  const { simulator } = world;
  const beganMs = simulator.nowMs;
  const areMembers = (): boolean => world.nodes.every(({ serves, nodeId }) => serves && world.data.nodes.has(nodeId));
  const isFollowed = (): boolean => simulator.nowMs - beganMs > FOLLOWED_WITHIN_MS || !followersLag(world, load);
  const isCalm = (): boolean => !load.busy && !world.works() && areMembers() && isFollowed() && world.owesNothing();
  for (let calmFor = 0; calmFor < CALM_LOOKS && simulator.nowMs < beganMs + CALM_MS_MAX;) {
    await simulator.runUntil(simulator.nowMs + CALM_LOOK_MS);
    calmFor = isCalm() ? calmFor + 1 : 0;
  }
}
