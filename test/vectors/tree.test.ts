// tree-math, tree-validation and tree-operations vectors against the public ratchet tree.
import { describe, expect, it } from "vitest";
import { Reader } from "../../src/mls/codec/reader.ts";
import { readProposal } from "../../src/mls/proposal.ts";
import { encodeRatchetTree, encodeTreeSlice, encodedTreeSize, readRatchetTree } from "../../src/mls/ratchet-tree.ts";
import type { Ciphersuite } from "../../src/mls/suites.ts";
import { PublicTree } from "../../src/mls/tree/public-tree.ts";
import { resolutionOf } from "../../src/mls/tree/resolution.ts";
import { blankOf, halves, isLeaf, treeHashOf, type Subtree } from "../../src/mls/tree/subtree.ts";
import { validateTreeStructure } from "../../src/mls/tree/validate-tree.ts";
import { TreeHasher } from "../../src/mls/tree/tree-hasher.ts";
import { bytesOf, hexOf, readVectors, vectorsAbsentNote, vectorsPresent } from "../support/vectors.ts";

interface TreeMathCase {
  n_leaves: number;
  n_nodes: number;
  root: number;
  left: (number | null)[];
  right: (number | null)[];
  parent: (number | null)[];
  sibling: (number | null)[];
}
interface TreeValidationCase {
  cipher_suite: Ciphersuite;
  tree: string;
  group_id: string;
  tree_hashes: string[];
  resolutions: number[][];
}
interface TreeOperationCase {
  cipher_suite: Ciphersuite;
  proposal: string;
  proposal_sender: number;
  tree_after: string;
  tree_before: string;
  tree_hash_after: string;
  tree_hash_before: string;
}

interface Placed {
  readonly subtree: Subtree;
  readonly firstLeaf: number;
  readonly parent: number | null;
}

/** Every node of a tree by its array position. */
function placedNodes(root: Subtree): Map<number, Placed> {
  const placed = new Map<number, Placed>();
  const visit = (subtree: Subtree, firstLeaf: number, parent: number | null): void => {
    const at = positionOf(subtree, firstLeaf);
    placed.set(at, { subtree, firstLeaf, parent });
    if (isLeaf(subtree)) return;
    const [left, right] = halves(subtree);
    visit(left, firstLeaf, at);
    visit(right, firstLeaf + 2 ** left.level, at);
  };
  visit(root, 0, null);
  return placed;
}

function positionOf(subtree: Subtree, firstLeaf: number): number {
  return 2 * firstLeaf + 2 ** subtree.level - 1;
}

function decodedTree(hex: string, ciphersuite: Ciphersuite): PublicTree {
  const decoded = readRatchetTree(bytesOf(hex), ciphersuite);
  if (decoded.kind === "malformed") throw new Error(decoded.why);
  return decoded.value;
}

describe.skipIf(!vectorsPresent)(`tree-math.json${vectorsAbsentNote}`, () => {
  const cases = vectorsPresent ? readVectors<TreeMathCase[]>("tree-math.json") : [];
  it.each(cases.map((test) => [test.n_leaves, test] as const))("shapes a tree of %i leaves", (leaves, test) => {
    const level = Math.log2(leaves);
    const root = blankOf(level);
    const placed = placedNodes(root);
    expect(placed.size).toBe(test.n_nodes);
    expect(positionOf(root, 0)).toBe(test.root);
    for (let at = 0; at < test.n_nodes; at++) {
      const { subtree, firstLeaf, parent } = placed.get(at) as Placed;
      const children = isLeaf(subtree)
        ? [null, null]
        : [
            positionOf(halves(subtree)[0], firstLeaf),
            positionOf(halves(subtree)[1], firstLeaf + 2 ** (subtree.level - 1)),
          ];
      expect(children).toEqual([test.left[at], test.right[at]]);
      expect(parent).toBe(test.parent[at]);
      const sibling = parent === null ? null : [test.left[parent], test.right[parent]].find((child) => child !== at);
      expect(sibling).toBe(test.sibling[at]);
    }
  });
});

describe.skipIf(!vectorsPresent)(`tree-validation.json${vectorsAbsentNote}`, () => {
  const cases = vectorsPresent ? readVectors<TreeValidationCase[]>("tree-validation.json") : [];
  it.each(cases.map((test, at) => [at, test.cipher_suite, test] as const))(
    "validates tree %i (suite %i)",
    async (_, ciphersuite, test) => {
      const tree = decodedTree(test.tree, ciphersuite);
      const placed = placedNodes(tree.root);
      expect(placed.size).toBe(test.tree_hashes.length);
      for (const [at, { subtree, firstLeaf }] of placed) {
        const treeHash = tree.hasher.bytesOf(treeHashOf(subtree, firstLeaf, tree.hasher));
        expect(hexOf(treeHash)).toBe(test.tree_hashes[at]);
        const resolution = resolutionOf(subtree, firstLeaf).map(({ nodeIndex }) => nodeIndex);
        expect(resolution).toEqual(test.resolutions[at]);
        expect(subtree.resolutionSize).toBe(resolution.length);
      }
      expect(validateTreeStructure(tree)).toBeUndefined();
      const groupId = bytesOf(test.group_id);
      for (const [leafIndex, leafNode] of tree.members()) {
        expect(await leafNode.verifySignature(ciphersuite, { groupId, leafIndex })).toBe(true);
      }
      expect(hexOf(encodeRatchetTree(tree))).toBe(test.tree);
      expect(encodedTreeSize(tree)).toBe(test.tree.length / 2);
      const slices: string[] = [];
      for (let from = 0; from < encodedTreeSize(tree); from += 777)
        slices.push(hexOf(encodeTreeSlice(tree, from, 777)));
      expect(slices.join("")).toBe(test.tree);
    },
  );
});

describe.skipIf(!vectorsPresent)(`tree-operations.json${vectorsAbsentNote}`, () => {
  const cases = vectorsPresent ? readVectors<TreeOperationCase[]>("tree-operations.json") : [];
  it.each(cases.map((test, at) => [at, test] as const))("applies the proposal of case %i", (_, test) => {
    const before = decodedTree(test.tree_before, test.cipher_suite);
    expect(hexOf(before.treeHash())).toBe(test.tree_hash_before);
    const proposal = readProposal(new Reader(bytesOf(test.proposal)));
    const after =
      proposal.type === "add"
        ? before.add(proposal.keyPackage.leafNode).tree
        : proposal.type === "update"
          ? before.replace(test.proposal_sender, proposal.leafNode)
          : proposal.type === "remove"
            ? before.replace(proposal.removed, undefined).truncated()
            : undefined;
    expect(after && hexOf(after.treeHash())).toBe(test.tree_hash_after);
    expect(after && hexOf(encodeRatchetTree(after))).toBe(test.tree_after);
    // The tree before is untouched.
    expect(hexOf(encodeRatchetTree(before))).toBe(test.tree_before);
    expect(hexOf(new PublicTree(before.root, new TreeHasher(test.cipher_suite)).treeHash())).toBe(
      test.tree_hash_before,
    );
  });
});
