// Judges a whole public tree as a joiner would (RFC 9420 §12.4.3.1): unmerged leaves, keys, parent hashes.
// O(leaves · log leaves): for group.create, in steps (PROTOCOL M9). Leaf nodes'
// own validity and signatures are judged elsewhere.
import { Judge, type MlsRefusal } from "../rules.ts";
import { equalBytes, isHpkeKey } from "../suites.ts";
import { countWithin, firstAtLeast, parentHashOf, type ParentNode } from "./parent-node.ts";
import type { PublicTree } from "./public-tree.ts";
import { resolutionOf } from "./resolution.ts";
import { halves, isBranch, isLeaf, treeHashOf, type Branch, type Subtree } from "./subtree.ts";
import type { TreeHasher } from "./tree-hasher.ts";
import type { LeafNode } from "../leaf-node.ts";
import { finish, UNITS_PER_STEP, type Work } from "../work.ts";

const NO_LEAVES: readonly number[] = [];

/** Undefined when the tree's structure is valid. */
export function validateTreeStructure(tree: PublicTree, judge: Judge = new Judge()): MlsRefusal | undefined {
  return finish(validateTreeWork(tree, judge));
}

/** `validateTreeStructure` as work in steps. */
export function* validateTreeWork(tree: PublicTree, judge: Judge): Work<MlsRefusal | undefined> {
  yield* hashTreeWork(tree);
  return (
    judge.when(!(yield* hasValidUnmergedLeaves(tree.root, 0, NO_LEAVES)), "UNMERGED_LEAVES") ??
    (yield* validateKeys(tree, judge)) ??
    (yield* validateParentHashes(tree, judge))
  );
}

/** Computes the hashes of all nodes, which are then remembered. */
export function* hashTreeWork(tree: PublicTree): Work<Uint8Array> {
  const pending: Place[] = [{ subtree: tree.root, firstLeaf: 0 }];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const { subtree, firstLeaf } = next;
    if (isBranch(subtree) && 2 ** subtree.level > UNITS_PER_STEP) {
      pending.push({ subtree: subtree.left, firstLeaf });
      pending.push({ subtree: subtree.right, firstLeaf: firstLeaf + 2 ** (subtree.level - 1) });
      continue;
    }
    if (!isLeaf(subtree) && !isBranch(subtree)) yield* tree.hasher.blankWork(subtree.level, firstLeaf);
    treeHashOf(subtree, firstLeaf, tree.hasher);
    yield;
  }
  return tree.treeHash();
}

/**
 * §12.4.3.1: each entry is a member below its node, and every node between them that is not blank has
 * it too. `inherited` is the list of the nearest node above, restricted to this subtree.
 */
function* hasValidUnmergedLeaves(subtree: Subtree, firstLeaf: number, inherited: readonly number[]): Work<boolean> {
  if (isLeaf(subtree)) return inherited.length === 0 || subtree.leafNode !== undefined;
  const own = isBranch(subtree) ? subtree.parentNode?.unmergedLeaves : undefined;
  if (own !== undefined) {
    if (countWithin(own, firstLeaf, firstLeaf + 2 ** subtree.level) !== own.length) return false;
    if (!includesAll(own, inherited)) return false;
  }
  const leaves = own ?? inherited;
  if (subtree.resolutionSize === 0 && leaves.length === 0) return true;
  const [left, right] = halves(subtree);
  const middle = firstLeaf + 2 ** left.level;
  const split = firstAtLeast(leaves, middle);
  if (2 ** subtree.level === UNITS_PER_STEP) yield;
  return (
    (yield* hasValidUnmergedLeaves(left, firstLeaf, leaves.slice(0, split))) &&
    (yield* hasValidUnmergedLeaves(right, middle, leaves.slice(split)))
  );
}

/** Both rising. */
function includesAll(list: readonly number[], wanted: readonly number[]): boolean {
  return wanted.every((leaf) => list[firstAtLeast(list, leaf)] === leaf);
}

/** §12.4.3.1, §7.3: no encryption key stands twice in the tree, no signature key at two leaves. */
function* validateKeys(tree: PublicTree, judge: Judge): Work<MlsRefusal | undefined> {
  const encryptionKeys = new Set<string>();
  const signatureKeys = new Set<string>();
  let units = 0;
  for (const { node } of nodesOf(tree.root)) {
    if (++units % UNITS_PER_STEP === 0) yield;
    const key = keyText(node.encryptionKey);
    const isLeafNode = "signatureKey" in node;
    const signatureKey = isLeafNode ? keyText(node.signatureKey) : undefined;
    const refusal =
      judge.when(encryptionKeys.has(key), "ENCRYPTION_KEY_UNIQUE") ??
      judge.when(signatureKey !== undefined && signatureKeys.has(signatureKey), "SIGNATURE_KEY_UNIQUE") ??
      judge.when(!isLeafNode && !isHpkeKey(tree.ciphersuite, node.encryptionKey), "PARENT_KEYS");
    if (refusal !== undefined) return refusal;
    encryptionKeys.add(key);
    if (signatureKey !== undefined) signatureKeys.add(signatureKey);
  }
  return undefined;
}

