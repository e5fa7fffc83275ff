// Resolutions (RFC 9420 §4.1.1): the nodes that together cover the members below a node.
import type { LeafNode } from "../leaf-node.ts";
import type { ParentNode } from "./parent-node.ts";
import { halves, isBranch, isLeaf, type Subtree } from "./subtree.ts";

export interface ResolvedNode {
  /** Position in the array form of the tree (appendix C). */
  readonly nodeIndex: number;
  /** Undefined for unmerged leaves of a parent node above them that are named only by their index. */
  readonly node: LeafNode | ParentNode | undefined;
}

/** In the RFC's order. Costs O(level) for each node of the answer. */
export function resolutionOf(subtree: Subtree, firstLeaf: number): ResolvedNode[] {
  const resolution: ResolvedNode[] = [];
  const pending = [{ subtree, firstLeaf }];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    if (next.subtree.resolutionSize === 0) continue;
    if (isLeaf(next.subtree)) {
      resolution.push({ nodeIndex: 2 * next.firstLeaf, node: next.subtree.leafNode });
      continue;
    }
    const half = 2 ** (next.subtree.level - 1);
    if (isBranch(next.subtree) && next.subtree.parentNode !== undefined) {
      const { parentNode } = next.subtree;
      resolution.push({ nodeIndex: 2 * (next.firstLeaf + half) - 1, node: parentNode });
      for (const leaf of parentNode.unmergedLeaves) resolution.push({ nodeIndex: 2 * leaf, node: undefined });
      continue;
    }
    const [left, right] = halves(next.subtree);
    pending.push({ subtree: right, firstLeaf: next.firstLeaf + half }, { subtree: left, firstLeaf: next.firstLeaf });
  }
  return resolution;
}
