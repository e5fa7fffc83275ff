// Tree hashes (RFC 9420 §7.8) of single nodes, and of wholly blank subtrees, which all groups share.
// Hashes are strings of one character a byte: a third of the memory of a typed array.
import { hash as hashOnce } from "node:crypto";
import { lengthHeaderSize } from "../codec/writer.ts";
import { suiteOf, type Ciphersuite } from "../suites.ts";
import { UNITS_PER_STEP, type Work } from "../work.ts";

/** Smaller blank subtrees are hashed anew: they cost less than remembering them. */
const REMEMBERED_LEVEL_MIN = 4;

export class TreeHasher {
  readonly ciphersuite: Ciphersuite;
  readonly #algorithm: string;
  readonly #hashLength: number;
  #scratch = Buffer.alloc(1024);
  /** Hashes of blank subtrees by level and position; at most 1/8 of the leaves of the largest tree seen. */
  readonly #blank: (string | undefined)[][] = [];

  constructor(ciphersuite: Ciphersuite) {
    const suite = suiteOf(ciphersuite);
    this.ciphersuite = ciphersuite;
    this.#algorithm = suite.hash;
    this.#hashLength = suite.hashLength;
  }

  leaf(leafIndex: number, encoded: Uint8Array | undefined): string {
    const size = encoded?.length ?? 0;
    const scratch = this.#reserve(size + 6);
    scratch[0] = 1;
    scratch.writeUInt32BE(leafIndex, 1);
    scratch[5] = encoded === undefined ? 0 : 1;
    if (encoded !== undefined) scratch.set(encoded, 6);
    return this.#hash(6 + size);
  }

  parent(encoded: Uint8Array | undefined, left: string, right: string): string {
    const size = encoded?.length ?? 0;
    const scratch = this.#reserve(size + 2 + 2 * (this.#hashLength + 2));
    scratch[0] = 2;
    scratch[1] = encoded === undefined ? 0 : 1;
    if (encoded !== undefined) scratch.set(encoded, 2);
    const middle = this.#writeHash(left, 2 + size);
    return this.#hash(this.#writeHash(right, middle));
  }

  /** The hash of the wholly blank subtree of 2^level leaves that begins at a multiple of 2^level. */
  blank(level: number, firstLeaf: number): string {
    if (level === 0) return this.leaf(firstLeaf, undefined);
    if (level < REMEMBERED_LEVEL_MIN) return this.#hashBlank(level, firstLeaf);
    const position = firstLeaf / 2 ** level;
    const known = (this.#blank[level] ??= []);
    return (known[position] ??= this.#hashBlank(level, firstLeaf));
  }

  /** Computes, in steps, what `blank` will be asked for when a tree is extended by that subtree. */
  *blankWork(level: number, firstLeaf: number): Work<undefined> {
    if (2 ** level > UNITS_PER_STEP) {
      yield* this.blankWork(level - 1, firstLeaf);
      yield* this.blankWork(level - 1, firstLeaf + 2 ** (level - 1));
    } else {
      yield;
    }
    this.blank(level, firstLeaf);
    return undefined;
  }

  bytesOf(hash: string): Uint8Array {
    const bytes = new Uint8Array(hash.length);
    for (let at = 0; at < hash.length; at++) bytes[at] = hash.charCodeAt(at);
    return bytes;
  }

  #hashBlank(level: number, firstLeaf: number): string {
    const half = level - 1;
    return this.parent(undefined, this.blank(half, firstLeaf), this.blank(half, firstLeaf + 2 ** half));
  }

  #writeHash(hash: string, at: number): number {
    const header = lengthHeaderSize(hash.length);
    if (header === 1) this.#scratch[at] = hash.length;
    else this.#scratch.writeUInt16BE(0x4000 | hash.length, at);
    return at + header + this.#scratch.write(hash, at + header, "latin1");
  }

  #hash(size: number): string {
    return hashOnce(this.#algorithm, this.#scratch.subarray(0, size), "binary");
  }

  #reserve(size: number): Buffer {
    if (size > this.#scratch.length) this.#scratch = Buffer.alloc(size * 2);
    return this.#scratch;
  }
}
