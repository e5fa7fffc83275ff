// The judgement of a run that has come to rest: what callers were told, held against what the store holds in the end.
import { actorKey, shardOf } from "../../src/actors/actor-address.ts";
import type { ActorAddress } from "../../src/actors/actor-port.ts";
import { decodeEnvelope, type PersistedState } from "../../src/actors/snapshot.ts";
import { judgeGroups } from "./judge-groups.ts";
import { judgeIdentities } from "./judge-identities.ts";
import { judgePools } from "./judge-pools.ts";
import type { Load } from "./load.ts";
import { describe } from "./operation.ts";
import type { SimShard } from "./sim-shard.ts";
import type { World } from "./world.ts";

/** What judges look at. */
export interface Evidence {
  readonly world: World;
  readonly load: Load;
  shardOf(address: ActorAddress): SimShard;
  stateOf(address: ActorAddress): PersistedState | undefined;
}

/** What the SDK waits beyond a call's time for the server's word, and how often it looks (src/client/calls.ts). */
const ANSWER_GRACE_MS = 310;

export async function judge(world: World, load: Load): Promise<void> {
  const shardAt = (address: ActorAddress): SimShard =>
    world.data.shards[shardOf(actorKey(address), world.store.shardCount)] as SimShard;
  const evidence: Evidence = {
    world,
    load,
    shardOf: shardAt,
    stateOf: (address) => {
      const snapshot = shardAt(address).snapshotOf(actorKey(address));
      return snapshot === undefined ? undefined : decodeEnvelope(snapshot).state;
    },
  };
  judgeRest(evidence);
  judgeGroups(evidence);
  judgePools(evidence);
  judgeIdentities(evidence);
}

function judgeRest({ world, load }: Evidence): void {
  for (const operation of load.operations) {
    const { invokedMs, returnedMs, ttlMs } = operation;
    if (returnedMs - invokedMs > ttlMs + ANSWER_GRACE_MS)
      world.violated(`[G6] no answer in time: ${describe(operation)}`);
  }
  for (const { machine, method } of world.running) {
    if (machine.state !== "dead") world.violated(`[G6] ${machine.name} still works on ${method}`);
  }
  for (const { name, nodeId, serves } of world.nodes) {
    if (!serves) world.violated(`[G7] ${name} is not ready in the end`);
    if (!world.data.nodes.has(nodeId)) world.violated(`[G7] ${nodeId} is no member in the end`);
  }
  world.data.shards.forEach((shard, n) => {
    const left = shard.outbox("", 10);
    if (left.length > 0) world.violated(`[G8] shard ${n} still owes ${left.map(({ id }) => id).join(", ")}`);
  });
}
