// Everything that one run consists of: machines, store, network, nodes, and what was found wrong on the way.
import { parseActorKey } from "../../src/actors/actor-address.ts";
import { decodeEnvelope } from "../../src/actors/snapshot.ts";
import type { Limits } from "../../src/config.ts";
import type { Answer, Dispatch, Request } from "../../src/services/request-port.ts";
import type { SabotageSwitches } from "../../src/store/sabotage.ts";
import type { ActorKey } from "../../src/store/store.ts";
import { Machine } from "./machine.ts";
import { SimNetwork } from "./sim-network.ts";
import { SimNode } from "./sim-node.ts";
import type { SimShard } from "./sim-shard.ts";
import { SimStore, SimStoreData } from "./sim-store.ts";
import type { SimTags } from "./sim-tags.ts";
import { SIM_LIMITS } from "./sim-limits.ts";
import type { Simulator } from "./simulator.ts";

export interface WorldOptions {
  readonly nodes: number;
  readonly shardCount: number;
  readonly sabotage: ReadonlySet<string>;
}

/** A service may look into the store twice after its request's deadline; the session answers by itself before. */
const STORE_LOOKS = 2;
const GRACE_MS = 100;

export class World {
  readonly simulator: Simulator;
  readonly network: SimNetwork;
  readonly nodes: SimNode[];
  readonly limits: Limits = SIM_LIMITS;
  readonly sabotage: ReadonlySet<string>;
  readonly data: SimStoreData;
  readonly store: SimStore;
  readonly storeMachine: Machine;
  /** Where clients run, and whatever else is not under test. Never frozen. */
  readonly outside: Machine;
  readonly secrets = {
    secret: "simulated-secret-of-32-characters",
    operatorKey: `aegis_operator_${"k".repeat(32)}`,
    made: [],
  };
  /** Promises that were broken on the way. */
  readonly violations: string[] = [];
  lineageChanges = 0;
  /** Requests that services work on. */
  readonly running = new Set<{ readonly machine: Machine; readonly method: string }>();

  constructor(simulator: Simulator, { nodes, shardCount, sabotage }: WorldOptions) {
    this.simulator = simulator;
    this.sabotage = sabotage;
    this.network = new SimNetwork(simulator);
    this.storeMachine = new Machine(simulator, "store");
    this.outside = new Machine(simulator, "outside");
    this.data = new SimStoreData(shardCount);
    this.store = new SimStore(
      {
        shardCount,
        now: () => simulator.epochMs + simulator.nowMs,
        freshLineage: () => `lineage-${String(simulator.eventsRun)}`,
        sabotage: sabotage as SabotageSwitches,
      },
      this.data,
    );
    this.nodes = Array.from({ length: nodes }, (_, n) => new SimNode(this, `n${String(n + 1)}`));
  }

  get tags(): SimTags {
    return this.data.tags;
  }

  later(ms: number, label: string, run: () => unknown): void {
    this.outside.after(ms, "arrival", label, run);
  }

  /** A service still works on a request; its caller may have given up while the store was silent. */
  works(): boolean {
    return [...this.running].some(({ machine }) => machine.state !== "dead");
  }

  /** No outbox of any shard holds a message, and no handle is only reserved. */
  owesNothing(): boolean {
    return this.data.shards.every(
      (shard) => shard.outbox("", 1).length === 0 && !shard.actors().some(isReserved(shard)),
    );
  }

  violated(what: string): void {
    this.simulator.note(`VIOLATED ${what}`);
    this.violations.push(`${what} (at ${this.simulator.nowMs.toFixed(0)} ms)`);
  }

  bug(where: string, error: unknown): void {
    this.violated(`a bug: ${where}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  }

  /** [G6] No request outlives its deadline by more than the store's silence, unless its node was frozen. */
  async watched({ machine }: SimNode, request: Request, dispatch: Dispatch): Promise<Answer> {
    const frozenMs = machine.frozenMs;
    const running = { machine, method: request.method };
    this.running.add(running);
    const answer = await dispatch(request);
    this.running.delete(running);
    const lateMs = machine.monotonicMs() - request.deadline - (machine.frozenMs - frozenMs) * machine.rate;
    if (lateMs > this.limits.storeTimeoutMs * STORE_LOOKS + GRACE_MS) {
      this.violated(`[G6] ${request.method} went on for ${lateMs.toFixed(0)} ms after its deadline`);
    }
    return answer;
  }
}

function isReserved(shard: SimShard): (actor: ActorKey) => boolean {
  return (actor) => {
    const snapshot = parseActorKey(actor).kind === "handle" ? shard.snapshotOf(actor) : undefined;
    return snapshot !== undefined && decodeEnvelope(snapshot).state.value === "reserved";
  };
}
