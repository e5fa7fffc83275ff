// The persistent nodes of a ratchet tree: never changed once made (but for inner nodes' remembered hash),
// shared between epochs, so that a commit copies one path and a refused one leaves nothing behind.
import type { LeafNode } from "../leaf-node.ts";
import type { ParentNode } from "./parent-node.ts";
import type { TreeHasher } from "./tree-hasher.ts";

/** A leaf. There is one a member: what follows from its node is not kept, its hash neither. */
export class LeafSlot {
  readonly leafNode: LeafNode | undefined;

  constructor(leafNode: LeafNode | undefined) {
    this.leafNode = leafNode;
  }

  get level(): 0 {
    return 0;
  }

  get occupied(): number {
    return this.leafNode === undefined ? 0 : 1;
  }

  get resolutionSize(): number {
    return this.occupied;
  }

  get encodedSize(): number {
    return this.leafNode === undefined ? 1 : 2 + this.leafNode.size;
  }
}

/** An inner node with its two halves. */
export interface Branch {
  readonly level: number;
  readonly parentNode: ParentNode | undefined;
  readonly left: Subtree;
  readonly right: Subtree;
  /** Leaves below that are not blank. */
  readonly occupied: number;
  /** Nodes in the resolution (§4.1.1). */
  readonly resolutionSize: number;
  /** Bytes of the nodes below and of this one in a ratchet_tree. */
  readonly encodedSize: number;
  treeHash: string | undefined;
}

/** Two or more leaves without anything in them; its halves are made when asked for. */
export interface BlankSubtree {
  readonly level: number;
  readonly blank: true;
  readonly occupied: 0;
  readonly resolutionSize: 0;
  readonly encodedSize: number;
}

export type Subtree = LeafSlot | Branch | BlankSubtree;

export function isLeaf(subtree: Subtree): subtree is LeafSlot {
  return subtree instanceof LeafSlot;
}

export function isBranch(subtree: Subtree): subtree is Branch {
  return "left" in subtree;
}

const BLANK_LEAF = new LeafSlot(undefined);

export function leafSlot(leafNode: LeafNode | undefined): LeafSlot {
  return leafNode === undefined ? BLANK_LEAF : new LeafSlot(leafNode);
}

export function branch(parentNode: ParentNode | undefined, left: Subtree, right: Subtree): Branch | BlankSubtree {
  const ownSize = parentNode === undefined ? 1 : 2 + parentNode.encodedSize;
  const occupied = left.occupied + right.occupied;
  if (parentNode === undefined && occupied === 0 && left.resolutionSize + right.resolutionSize === 0) {
    return blankSubtree(left.level + 1);
  }
  return {
    level: left.level + 1,
    parentNode,
    left,
    right,
    occupied,
    resolutionSize:
      parentNode === undefined ? left.resolutionSize + right.resolutionSize : 1 + parentNode.unmergedLeaves.length,
    encodedSize: ownSize + left.encodedSize + right.encodedSize,
    treeHash: undefined,
  };
}

/** @param level at least 1 */
export function blankSubtree(level: number): BlankSubtree {
  return { level, blank: true, occupied: 0, resolutionSize: 0, encodedSize: 2 ** (level + 1) - 1 };
}

export function blankOf(level: number): LeafSlot | BlankSubtree {
  return level === 0 ? leafSlot(undefined) : blankSubtree(level);
}

/** The two halves of an inner node. */
export function halves(subtree: Branch | BlankSubtree): readonly [Subtree, Subtree] {
  if (isBranch(subtree)) return [subtree.left, subtree.right];
  return [blankOf(subtree.level - 1), blankOf(subtree.level - 1)];
}

export function parentNodeOf(subtree: Subtree): ParentNode | undefined {
  return isBranch(subtree) ? subtree.parentNode : undefined;
}

/** The tree hash, computed at most once an inner node. Recursion is as deep as the tree: at most 32. */
export function treeHashOf(subtree: Subtree, firstLeaf: number, hasher: TreeHasher): string {
  if (isLeaf(subtree)) return hasher.leaf(firstLeaf, subtree.leafNode?.bytes);
  if (!isBranch(subtree)) return hasher.blank(subtree.level, firstLeaf);
  return (subtree.treeHash ??= hasher.parent(
    subtree.parentNode?.encode(),
    treeHashOf(subtree.left, firstLeaf, hasher),
    treeHashOf(subtree.right, firstLeaf + 2 ** (subtree.level - 1), hasher),
  ));
}
