// How a group keeps ratchet trees: in slices, so that reading a piece never reads the whole. And which snapshots it keeps
// in `full` tracking (past-trees.ts for `ordering`). Pure.
import { encode } from "../protocol/codec.ts";
import type { Effect } from "./effects.ts";

/** Bytes of one stored slice of a tree. */
export const TREE_SLICE_BYTES = 262_144;
/** Snapshots kept at most. */
const SNAPSHOTS_MAX = 16;

export interface KeptTree {
  readonly epoch: string;
  readonly bytes: number;
  /** Base64 of the tree hash. */
  readonly treeHash: string;
  /** Offset of the log up to which this tree has everything in it: replay begins behind it. */
  readonly offset: number;
  /** Somebody was welcomed into this epoch: kept until then although the group went on. */
  readonly keepUntil?: number;
}

export interface NewTree {
  readonly encoded: Uint8Array;
  readonly treeHash: string;
  readonly bytes: number;
  readonly members: number;
}

/** In `full` tracking a tree is kept with what else it takes to follow on from its epoch. */
export interface NewSnapshot extends NewTree {
  readonly groupContext: Uint8Array;
  readonly confirmationTag: Uint8Array;
}

/** Part that holds a snapshot's context and confirmation tag. */
export function snapshotPart(epoch: string): string {
  return `state/${epoch.padStart(20, "0")}`;
}

export function treeSlicePart(epoch: string, slice: number): string {
  return `tree/${epoch.padStart(20, "0")}/${String(slice).padStart(6, "0")}`;
}

/**
 * `full` tracking: the log is the journal, so a tree is stored now and then only. The newest stays, and
 * for as long as Welcomes may be unread those before it from which their epochs can be replayed.
 */
export function snapshotEffects(
  kept: readonly KeptTree[],
  epoch: string,
  offset: number,
  { groupContext, confirmationTag, ...tree }: NewSnapshot,
  now: number,
): { readonly trees: readonly KeptTree[]; readonly effects: readonly Effect[] } {
  const { bytes, treeHash } = tree;
  const waited = kept.filter(({ keepUntil = 0 }) => keepUntil > now);
  const trees = [...waited, { epoch, bytes, treeHash, offset }];
  while (trees.length > SNAPSHOTS_MAX) thin(trees);
  const staying = new Set(trees.map((tree) => tree.epoch));
  const effects = kept.filter((old) => !staying.has(old.epoch)).flatMap(dropSnapshot);
  effects.push(...slicesOf(epoch, tree.encoded));
  effects.push({ type: "putPart", name: snapshotPart(epoch), bytes: encode({ groupContext, confirmationTag }) });
  return { trees, effects };
}

/**
 * One between only shortens the way: its epochs are replayed from the one before it, which stays as long as they need it.
 * The log is kept from the oldest on, so that one stays no longer; of the others those go together that end most closely.
 */
function thin(trees: KeptTree[]): void {
  const keepUntil = (n: number): number => trees[n]?.keepUntil ?? 0;
  const spread = (n: number): number => keepUntil(n) - keepUntil(n - 2);
  let dropped = 2;
  for (let n = 3; n < trees.length - 1; n += 1) if (spread(n) < spread(dropped)) dropped = n;
  const before = trees[dropped - 1] as KeptTree;
  trees.splice(dropped - 1, 2, { ...before, keepUntil: Math.max(keepUntil(dropped - 1), keepUntil(dropped)) });
}

/** A Welcome into the present epoch may be unread until then: the newest snapshot leads there. */
export function keepNewest(kept: readonly KeptTree[], keepUntil: number): readonly KeptTree[] {
  return kept.map((tree, n) => (n === kept.length - 1 ? { ...tree, keepUntil } : tree));
}

/** `full` tracking: the log is kept from here on. */
export function replayFrom(kept: readonly KeptTree[]): number {
  return Math.min(...kept.map(({ offset }) => offset)) + 1;
}

/** Snapshots whose Welcomes have had their time go; the newest never does. */
export function expireSnapshots(
  kept: readonly KeptTree[],
  now: number,
): { readonly trees: readonly KeptTree[]; readonly effects: readonly Effect[] } {
  const over = (tree: KeptTree): boolean => tree !== kept.at(-1) && (tree.keepUntil ?? 0) <= now;
  return { trees: kept.filter((tree) => !over(tree)), effects: kept.filter(over).flatMap(dropSnapshot) };
}

export function slicesOf(epoch: string, encoded: Uint8Array): Effect[] {
  return Array.from({ length: Math.ceil(encoded.length / TREE_SLICE_BYTES) }, (_, slice) => ({
    type: "putPart",
    name: treeSlicePart(epoch, slice),
    bytes: encoded.subarray(slice * TREE_SLICE_BYTES, (slice + 1) * TREE_SLICE_BYTES),
  }));
}

function dropSnapshot(tree: KeptTree): Effect[] {
  return [...dropTree(tree), { type: "deletePart", name: snapshotPart(tree.epoch) }];
}

export function dropTree({ epoch, bytes }: Pick<KeptTree, "epoch" | "bytes">): Effect[] {
  const slices = Math.ceil(bytes / TREE_SLICE_BYTES);
  return Array.from({ length: slices }, (_, slice) => ({ type: "deletePart", name: treeSlicePart(epoch, slice) }));
}
