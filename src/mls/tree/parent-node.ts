// ParentNode (RFC 9420 §7.1): read, written, hashed with its sibling (§7.9).
import { malformed, type Reader } from "../codec/reader.ts";
import { lengthHeaderSize, Writer } from "../codec/writer.ts";
import { hash, type Ciphersuite } from "../suites.ts";

export interface ParentNode {
  readonly encryptionKey: Uint8Array;
  /** Empty in the node nearest to the root. */
  readonly parentHash: Uint8Array;
  /** Leaf indices, rising. */
  readonly unmergedLeaves: readonly number[];
}

/** Shared by all nodes without unmerged leaves. */
const NO_LEAVES: readonly number[] = [];

export function readParentNode(reader: Reader): ParentNode {
  const encryptionKey = reader.opaque();
  const parentHash = reader.opaque();
  return { encryptionKey, parentHash, unmergedLeaves: readUnmergedLeaves(reader) };
}

export function newParentNode(encryptionKey: Uint8Array, parentHash: Uint8Array): ParentNode {
  return { encryptionKey, parentHash, unmergedLeaves: NO_LEAVES };
}

export function writeParentNode(writer: Writer, node: ParentNode): void {
  writer
    .opaque(node.encryptionKey)
    .opaque(node.parentHash)
    .length(node.unmergedLeaves.length * 4);
  for (const leaf of node.unmergedLeaves) writer.u32(leaf);
}

export function parentNodeSize(node: ParentNode): number {
  const { encryptionKey, parentHash, unmergedLeaves } = node;
  return vectorSize(encryptionKey.length) + vectorSize(parentHash.length) + vectorSize(unmergedLeaves.length * 4);
}

/** The same node with one more unmerged leaf (§12.1.1). */
export function withUnmergedLeaf(node: ParentNode, leafIndex: number): ParentNode {
  const at = firstAtLeast(node.unmergedLeaves, leafIndex);
  const unmergedLeaves = node.unmergedLeaves.slice();
  unmergedLeaves.splice(at, 0, leafIndex);
  return { ...node, unmergedLeaves };
}

export function withoutUnmergedLeaves(node: ParentNode, removed: ReadonlySet<number>): ParentNode {
  const unmergedLeaves = node.unmergedLeaves.filter((leaf) => !removed.has(leaf));
  return unmergedLeaves.length === node.unmergedLeaves.length ? node : { ...node, unmergedLeaves };
}

/** How many of a rising list lie in [from, to). */
export function countWithin(leaves: readonly number[], from: number, to: number): number {
  return firstAtLeast(leaves, to) - firstAtLeast(leaves, from);
}

/** The position of the first element of a rising list that is not below `value`. */
export function firstAtLeast(leaves: readonly number[], value: number): number {
  let low = 0;
  let high = leaves.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((leaves[middle] as number) < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** §7.9: the parent hash of `node` with the copath child whose original tree hash is given. */
export function parentHashOf(ciphersuite: Ciphersuite, node: ParentNode, siblingTreeHash: Uint8Array): Uint8Array {
  const input = new Writer().opaque(node.encryptionKey).opaque(node.parentHash).opaque(siblingTreeHash);
  return hash(ciphersuite, input.finish());
}

function readUnmergedLeaves(reader: Reader): readonly number[] {
  const inner = reader.vector();
  const leaves: number[] = [];
  let previous = -1;
  while (!inner.done) {
    const leaf = inner.u32();
    if (leaf <= previous) malformed("unmerged leaves that do not rise");
    leaves.push(leaf);
    previous = leaf;
  }
  return leaves.length === 0 ? NO_LEAVES : leaves;
}

function vectorSize(length: number): number {
  return lengthHeaderSize(length) + length;
}
