// Which node should own a shard: rendezvous hashing. Pure; the same on every node that sees the same members.
// Decides only who should try: the fence decides who may write (GUARANTEES, rule 1).
import { createHash } from "node:crypto";
import type { NodeRecord, Shard } from "../store/store.ts";

/** A node that shards may be placed on. */
export type Taker = Pick<NodeRecord, "nodeId" | "tooNew">;

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

/**
 * The owner of every shard, in order. What is too new for a node goes to another; what is too new for all stays where
 * it would be otherwise, because its other actors can be served there (F23).
 */
export function placement(shardCount: number, takers: readonly Taker[]): (string | undefined)[] {
  const all = takers.map(({ nodeId }) => nodeId);
  const unfit = new Map<Shard, Set<string>>();
  for (const { nodeId, tooNew = [] } of takers) {
    for (const shard of tooNew) unfit.set(shard, (unfit.get(shard) ?? new Set()).add(nodeId));
  }
  return Array.from({ length: shardCount }, (_, shard) => {
    const fit = all.filter((nodeId) => unfit.get(shard)?.has(nodeId) !== true);
    return placedOn(shard, fit.length === 0 ? all : fit);
  });
}
