// `ordering` tracking can't rebuild ratchet trees, so those of epochs that are over stay as long as their
// Welcomes may be unread. One part tells of each, and its name alone says which goes next: the head stays small (L5). Pure.
import { decode, encode } from "../protocol/codec.ts";
import type { Directory, Effect } from "./effects.ts";
import { dropTree, slicesOf, type KeptTree, type NewTree } from "./group-trees.ts";

/** Trees of past epochs of one group, and their bytes in all: the oldest goes first. */
export const PAST_TREES_MAX = 10_000;
export const PAST_TREE_BYTES_MAX = 268_435_456;

export const PAST_TREE_PREFIX = "pastTree/";

/** What the head says of them. */
export interface PastTrees {
  readonly bytes: number;
  /** When the oldest may go; 0: there is none. */
  readonly endsAt: number;
}

export interface TreesOfHead {
  /** The present epoch's, where one was given. Older machines kept those of past epochs beside it. */
  readonly trees: readonly KeptTree[];
  /** Not in what older machines stored. */
  readonly pastTrees?: PastTrees;
}

/** What the head keeps from now on, and the writes that make it so. */
export interface TreeStep extends TreesOfHead {
  readonly effects: readonly Effect[];
}

interface NamedTree {
  readonly epoch: string;
  readonly keepUntil: number;
  readonly bytes: number;
}

export const NO_PAST_TREES: PastTrees = { bytes: 0, endsAt: 0 };

/** What the one part of this epoch's tree begins with. */
export function pastTreePrefix(epoch: string): string {
  return `${PAST_TREE_PREFIX}${epoch.padStart(20, "0")}/`;
}

/** The tree that a part tells of. */
export function pastTree(name: string, part: Uint8Array): KeptTree {
  const { treeHash } = decode(part) as { treeHash: string };
  return { ...parseName(name), treeHash, offset: 0 };
}

/**
 * An epoch has begun.
 * @param keepUntil somebody was welcomed into it: its tree stays until then although the group goes on
 */
export function beginTree(
  before: TreesOfHead,
  directory: Directory,
  epoch: string,
  tree: NewTree | undefined,
  keepUntil: number | undefined,
): TreeStep {
  const unread = before.trees.filter(isUnread);
  const aside = setAside(before.pastTrees ?? NO_PAST_TREES, directory, unread);
  const effects = before.trees.filter((old) => !isUnread(old)).flatMap(dropTree);
  effects.push(...aside.effects);
  if (tree === undefined) return { trees: [], pastTrees: aside.past, effects };
  effects.push(...slicesOf(epoch, tree.encoded));
  const { bytes, treeHash } = tree;
  const kept = { epoch, bytes, treeHash, offset: 0, ...(keepUntil === undefined ? {} : { keepUntil }) };
  return { trees: [kept], pastTrees: aside.past, effects };
}

/** Trees whose Welcomes have had their time go. */
export function expireTrees(before: TreesOfHead, directory: Directory, currentEpoch: string, now: number): TreeStep {
  const isPast = (tree: KeptTree): boolean => tree.epoch !== currentEpoch;
  const gone = dropOldest(before.pastTrees ?? NO_PAST_TREES, directory, ({ keepUntil }) => keepUntil <= now);
  const aside = setAside(gone.past, directory, before.trees.filter(isPast).filter(isUnread));
  const trees = before.trees.filter((tree) => !isPast(tree));
  return { trees, pastTrees: aside.past, effects: [...gone.effects, ...aside.effects] };
}

type UnreadTree = KeptTree & NamedTree;

function isUnread(tree: KeptTree): tree is UnreadTree {
  return tree.keepUntil !== undefined;
}

interface Moved {
  readonly past: PastTrees;
  readonly effects: readonly Effect[];
}

/** Trees of the head become past ones, and make room for themselves. */
function setAside(past: PastTrees, directory: Directory, coming: readonly UnreadTree[]): Moved {
  if (coming.length === 0) return { past, effects: [] };
  const come = coming.reduce((sum, tree) => sum + tree.bytes, 0);
  const isFull = (_: NamedTree, count: number, bytes: number): boolean =>
    count + coming.length > PAST_TREES_MAX || bytes + come > PAST_TREE_BYTES_MAX;
  const { past: staying, effects } = dropOldest(past, directory, isFull);
  const endsAt = staying.endsAt === 0 ? (coming[0]?.keepUntil ?? 0) : staying.endsAt;
  const told = coming.map((tree): Effect => {
    return { type: "putPart", name: nameOf(tree), bytes: encode({ treeHash: tree.treeHash }) };
  });
  return { past: { bytes: staying.bytes + come, endsAt }, effects: [...effects, ...told] };
}

/** From the oldest epoch on: after a retention that was narrowed, later ones may wait for it. */
function dropOldest(
  past: PastTrees,
  directory: Directory,
  mayGo: (oldest: NamedTree, count: number, bytes: number) => boolean,
): Moved {
  const effects: Effect[] = [];
  let count = directory.count(PAST_TREE_PREFIX);
  let { bytes } = past;
  let name = directory.first(PAST_TREE_PREFIX);
  while (name !== undefined) {
    const oldest = parseName(name);
    if (!mayGo(oldest, count, bytes)) return { past: { bytes, endsAt: oldest.keepUntil }, effects };
    effects.push({ type: "deletePart", name }, ...dropTree(oldest));
    count -= 1;
    bytes -= oldest.bytes;
    name = directory.first(PAST_TREE_PREFIX, `${name}/`);
  }
  return { past: NO_PAST_TREES, effects };
}

function nameOf({ epoch, keepUntil, bytes }: NamedTree): string {
  return `${pastTreePrefix(epoch)}${String(keepUntil).padStart(16, "0")}/${String(bytes)}`;
}

function parseName(name: string): NamedTree {
  const [, epoch = "", keepUntil, bytes] = name.split("/");
  return { epoch: String(BigInt(epoch)), keepUntil: Number(keepUntil), bytes: Number(bytes) };
}
