// How calls gather into batches at so many in flight on one node, and what Redis does with the same batches when they
// are sent to it straight, one after another on every shard: the floor, of the same run on the same Redis.
import { randomBytes } from "node:crypto";
import type { Operation } from "../src/store/store.ts";
import type { ClusterWorld, Cost } from "./cluster-world.ts";
import { openBuiltStore } from "./store-floor.ts";
import { cpuMicrosOf } from "./process-figures.ts";

export interface BatchFigures {
  readonly inFlight: number;
  readonly callsPerSecond: number;
  readonly cost: Cost;
  /** Answers that waited for one batch, and operations in it. */
  readonly answersABatch: number;
  readonly operationsABatch: number;
  /** From a batch's first turn until it is sent. */
  readonly waitMs: number;
  readonly floorCallsPerSecond: number;
  /** Redis's processor time for one call's part of a batch. */
  readonly floorRedisMicros: number;
}

const SHARDS = 256;
/** About what a small message leaves: its log entry, the group's head, its remembered result. */
const BODY_BYTES = 150;
const HEAD_BYTES = 400;
const RESULT_BYTES = 100;
const RESULT_TTL_MS = 600_000;

export async function runBatches(
  world: ClusterWorld,
  { inFlight, calls, floorMs }: { readonly inFlight: number; readonly calls: number; readonly floorMs: number },
): Promise<BatchFigures> {
  const steps = Math.max(2, Math.round(calls / inFlight));
  await world.measure("group.send", "any", inFlight, 1);
  const before = await counted(world);
  const cost = await world.measure("group.send", "any", inFlight, steps);
  const after = await counted(world);
  const batches = after.batches - before.batches;
  const answersABatch = (after.answers - before.answers) / batches;
  const floor = await straight(world, { inFlight, answersABatch, forMs: floorMs });
  return {
    inFlight,
    callsPerSecond: cost.calls / cost.seconds,
    cost,
    answersABatch,
    operationsABatch: (after.operations - before.operations) / batches,
    waitMs: ((after.waitSeconds - before.waitSeconds) / batches) * 1000,
    ...floor,
  };
}

async function counted(world: ClusterWorld) {
  return {
    batches: await world.metric("aegis_batches_total"),
    operations: await world.metric("aegis_batch_operations_total"),
    answers: await world.metric("aegis_batch_releases_total"),
    waitSeconds: await world.metric("aegis_batch_seconds_sum"),
  };
}

/** Batches of that mean size, on as many shards at once as keep that many answers waiting. */
async function straight(
  world: ClusterWorld,
  {
    inFlight,
    answersABatch,
    forMs,
  }: { readonly inFlight: number; readonly answersABatch: number; readonly forMs: number },
): Promise<Pick<BatchFigures, "floorCallsPerSecond" | "floorRedisMicros">> {
  const { redis } = world.cluster;
  const prefix = `floor-${String(inFlight)}`;
  const store = await openBuiltStore(redis.url, { durability: "fsync", shardCount: SHARDS, prefix });
  const shards = Math.min(SHARDS, Math.max(1, Math.round(inFlight / answersABatch)));
  const cpuBefore = cpuMicrosOf(redis.pid);
  const began = performance.now();
  let calls = 0;
  const shard = async (n: number): Promise<void> => {
    const claimant = { nonce: "floor", owner: "floor", address: "floor", freshLineage: "floor" };
    const claimed = await store.claim(n, undefined, claimant);
    if (claimed.kind !== "claimed") throw new Error("the floor's own prefix is taken");
    const { fence } = claimed.record;
    // Whole calls, so many that their mean is right.
    for (let sequence = 1, owed = 0; performance.now() - began < forMs; sequence += 1) {
      owed += answersABatch;
      const size = Math.max(1, Math.floor(owed));
      owed -= size;
      const operations = Array.from({ length: size }, (_, i) =>
        operationsOf(`bench/group/${String(n)}-${String(sequence)}-${String(i)}`),
      );
      const outcome = await store.commit(n, fence, sequence, operations.flat());
      if (outcome.kind !== "applied") throw new Error(`a commit was ${outcome.kind}`);
      calls += size;
    }
  };
  await Promise.all(Array.from({ length: shards }, (_, n) => shard(n)));
  const seconds = (performance.now() - began) / 1000;
  await store.close();
  return { floorCallsPerSecond: calls / seconds, floorRedisMicros: (cpuMicrosOf(redis.pid) - cpuBefore) / calls };
}

/** What one message makes a batch hold. */
function operationsOf(actor: string): Operation[] {
  const now = Date.now();
  return [
    { op: "append", actor, entry: { offset: 1, time: now, type: "application", body: randomBytes(BODY_BYTES) } },
    { op: "putMark", actor, name: "result", bytes: randomBytes(RESULT_BYTES), expiresAt: now + RESULT_TTL_MS },
    { op: "putSnapshot", actor, bytes: randomBytes(HEAD_BYTES) },
  ];
}
