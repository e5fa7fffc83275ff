// ParentNode (RFC 9420 §7.1): read, written, hashed with its sibling (§7.9).
import { malformed, Reader } from "../codec/reader.ts";
import { lengthHeaderSize, Writer } from "../codec/writer.ts";
import { hash, type Ciphersuite } from "../suites.ts";

/** Shared by all nodes without unmerged leaves. */
const NO_LEAVES: readonly number[] = [];

/** Kept as bytes, as LeafNode is: what comes out are views on the node's own bytes; never write to them. */
export class ParentNode {
  /** Leaf indices, rising. */
  readonly unmergedLeaves: readonly number[];
  readonly #buffer: Uint8Array;
  readonly #start: number;
  readonly #end: number;

  /** @param buffer holds the encoded key and parent hash from `start` to `end` */
  constructor(buffer: Uint8Array, start: number, end: number, unmergedLeaves: readonly number[]) {
    this.unmergedLeaves = unmergedLeaves;
    this.#buffer = buffer;
    this.#start = start;
    this.#end = end;
  }

  get encryptionKey(): Uint8Array {
    return new Reader(this.#buffer, this.#start, this.#end).opaque();
  }

  /** Empty in the node nearest to the root. */
  get parentHash(): Uint8Array {
    const reader = new Reader(this.#buffer, this.#start, this.#end);
    reader.skipOpaque();
    return reader.opaque();
  }

  get encodedSize(): number {
    const listSize = this.unmergedLeaves.length * 4;
    return this.#end - this.#start + lengthHeaderSize(listSize) + listSize;
  }

  encode(): Uint8Array {
    const { unmergedLeaves } = this;
    const writer = new Writer(this.encodedSize).raw(this.#buffer.subarray(this.#start, this.#end));
    writer.length(unmergedLeaves.length * 4);
    for (const leaf of unmergedLeaves) writer.u32(leaf);
    return writer.finish();
  }

  /** The same node with one more unmerged leaf (§12.1.1). */
  withUnmergedLeaf(leafIndex: number): ParentNode {
    const unmergedLeaves = this.unmergedLeaves.slice();
    unmergedLeaves.splice(firstAtLeast(unmergedLeaves, leafIndex), 0, leafIndex);
    return new ParentNode(this.#buffer, this.#start, this.#end, unmergedLeaves);
  }

  withoutUnmergedLeaves(removed: ReadonlySet<number>): ParentNode {
    const unmergedLeaves = this.unmergedLeaves.filter((leaf) => !removed.has(leaf));
    if (unmergedLeaves.length === this.unmergedLeaves.length) return this;
    return new ParentNode(this.#buffer, this.#start, this.#end, unmergedLeaves);
  }
}

export function readParentNode(reader: Reader): ParentNode {
  const start = reader.offset;
  reader.skipOpaque();
  reader.skipOpaque();
  const end = reader.offset;
  return new ParentNode(reader.bytes, start, end, readUnmergedLeaves(reader));
}

export function newParentNode(
  encryptionKey: Uint8Array,
  parentHash: Uint8Array,
  unmergedLeaves: readonly number[] = NO_LEAVES,
): ParentNode {
  const bytes = new Writer(encryptionKey.length + parentHash.length + 4)
    .opaque(encryptionKey)
    .opaque(parentHash)
    .finish();
  return new ParentNode(bytes, 0, bytes.length, unmergedLeaves);
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
