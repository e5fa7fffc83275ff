// Which ratchet trees a group keeps: the current one, and for as long as Welcomes may be unread those of
// earlier epochs. Kept in slices, so that reading a piece never reads the whole. Pure.
import type { Effect } from "./effects.ts";

/** Bytes of one stored slice of a tree. */
export const TREE_SLICE_BYTES = 262_144;
/** Trees of earlier epochs that are kept at most; the oldest goes first. */
const TREES_MAX = 16;

export interface KeptTree {
  readonly epoch: string;
  readonly bytes: number;
  /** Base64 of the tree hash. */
  readonly treeHash: string;
  /** Somebody was welcomed into this epoch: kept until then although the group went on. */
  readonly keepUntil?: number;
}

export interface NewTree {
  readonly encoded: Uint8Array;
  readonly treeHash: string;
  readonly bytes: number;
  readonly members: number;
}

export function treeSlicePart(epoch: string, slice: number): string {
  return `tree/${epoch.padStart(20, "0")}/${String(slice).padStart(6, "0")}`;
}

/** The trees kept once `epoch` has begun, and the writes that make it so. */
export function treeEffects(
  kept: readonly KeptTree[],
  epoch: string,
  tree: NewTree | undefined,
  welcomed: boolean,
  keepUntil: number,
): { readonly trees: readonly KeptTree[]; readonly effects: readonly Effect[] } {
  const earlier = kept.filter((old) => old.keepUntil !== undefined);
  const trees = tree === undefined ? earlier : [...earlier, keptTree(epoch, tree, welcomed, keepUntil)];
  const staying = new Set(trees.slice(-TREES_MAX));
  const effects = kept.filter((old) => !staying.has(old)).flatMap(dropTree);
  if (tree !== undefined) {
    for (let slice = 0; slice * TREE_SLICE_BYTES < tree.encoded.length; slice += 1) {
      const bytes = tree.encoded.slice(slice * TREE_SLICE_BYTES, (slice + 1) * TREE_SLICE_BYTES);
      effects.push({ type: "putPart", name: treeSlicePart(epoch, slice), bytes });
    }
  }
  return { trees: [...staying], effects };
}

/** Trees whose Welcomes have had their time go. */
export function expireTrees(
  kept: readonly KeptTree[],
  currentEpoch: string,
  now: number,
): { readonly trees: readonly KeptTree[]; readonly effects: readonly Effect[] } {
  const over = (tree: KeptTree): boolean =>
    tree.epoch !== currentEpoch && tree.keepUntil !== undefined && tree.keepUntil <= now;
  return { trees: kept.filter((tree) => !over(tree)), effects: kept.filter(over).flatMap(dropTree) };
}

function keptTree(epoch: string, tree: NewTree, welcomed: boolean, keepUntil: number): KeptTree {
  const { bytes, treeHash } = tree;
  return { epoch, bytes, treeHash, ...(welcomed ? { keepUntil } : {}) };
}

function dropTree({ epoch, bytes }: KeptTree): Effect[] {
  const slices = Math.ceil(bytes / TREE_SLICE_BYTES);
  return Array.from({ length: slices }, (_, slice) => ({ type: "deletePart", name: treeSlicePart(epoch, slice) }));
}
