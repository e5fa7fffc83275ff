// [G7] Looks all through a run whether every shard has an owner that may serve it, and how long one has had none since
// the last thing that went wrong.
import type { FaultPlan } from "./fault-plan.ts";
import type { World } from "./world.ts";

const LOOK_MS = 100;
/** From the last fault's end to an owner of every shard. */
const BOUND_MS = 6_000;
/** The look itself, and what a node needs to hear that it is well again. */
const SLACK_MS = 1_000;

export class OwnershipWatch {
  readonly #world: World;
  readonly #plan: FaultPlan;
  #said = false;

  constructor(world: World, plan: FaultPlan) {
    this.#world = world;
    this.#plan = plan;
  }

  start(): void {
    this.#world.later(LOOK_MS, "look", () => {
      this.#look();
      this.start();
    });
  }

  #look(): void {
    const { simulator, data } = this.#world;
    const healedMs = simulator.nowMs - this.#plan.calmFromMs;
    if (healedMs < BOUND_MS + SLACK_MS || this.#said) return;
    data.shards.forEach(({ owner }, shard) => {
      const isServed = this.#world.nodes.some(({ running, server }) => {
        const fence = running ? server?.host.fenceOf(shard) : undefined;
        return fence !== undefined && fence.nonce === owner?.fence.nonce;
      });
      if (isServed || this.#said) return;
      this.#said = true;
      this.#world.violated(`[G7] shard ${shard} has no owner ${healedMs.toFixed(0)} ms after the last fault`);
    });
  }
}
