// The public half of a ratchet tree (RFC 9420 §4, §7): an immutable value. Every change makes a new
// tree that shares all untouched nodes, at a cost of O(log leaves). Judges nothing; holds no secret.
import type { LeafNode } from "../leaf-node.ts";
import type { Ciphersuite } from "../suites.ts";
import { newParentNode, parentHashOf, type ParentNode } from "./parent-node.ts";
import { blankOf, branch, halves, isLeaf, leafSlot, parentNodeOf, treeHashOf, type Subtree } from "./subtree.ts";
import type { TreeHasher } from "./tree-hasher.ts";

/** One step of a leaf's direct path: the inner node and its child beside the path. */
export interface PathStep {
  readonly level: number;
  readonly parentNode: ParentNode | undefined;
  readonly copath: Subtree;
  readonly copathFirstLeaf: number;
}

export class PublicTree {
  readonly root: Subtree;
  readonly hasher: TreeHasher;

  constructor(root: Subtree, hasher: TreeHasher) {
    this.root = root;
    this.hasher = hasher;
  }

  get ciphersuite(): Ciphersuite {
    return this.hasher.ciphersuite;
  }

  /** Leaves, blank ones included: a power of two. */
  get leafCount(): number {
    return 2 ** this.root.level;
  }

  /** Leaves that are not blank. */
  get memberCount(): number {
    return this.root.occupied;
  }

  treeHash(): Uint8Array {
    return this.hasher.bytesOf(treeHashOf(this.root, 0, this.hasher));
  }

  /** Undefined where the leaf is blank or beyond the tree. */
  leaf(leafIndex: number): LeafNode | undefined {
    if (!this.#holds(leafIndex)) return undefined;
    let subtree = this.root;
    while (!isLeaf(subtree)) {
      if (subtree.occupied === 0) return undefined;
      subtree = halves(subtree)[bitAt(leafIndex, subtree.level - 1)];
    }
    return subtree.leafNode;
  }

  /** Members in order of their leaf index, from `from` on. */
  *members(from = 0): Generator<readonly [leafIndex: number, leafNode: LeafNode]> {
    const pending: { readonly subtree: Subtree; readonly firstLeaf: number }[] = [{ subtree: this.root, firstLeaf: 0 }];
    for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
      const { subtree, firstLeaf } = next;
      if (subtree.occupied === 0 || firstLeaf + 2 ** subtree.level <= from) continue;
      if (isLeaf(subtree)) {
        if (subtree.leafNode !== undefined) yield [firstLeaf, subtree.leafNode];
        continue;
      }
      const [left, right] = halves(subtree);
      pending.push({ subtree: right, firstLeaf: firstLeaf + 2 ** right.level }, { subtree: left, firstLeaf });
    }
  }

  /** The leaf that an Add fills next; equals `leafCount` when the tree must be extended first. */
  firstBlankLeaf(): number {
    if (this.memberCount === this.leafCount) return this.leafCount;
    let subtree = this.root;
    let firstLeaf = 0;
    while (!isLeaf(subtree)) {
      const [left, right]: readonly [Subtree, Subtree] = halves(subtree);
      const full = left.occupied === 2 ** left.level;
      if (full) firstLeaf += 2 ** left.level;
      subtree = full ? right : left;
    }
    return firstLeaf;
  }

  /** The inner nodes above a leaf, the nearest first. */
  directPath(leafIndex: number): PathStep[] {
    const steps: PathStep[] = [];
    let subtree = this.root;
    let firstLeaf = 0;
    while (!isLeaf(subtree)) {
      const children: readonly [Subtree, Subtree] = halves(subtree);
      const side = bitAt(leafIndex, subtree.level - 1);
      const half = 2 ** (subtree.level - 1);
      const copathFirstLeaf = side === 1 ? firstLeaf : firstLeaf + half;
      const copath = children[side === 1 ? 0 : 1];
      steps.push({ level: subtree.level, parentNode: parentNodeOf(subtree), copath, copathFirstLeaf });
      if (side === 1) firstLeaf += half;
      subtree = children[side];
    }
    return steps.reverse();
  }

  /** §4.1.2: the direct path without the nodes whose copath child has an empty resolution. */
  filteredDirectPath(leafIndex: number): PathStep[] {
    return this.directPath(leafIndex).filter((step) => step.copath.resolutionSize > 0);
  }

