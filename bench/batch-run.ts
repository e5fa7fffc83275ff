// How calls gather into batches at so many in flight: on one node over the wire, where the load has the same two
// processors, and on an actor host alone, held against the store's driver, on the disk that is there and on one that
// takes longer.
import { startRedis } from "../test/support/redis-server.ts";
import { slowSyncsInto } from "../test/support/system-calls.ts";
import type { ClusterWorld, Cost } from "./cluster-world.ts";
import { runHost, type HostFigures } from "./host-run.ts";

export interface BatchFigures {
  readonly inFlight: number;
  readonly callsPerSecond: number;
  readonly cost: Cost;
  /** Answers that waited for one batch, and operations in it. */
  readonly answersABatch: number;
  readonly operationsABatch: number;
  /** From a batch's first turn until it is sent. */
  readonly waitMs: number;
  readonly host: HostFigures;
  /** The same with SLOW_SYNC_MS more for each sync. */
  readonly onSlowDisk: HostFigures;
}

/** The default number. */
const SHARDS = 256;

/** What a disk behind a network takes. */
export const SLOW_SYNC_MS = 2;

export async function runBatches(
  world: ClusterWorld,
  { inFlight, calls, hostMs }: { readonly inFlight: number; readonly calls: number; readonly hostMs: number },
): Promise<BatchFigures> {
  const steps = Math.max(2, Math.round(calls / inFlight));
  await world.measure("group.send", "any", inFlight, 1);
  const before = await counted(world);
  const cost = await world.measure("group.send", "any", inFlight, steps);
  const after = await counted(world);
  const batches = after.batches - before.batches;
  return {
    inFlight,
    callsPerSecond: cost.calls / cost.seconds,
    cost,
    answersABatch: (after.answers - before.answers) / batches,
    operationsABatch: (after.operations - before.operations) / batches,
    waitMs: ((after.waitSeconds - before.waitSeconds) / batches) * 1000,
    host: await runHost({ redis: world.cluster.redis, inFlight, shards: SHARDS, roundMs: hostMs }),
    onSlowDisk: await runOnSlowDisk(inFlight, hostMs),
  };
}

async function runOnSlowDisk(inFlight: number, hostMs: number): Promise<HostFigures> {
  const redis = await startRedis({ appendfsync: "always", wrapper: slowSyncsInto("/dev/null", SLOW_SYNC_MS) });
  try {
    return await runHost({ redis, inFlight, shards: SHARDS, roundMs: hostMs });
  } finally {
    await redis.stop();
  }
}

async function counted(world: ClusterWorld) {
  return {
    batches: await world.metric("aegis_batches_total"),
    operations: await world.metric("aegis_batch_operations_total"),
    answers: await world.metric("aegis_batch_releases_total"),
    waitSeconds: await world.metric("aegis_batch_seconds_sum"),
  };
}
