// The ratchet_tree extension's data (RFC 9420 §12.4.3.3): bytes to a public tree and back, in slices.
// Iterative over nodes; recursion only as deep as a balanced tree.
import { decodeWholeWork, malformed, type Decoded, type Reader } from "./codec/reader.ts";
import { Writer } from "./codec/writer.ts";
import { readLeafNode, type LeafNode } from "./leaf-node.ts";
import type { Ciphersuite } from "./suites.ts";
import { readParentNode, type ParentNode } from "./tree/parent-node.ts";
import { PublicTree } from "./tree/public-tree.ts";
import { branch, halves, isBranch, isLeaf, leafSlot, type Subtree } from "./tree/subtree.ts";
import { TreeHasher } from "./tree/tree-hasher.ts";
import { finish, UNITS_PER_STEP, type Work } from "./work.ts";

/** Twice the width that groups of 50,000 need; blank nodes cost one byte on the wire and more here. */
export const TREE_LEAVES_MAX = 131_072;

type Node = { readonly leaf: LeafNode } | { readonly parent: ParentNode } | undefined;

/**
 * Decodes a tree. Only the encoding and the shape are judged here (tree/validate-tree judges the rest).
 * Leaf nodes stay views on one private copy of `bytes`. `hasher` may be shared by trees of one suite.
 */
export function readRatchetTree(
  bytes: Uint8Array,
  ciphersuite: Ciphersuite,
  hasher: TreeHasher = new TreeHasher(ciphersuite),
): Decoded<PublicTree> {
  return finish(readRatchetTreeWork(bytes, hasher));
}

/** `readRatchetTree` as work in steps, its hashes not yet computed. */
export function* readRatchetTreeWork(bytes: Uint8Array, hasher: TreeHasher): Work<Decoded<PublicTree>> {
  return yield* decodeWholeWork(bytes, function* (reader) {
    const nodes = yield* readNodes(reader);
    if (nodes.length === 0) malformed("a tree without nodes");
    if (nodes.at(-1) === undefined) malformed("a tree that ends with a blank node");
    const level = Math.ceil(Math.log2((nodes.length + 1) / 2));
    return new PublicTree(yield* buildSubtree(nodes, 2 ** level - 1, level), hasher);
  });
}

/** Bytes of `encodeRatchetTree`'s answer, without encoding. */
export function encodedTreeSize(tree: PublicTree): number {
  const content = contentSize(tree.root);
  return content + (content < 0x40 ? 1 : content < 0x4000 ? 2 : 4);
}

export function encodeRatchetTree(tree: PublicTree): Uint8Array {
  return encodeTreeSlice(tree, 0, encodedTreeSize(tree));
}

/** The bytes [from, from + bytesMax) of the encoded tree; costs the slice and O(log leaves). */
export function encodeTreeSlice(tree: PublicTree, from: number, bytesMax: number): Uint8Array {
  const content = contentSize(tree.root);
  const header = new Writer(4).length(content).finish();
  const end = Math.min(header.length + content, from + bytesMax);
  if (from >= end) return new Uint8Array(0);
  const writer = new Writer(end - from + 1024);
  if (from < header.length) writer.raw(header);
  // Whole nodes are written: the first and the last are cut afterwards.
  const start = from < header.length ? 0 : writeNodes(writer, tree.root, from - header.length, end - header.length);
  if (from < header.length) writeNodes(writer, tree.root, 0, end - header.length);
  const skipped = from < header.length ? from : from - header.length - start;
  return writer.finish().slice(skipped, skipped + end - from);
}

function* readNodes(reader: Reader): Work<Node[]> {
  const inner = reader.vector();
  const nodes: Node[] = [];
  while (!inner.done) {
    if (nodes.length >= 2 * TREE_LEAVES_MAX - 1) malformed(`a tree of more than ${TREE_LEAVES_MAX} leaves`);
    if (nodes.length % UNITS_PER_STEP === 0) yield;
    nodes.push(inner.present() ? readNode(inner, nodes.length % 2 === 0) : undefined);
  }
  return nodes;
}

