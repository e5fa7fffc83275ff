// What goes wrong in a run, drawn from its seed: when, to whom and for how long. Everything ends by itself, and
// `heal` ends the rest.
import type { SimNode } from "./sim-node.ts";
import { FAIR_LATENCY_MS } from "./store-view.ts";
import type { World } from "./world.ts";

type Fault = (plan: FaultPlan, world: World) => string;

/** Between a death and the restart. */
const DOWN_MS = [50, 6_000] as const;
/** Faults that come together begin within so long of each other. */
const TOGETHER_MS = 800;
/** A seed of few kinds draws from so many: what goes wrong twice, or with its like, finds what all kinds in turn miss. */
const FEW_KINDS = 2;

export class FaultPlan {
  /** What was done, as short lines. */
  readonly done: string[] = [];
  /** One node starts after the others. */
  readonly joinsLate: boolean;
  /** Nothing goes wrong, and nobody comes or goes, from then on. */
  calmFromMs = 0;
  readonly #world: World;
  readonly #kinds: readonly string[];
  readonly #faultsMax: number;
  /** Who suffers from everything, if one does. */
  readonly #ill: SimNode | undefined;
  #healed = false;

  constructor(
    world: World,
    kinds: readonly string[] = Object.keys(FAULTS).filter((kind) => !ASKED_FOR.has(kind)),
    faultsMax = 8,
  ) {
    const { simulator, nodes } = world;
    this.#world = world;
    const few = Array.from({ length: FEW_KINDS }, () => simulator.pick(kinds));
    this.#kinds = kinds.length > FEW_KINDS && simulator.chance(0.5) ? few : kinds;
    this.#faultsMax = faultsMax;
    this.#ill = simulator.chance(0.25) ? simulator.pick(nodes) : undefined;
    this.joinsLate =
      this.#kinds.includes(PROMOTION_AND_NEWCOMER) ||
      (nodes.length > 2 && this.#kinds.includes("join") && simulator.chance(0.3));
  }

  begin(withinMs: number): void {
    const world = this.#world;
    const { simulator } = world;
    const count = this.#kinds.length === 0 ? 0 : 1 + Math.floor(simulator.random() * this.#faultsMax);
    const together = simulator.chance(0.5) ? simulator.between(0, withinMs * 0.5) : undefined;
    for (let n = 0; n < count; n += 1) {
      const kind = simulator.pick(this.#kinds);
      const apart = simulator.between(0, withinMs * 0.8);
      const atMs = together === undefined ? apart : together + simulator.between(0, TOGETHER_MS);
      world.later(atMs, `fault: ${kind}`, () => {
        if (this.#healed) return;
        const said = `${simulator.nowMs.toFixed(0)} ${kind} ${(FAULTS[kind] as Fault)(this, world)}`;
        this.done.push(said);
        simulator.note(`FAULT ${said}`);
      });
    }
    const late = world.nodes.at(-1);
    if (this.joinsLate && this.#kinds.includes("join") && late !== undefined) {
      world.later(simulator.between(0, withinMs * 0.6), `${late.name} joins`, () => late.start());
      this.disturbed(withinMs);
    }
  }

  /** Lasts for so long from now on. */
  disturbed(ms: number): void {
    this.calmFromMs = Math.max(this.calmFromMs, this.#world.simulator.nowMs + ms);
  }

  /** Somebody to suffer: the one that is ill, or any node that is up. */
  victim(): SimNode {
    const { nodes, simulator } = this.#world;
    if (this.#ill?.running === true) return this.#ill;
    const up = nodes.filter(({ running }) => running);
    return simulator.pick(up.length === 0 ? nodes : up);
  }

  restart(node: SimNode, afterMs: number): void {
    this.disturbed(afterMs);
    this.#world.later(afterMs, `start ${node.name} again`, () => {
      if (node.down) node.start();
    });
  }

  /** From now on everything is as it should be. */
  heal(): void {
    const { nodes, network, simulator } = this.#world;
    this.#healed = true;
    for (const node of nodes) {
      node.machine.thaw();
      if (node.down) node.start();
      // One that is about to end is started again when it has.
      else node.onceDown = () => node.start();
      Object.assign(node.weather, { lost: 0, unheard: 0, late: 0, doubled: 0, latencyMs: FAIR_LATENCY_MS });
      node.weather.cutUntilMs = Math.min(node.weather.cutUntilMs, simulator.nowMs);
    }
    network.heal();
    network.latencyMs = FAIR_LATENCY_MS;
    simulator.note("HEALED");
    this.disturbed(0);
  }
}

/** One-way, or both ways, between two nodes. */
function isolate(plan: FaultPlan, world: World): string {
  const { simulator, network } = world;
  const [one, other] = [plan.victim(), simulator.pick(world.nodes)];
  const ms = simulator.between(200, 9_000);
  const until = simulator.nowMs + ms;
  const bothWays = simulator.chance(0.5);
  network.stop(one.machine.name, other.machine.name, until);
  if (bothWays) network.stop(other.machine.name, one.machine.name, until);
  plan.disturbed(ms);
  return `${one.name} ${bothWays ? "<>" : ">"} ${other.name} for ${ms.toFixed(0)} ms`;
}

function storm(plan: FaultPlan, world: World, kind: "lost" | "unheard" | "late" | "doubled"): string {
  const { simulator } = world;
  const ms = simulator.between(300, 6_000);
  const share = simulator.pick([0.02, 0.1, 0.3]);
  const suffer = simulator.chance(0.5) ? world.nodes : [plan.victim()];
  for (const { weather } of suffer) Object.assign(weather, { [kind]: share });
  world.later(ms, "the storm ends", () => {
    for (const { weather } of suffer) Object.assign(weather, { [kind]: 0 });
  });
  plan.disturbed(ms);
  return `${suffer.map(({ name }) => name).join(" ")} ${share} for ${ms.toFixed(0)} ms`;
}

function slow(plan: FaultPlan, world: World): string {
  const { simulator, network } = world;
  const ms = simulator.between(300, 5_000);
  const latencyMs = [1, simulator.between(20, 500)] as const;
  const isStore = simulator.chance(0.5);
  const weathers = isStore ? world.nodes.map(({ weather }) => weather) : [network];
  for (const weather of weathers) weather.latencyMs = latencyMs;
  world.later(ms, "fast again", () => {
    for (const weather of weathers) weather.latencyMs = FAIR_LATENCY_MS;
  });
  plan.disturbed(ms + 500);
  return `${isStore ? "store" : "network"} ${latencyMs[1].toFixed(0)} ms for ${ms.toFixed(0)} ms`;
}

function cutFromPeers(plan: FaultPlan, { simulator, network, nodes }: World, { machine, name }: SimNode): string {
  const ms = simulator.between(300, 6_000);
  for (const other of nodes) {
    if (other.name !== name) network.refuse(machine.name, other.machine.name, simulator.nowMs + ms);
  }
  plan.disturbed(ms);
  return `${name} for ${ms.toFixed(0)} ms`;
}

function slowWayToStore(plan: FaultPlan, world: World, { weather, name }: SimNode): string {
  const ms = world.simulator.between(300, 6_000);
  weather.latencyMs = [5, world.simulator.between(50, 900)];
  world.later(ms, "fast again", () => (weather.latencyMs = FAIR_LATENCY_MS));
  plan.disturbed(ms + 1_000);
  return `${name} ${weather.latencyMs[1].toFixed(0)} ms for ${ms.toFixed(0)} ms`;
}

/** Nothing promises to survive these without a word; drawn only where they are asked for. */
const LAGGING_PROMOTION = "lagging promotion";
/** Shards go at once to a node that has heard of nothing of what was lost. */
const PROMOTION_AND_NEWCOMER = "lagging promotion and a newcomer";
const ASKED_FOR: ReadonlySet<string> = new Set([LAGGING_PROMOTION, PROMOTION_AND_NEWCOMER]);
/** From the promotion to its start. */
const NEWCOMER_MS = [100, 300] as const;

/** @returns when it comes, from now */
function promotion(plan: FaultPlan, world: World): number {
  const { simulator, data, nodes } = world;
  const lagMs = simulator.between(50, 1_500);
  const promote = data.laggingReplica();
  world.later(lagMs, "promotion", () => {
    promote();
    for (const { weather } of nodes) [weather.cutUntilMs, weather.cutRefused] = [simulator.nowMs + 100, true];
  });
  plan.disturbed(lagMs + 200);
  return lagMs;
}

const FAULTS: Readonly<Record<string, Fault>> = {
  "requests lost": (plan, world) => storm(plan, world, "lost"),
  "answers lost": (plan, world) => storm(plan, world, "unheard"),
  "requests late": (plan, world) => storm(plan, world, "late"),
  "requests doubled": (plan, world) => storm(plan, world, "doubled"),
  slow,
  isolate,
  kill: (plan, { simulator }) => {
    const node = plan.victim();
    const silent = simulator.chance(0.3);
    node.kill(silent);
    const downMs = simulator.between(...(DOWN_MS as unknown as [number, number]));
    plan.restart(node, downMs);
    return `${node.name}${silent ? " with its host" : ""}, down for ${downMs.toFixed(0)} ms`;
  },
  freeze: (plan, world) => {
    const { simulator } = world;
    const node = plan.victim();
    const { machine } = node;
    const ms = simulator.pick([simulator.between(50, 1_000), simulator.between(1_000, 12_000)]);
    machine.freeze();
    world.later(ms, `wake ${node.name}`, () => machine.thaw());
    plan.disturbed(ms);
    return `${node.name} for ${ms.toFixed(0)} ms`;
  },
  leave: (plan, { simulator }) => {
    const node = plan.victim();
    const downMs = simulator.between(...(DOWN_MS as unknown as [number, number]));
    node.onceDown = () => plan.restart(node, downMs);
    node.leave();
    plan.disturbed(8_000);
    return `${node.name}, down for ${downMs.toFixed(0)} ms`;
  },
  "leave at once": (plan) => {
    // As a supervisor that restarts what has ended, without a pause.
    const node = plan.victim();
    node.onceDown = () => plan.restart(node, 1);
    node.leave();
    plan.disturbed(8_000);
    return node.name;
  },
  "cut from store": (plan, { simulator }) => {
    const node = plan.victim();
    const ms = simulator.between(200, 9_000);
    node.weather.cutUntilMs = simulator.nowMs + ms;
    node.weather.cutRefused = simulator.chance(0.5);
    plan.disturbed(ms);
    return `${node.name} ${node.weather.cutRefused ? "refused" : "in vain"} for ${ms.toFixed(0)} ms`;
  },
  "cut from peers": (plan, world) => cutFromPeers(plan, world, plan.victim()),
  "slow way to the store": (plan, world) => slowWayToStore(plan, world, plan.victim()),
  // The others depose it while its writes are on their way.
  "slow and cut from peers": (plan, world) => {
    const node = plan.victim();
    return `${slowWayToStore(plan, world, node)}, ${cutFromPeers(plan, world, node)}`;
  },
  "store paused": (plan, world) => {
    const ms = world.simulator.between(100, 9_000);
    for (const { weather } of world.nodes) weather.pausedUntilMs = world.simulator.nowMs + ms;
    plan.disturbed(ms);
    return `for ${ms.toFixed(0)} ms`;
  },
  "cut connections": (plan, { nodes, network, simulator }) => {
    const [one, other] = [plan.victim(), simulator.pick(nodes)];
    const name = simulator.chance(0.5) ? "outside" : other.machine.name;
    network.cut(one.machine.name, name);
    return `${one.name} ${name}`;
  },
  "wall clock": (plan, { simulator }) => {
    const { machine, name } = plan.victim();
    machine.wallOffsetMs = simulator.between(-3_600_000, 3_600_000);
    return name;
  },
  [LAGGING_PROMOTION]: (plan, world) => `${promotion(plan, world).toFixed(0)} ms of writes`,
  [PROMOTION_AND_NEWCOMER]: (plan, world) => {
    const { simulator, nodes } = world;
    const lagMs = promotion(plan, world);
    const late = nodes.at(-1);
    const afterMs = simulator.between(...NEWCOMER_MS);
    if (late?.down === true) world.later(lagMs + afterMs, `${late.name} joins`, () => late.down && late.start());
    return `${lagMs.toFixed(0)} ms of writes, ${String(late?.name)} ${afterMs.toFixed(0)} ms later`;
  },
  join: () => "late",
};
