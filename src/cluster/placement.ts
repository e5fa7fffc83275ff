// Which node should own a shard: rendezvous hashing. Pure; the same on every node that sees the same members.
// Decides only who should try: the fence decides who may write (GUARANTEES, rule 1).
import { createHash } from "node:crypto";
import type { Shard } from "../store/store.ts";

/** @returns undefined when there are no nodes. A node that comes or goes moves only its own share. */
export function placedOn(shard: Shard, nodeIds: readonly string[]): string | undefined {
  let best: string | undefined;
  let bestWeight = "";
  for (const nodeId of nodeIds) {
    const weight = createHash("sha256")
      .update(`${String(shard)} ${nodeId}`)
      .digest("hex");
    if (best === undefined || weight > bestWeight) [best, bestWeight] = [nodeId, weight];
  }
  return best;
}

/** The owner of every shard, in order. */
export function placement(shardCount: number, nodeIds: readonly string[]): (string | undefined)[] {
  return Array.from({ length: shardCount }, (_, shard) => placedOn(shard, nodeIds));
}