function readNode(reader: Reader, isLeafPosition: boolean): Node {
  const type = reader.u8();
  if (type !== (isLeafPosition ? 1 : 2)) malformed("a leaf where a parent belongs, or the other way round");
  return isLeafPosition ? { leaf: readLeafNode(reader) } : { parent: readParentNode(reader) };
}

/** @param at array position of the subtree's root (§4.1, appendix C) */
function* buildSubtree(nodes: readonly Node[], at: number, level: number): Work<Subtree> {
  if (2 ** level <= UNITS_PER_STEP) {
    yield;
    return buildSmallSubtree(nodes, at, level);
  }
  const quarter = 2 ** (level - 1);
  const left = yield* buildSubtree(nodes, at - quarter, level - 1);
  const right = yield* buildSubtree(nodes, at + quarter, level - 1);
  return branch(parentAt(nodes, at), left, right);
}

function buildSmallSubtree(nodes: readonly Node[], at: number, level: number): Subtree {
  const node = nodes[at];
  if (level === 0) return leafSlot(node !== undefined && "leaf" in node ? node.leaf : undefined);
  const quarter = 2 ** (level - 1);
  const left = buildSmallSubtree(nodes, at - quarter, level - 1);
  return branch(parentAt(nodes, at), left, buildSmallSubtree(nodes, at + quarter, level - 1));
}

function parentAt(nodes: readonly Node[], at: number): ParentNode | undefined {
  const node = nodes[at];
  return node !== undefined && "parent" in node ? node.parent : undefined;
}

/** Encoded bytes of all nodes up to the last that is not blank. */
function contentSize(root: Subtree): number {
  let size = root.encodedSize;
  let subtree = root;
  while (!isLeaf(subtree)) {
    const [left, right]: readonly [Subtree, Subtree] = halves(subtree);
    if (hasContent(right)) {
      subtree = right;
      continue;
    }
    size -= right.encodedSize;
    if (isBranch(subtree) && subtree.parentNode !== undefined) return size;
    size -= 1;
    subtree = left;
  }
  return size;
}

function hasContent(subtree: Subtree): boolean {
  return subtree.occupied > 0 || subtree.resolutionSize > 0;
}

/**
 * Writes, in order, the nodes that touch [from, to) of the content; answers where the first one begins.
 * Subtrees wholly outside are stepped over by their sizes.
 */
function writeNodes(writer: Writer, root: Subtree, from: number, to: number): number {
  const pending: { readonly subtree: Subtree; readonly whole: boolean }[] = [{ subtree: root, whole: true }];
  let at = 0;
  let start: number | undefined;
  for (let next = pending.pop(); next !== undefined && at < to; next = pending.pop()) {
    const { subtree, whole } = next;
    const ends = at + (whole ? subtree.encodedSize : ownSize(subtree));
    if (ends <= from) {
      at = ends;
      continue;
    }
    if (whole && !isLeaf(subtree)) {
      const [left, right] = halves(subtree);
      pending.push({ subtree: right, whole: true }, { subtree, whole: false }, { subtree: left, whole: true });
      continue;
    }
    start ??= at;
    writeNode(writer, subtree);
    at = ends;
  }
  return start ?? at;
}

function ownSize(subtree: Subtree): number {
  if (isLeaf(subtree)) return subtree.encodedSize;
  return isBranch(subtree) ? subtree.encodedSize - subtree.left.encodedSize - subtree.right.encodedSize : 1;
}

function writeNode(writer: Writer, subtree: Subtree): void {
  if (isLeaf(subtree)) {
    if (subtree.leafNode === undefined) writer.u8(0);
    else writer.u8(1).u8(1).raw(subtree.leafNode.bytes);
  } else if (isBranch(subtree) && subtree.parentNode !== undefined) {
    writer.u8(1).u8(2).raw(subtree.parentNode.encode());
  } else {
    writer.u8(0);
  }
}