  /** Adds a leaf node at the leftmost blank leaf (§12.1.1), extending the tree when there is none. */
  add(leafNode: LeafNode): { readonly tree: PublicTree; readonly leafIndex: number } {
    const leafIndex = this.firstBlankLeaf();
    const base = this.withRoomFor(leafIndex);
    const root = replaceLeaf(base.root, leafIndex, leafNode, (parent) => parent?.withUnmergedLeaf(leafIndex));
    return { tree: new PublicTree(root, this.hasher), leafIndex };
  }

  /** Replaces a leaf node, or blanks it, and blanks its direct path (§12.1.2, §12.1.3). Does not truncate. */
  replace(leafIndex: number, leafNode: LeafNode | undefined): PublicTree {
    return new PublicTree(
      replaceLeaf(this.root, leafIndex, leafNode, () => undefined),
      this.hasher,
    );
  }

  /** Drops right halves until there is a member in the right half (§7.7). */
  truncated(): PublicTree {
    let root = this.root;
    while (!isLeaf(root)) {
      const [left, right]: readonly [Subtree, Subtree] = halves(root);
      if (right.occupied > 0) break;
      root = left;
    }
    return root === this.root ? this : new PublicTree(root, this.hasher);
  }

  /**
   * Merges an UpdatePath (§7.5): the sender's direct path is blanked, the nodes of its filtered direct
   * path get `encryptionKeys`, nearest to the leaf first. Also answers the parent hash that the leaf
   * node must carry (empty when the path has no nodes).
   * @throws RangeError when the keys are not as many as the nodes of the filtered direct path
   */
  mergePath(
    leafIndex: number,
    leafNode: LeafNode,
    encryptionKeys: readonly Uint8Array[],
  ): { readonly tree: PublicTree; readonly leafParentHash: Uint8Array } {
    const path = this.filteredDirectPath(leafIndex);
    if (path.length !== encryptionKeys.length) throw new RangeError("a path of another length");
    const nodes = new Map<number, ParentNode>();
    let parentHash: Uint8Array = new Uint8Array(0);
    for (let at = path.length - 1; at >= 0; at--) {
      const { level, copath, copathFirstLeaf } = path[at] as PathStep;
      const node = newParentNode(encryptionKeys[at] as Uint8Array, parentHash);
      nodes.set(level, node);
      const siblingHash = this.hasher.bytesOf(treeHashOf(copath, copathFirstLeaf, this.hasher));
      parentHash = parentHashOf(this.ciphersuite, node, siblingHash);
    }
    const root = replaceLeaf(this.root, leafIndex, leafNode, (_, level) => nodes.get(level));
    return { tree: new PublicTree(root, this.hasher), leafParentHash: parentHash };
  }

  /** Extends the tree to the right until it has that leaf (§7.7). */
  withRoomFor(leafIndex: number): PublicTree {
    let root = this.root;
    while (leafIndex >= 2 ** root.level) root = branch(undefined, root, blankOf(root.level));
    return root === this.root ? this : new PublicTree(root, this.hasher);
  }

  #holds(leafIndex: number): boolean {
    return Number.isInteger(leafIndex) && leafIndex >= 0 && leafIndex < this.leafCount;
  }
}

function bitAt(value: number, bit: number): 0 | 1 {
  return Math.floor(value / 2 ** bit) % 2 === 1 ? 1 : 0;
}

/** Copies the path to a leaf; `parentAt` gives the inner nodes on it anew. Recursion is as deep as the tree. */
function replaceLeaf(
  subtree: Subtree,
  leafIndex: number,
  leafNode: LeafNode | undefined,
  parentAt: (before: ParentNode | undefined, level: number) => ParentNode | undefined,
): Subtree {
  if (isLeaf(subtree)) return leafSlot(leafNode);
  const [left, right] = halves(subtree);
  const parentNode = parentAt(parentNodeOf(subtree), subtree.level);
  return bitAt(leafIndex, subtree.level - 1) === 1
    ? branch(parentNode, left, replaceLeaf(right, leafIndex, leafNode, parentAt))
    : branch(parentNode, replaceLeaf(left, leafIndex, leafNode, parentAt), right);
}
