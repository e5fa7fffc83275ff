// One deployment whose only node has tiny limits, suffers a plan of faults and may die at any time. What random
// tests of actors play with.
import type { ActorHost } from "../../src/actors/actor-host.ts";
import type { ActorAddress, Outcome } from "../../src/actors/actor-port.ts";
import type { HostLimits } from "../../src/actors/host-options.ts";
import type { MachineCatalogue } from "../../src/actors/machine-catalogue.ts";
import { ActorWorld, breathe, call, until, type HostChoices, type Node } from "./actor-world.ts";
import type { FaultyCall } from "./faulty-store.ts";
import { sufferBy, type FaultPlan } from "./fault-plan.ts";

const TINY: Partial<HostLimits> = { actorsMax: 3, mailboxMax: 8, batchOperationsMax: 6, outboxMessagesMax: 3 };

export interface DeploymentChoices {
  readonly catalogue?: MachineCatalogue | undefined;
  /** The only kind of call that suffers. */
  readonly only?: FaultyCall | undefined;
  /** Default: the embedded store. */
  readonly redisUrl?: string | undefined;
}

/** Calls go to whichever node lives. */
export class Deployment {
  readonly world: ActorWorld;
  readonly #catalogue: MachineCatalogue | undefined;
  readonly #plan: FaultPlan;
  readonly #only: FaultyCall | undefined;
  #node: Node;
  #killing: Promise<void> = Promise.resolve();

  private constructor(world: ActorWorld, node: Node, plan: FaultPlan, { catalogue, only }: DeploymentChoices) {
    this.world = world;
    this.#node = node;
    this.#plan = plan;
    this.#catalogue = catalogue;
    this.#only = only;
    sufferBy(node.store, plan, this.#only);
  }

  static async open(plan: FaultPlan, { catalogue, only, redisUrl }: DeploymentChoices = {}): Promise<Deployment> {
    const world = await ActorWorld.open(2, redisUrl);
    return new Deployment(world, await world.node(choices(catalogue)), plan, { catalogue, only });
  }

  /** One after another: two nodes that both live would take the shards from each other for ever. */
  kill(): Promise<void> {
    this.#killing = this.#killing.then(async () => {
      this.world.kill(this.#node);
      this.#node = await this.world.node(choices(this.#catalogue));
      sufferBy(this.#node.store, this.#plan.slice(this.#plan.length / 2), this.#only);
    });
    return this.#killing;
  }

  /** One try, with a key. */
  try(to: ActorAddress, command: { type: string }, key: string): Promise<Outcome> {
    return call(this.#node.host, to, command, { key: { key, digest: key }, withinMs: 2_000 });
  }

  /** As a client retries: by key, until the answer is certain and not retryable. */
  async insist(to: ActorAddress, command: { type: string }, key: string): Promise<Outcome> {
    const end = performance.now() + 20_000;
    for (;;) {
      const outcome = await this.try(to, command, key);
      if (outcome.kind === "applied" || !outcome.refusal.retryable) return outcome;
      if (performance.now() > end) throw new Error(`nothing but ${outcome.refusal.reason}`);
      await new Promise((resolve) => setTimeout(resolve, 1 + 4 * Math.random()));
    }
  }

  get host(): ActorHost {
    return this.#node.host;
  }

  wellAgain(): void {
    this.#node.store.fault = () => undefined;
  }

  /** Everything owed has been delivered and nothing is written any more. */
  async quiet(): Promise<void> {
    this.wellAgain();
    await until(async () => {
      for (let shard = 0; shard < this.world.store.shardCount; shard += 1) {
        const owner = await this.world.store.readOwner(shard);
        if (owner === undefined) return false;
        const outbox = await this.world.store.readOutbox(shard, owner.fence, "", 1).catch(() => [undefined]);
        if (outbox.length > 0) return false;
      }
      return true;
    }, "a quiet deployment");
    await breathe(5);
  }
}

function choices(catalogue: MachineCatalogue | undefined): HostChoices {
  return { limits: TINY, ...(catalogue === undefined ? {} : { catalogue }) };
}