/** §7.9.2: each parent node is chained to exactly one node below it. */
function* validateParentHashes(tree: PublicTree, judge: Judge): Work<MlsRefusal | undefined> {
  let units = 0;
  for (const { subtree, firstLeaf } of nodesOf(tree.root)) {
    if (isLeaf(subtree)) continue;
    if (++units % UNITS_PER_STEP === 0) yield;
    const node = subtree.parentNode as ParentNode;
    const half = 2 ** (subtree.level - 1);
    const left = { subtree: subtree.left, firstLeaf };
    const right = { subtree: subtree.right, firstLeaf: firstLeaf + half };
    const chained = [chains(tree, node, left, right), chains(tree, node, right, left)].filter(Boolean).length;
    const refusal = judge.when(
      chained !== 1,
      "PARENT_HASH",
      `node ${2 * (firstLeaf + half) - 1} is not parent-hash valid`,
    );
    if (refusal !== undefined) return refusal;
  }
  return undefined;
}

interface Place {
  readonly subtree: Subtree;
  readonly firstLeaf: number;
}

/** Whether a node below `child` carries the parent hash of `parent` with copath child `sibling`. */
function chains(tree: PublicTree, parent: ParentNode, child: Place, sibling: Place): boolean {
  const childEnd = child.firstLeaf + 2 ** child.subtree.level;
  const unmergedBelow = countWithin(parent.unmergedLeaves, child.firstLeaf, childEnd);
  // The resolution without that node equals the unmerged leaves below: so it is larger by one.
  if (child.subtree.resolutionSize !== unmergedBelow + 1) return false;
  const unmerged = new Set(parent.unmergedLeaves);
  const others = resolutionOf(child.subtree, child.firstLeaf).filter(
    ({ nodeIndex }) => nodeIndex % 2 === 1 || !unmerged.has(nodeIndex / 2),
  );
  const [only] = others;
  if (others.length !== 1 || only?.node?.parentHash === undefined) return false;
  const siblingHash = originalTreeHash(
    sibling.subtree,
    sibling.firstLeaf,
    parent.unmergedLeaves,
    unmerged,
    tree.hasher,
  );
  return equalBytes(only.node.parentHash, parentHashOf(tree.ciphersuite, parent, tree.hasher.bytesOf(siblingHash)));
}

/** §7.9: the tree hash as if the given leaves had never been added. */
function originalTreeHash(
  subtree: Subtree,
  firstLeaf: number,
  removed: readonly number[],
  removedSet: ReadonlySet<number>,
  hasher: TreeHasher,
): string {
  if (countWithin(removed, firstLeaf, firstLeaf + 2 ** subtree.level) === 0) {
    return treeHashOf(subtree, firstLeaf, hasher);
  }
  if (isLeaf(subtree)) return hasher.leaf(firstLeaf, undefined);
  const [left, right] = halves(subtree);
  const node = isBranch(subtree) ? subtree.parentNode : undefined;
  return hasher.parent(
    node?.withoutUnmergedLeaves(removedSet).encode(),
    originalTreeHash(left, firstLeaf, removed, removedSet, hasher),
    originalTreeHash(right, firstLeaf + 2 ** left.level, removed, removedSet, hasher),
  );
}

type FilledNode =
  | { readonly subtree: Extract<Subtree, { level: 0 }>; readonly firstLeaf: number; readonly node: LeafNode }
  | { readonly subtree: Branch; readonly firstLeaf: number; readonly node: ParentNode };

/** All nodes that are not blank, parents before what is below them. */
export function* nodesOf(root: Subtree): Generator<FilledNode> {
  const pending: Place[] = [{ subtree: root, firstLeaf: 0 }];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const { subtree, firstLeaf } = next;
    if (isLeaf(subtree)) {
      if (subtree.leafNode !== undefined) yield { subtree, firstLeaf, node: subtree.leafNode };
      continue;
    }
    if (!isBranch(subtree)) continue;
    if (subtree.parentNode !== undefined) yield { subtree, firstLeaf, node: subtree.parentNode };
    pending.push({ subtree: subtree.right, firstLeaf: firstLeaf + 2 ** (subtree.level - 1) });
    pending.push({ subtree: subtree.left, firstLeaf });
  }
}

function keyText(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.length).toString("latin1");
}
