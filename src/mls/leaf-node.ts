// LeafNode (RFC 9420 §7.2): read once, kept as bytes with offsets, since a group holds one a member.
// What comes out are views on the node's own bytes; never write to them.
import { malformed, readCodePoints, Reader } from "./codec/reader.ts";
import { Writer } from "./codec/writer.ts";
import { readCredential } from "./credential.ts";
import { readExtensions, skipExtensions, type Extension } from "./extension.ts";
import { verifyWithLabel, type Ciphersuite } from "./suites.ts";

export type LeafNodeSource = "keyPackage" | "update" | "commit";

export interface Capabilities {
  readonly versions: readonly number[];
  readonly ciphersuites: readonly number[];
  readonly extensions: readonly number[];
  readonly proposals: readonly number[];
  readonly credentials: readonly number[];
}

export interface Lifetime {
  /** Unix seconds, as on the wire. */
  readonly notBefore: bigint;
  readonly notAfter: bigint;
}

/** Where fields of a LeafNode lie in its buffer. */
interface Layout {
  readonly start: number;
  readonly credentialAt: number;
  readonly sourceAt: number;
  readonly extensionsEnd: number;
  readonly end: number;
}

const SOURCES: readonly LeafNodeSource[] = ["keyPackage", "update", "commit"];

export class LeafNode {
  readonly #buffer: Uint8Array;
  // Enough to find each field in a few steps, and no object for them: a group pays for it with every member.
  readonly #start: number;
  readonly #credentialAt: number;
  readonly #sourceAt: number;
  readonly #extensionsEnd: number;
  readonly #end: number;

  constructor(buffer: Uint8Array, layout: Layout) {
    this.#buffer = buffer;
    this.#start = layout.start;
    this.#credentialAt = layout.credentialAt;
    this.#sourceAt = layout.sourceAt;
    this.#extensionsEnd = layout.extensionsEnd;
    this.#end = layout.end;
  }

  /** The whole encoding. */
  get bytes(): Uint8Array {
    return this.#buffer.subarray(this.#start, this.#end);
  }

  /** Bytes of the whole encoding. */
  get size(): number {
    return this.#end - this.#start;
  }

  get encryptionKey(): Uint8Array {
    return this.#reader(this.#start).opaque();
  }

  get signatureKey(): Uint8Array {
    const reader = this.#reader(this.#start);
    reader.skipOpaque();
    return reader.opaque();
  }

  /** The Credential struct with its type. */
  get credential(): Uint8Array {
    return readCredential(this.#reader(this.#credentialAt)).bytes;
  }

  get credentialType(): number {
    return this.#reader(this.#credentialAt).u16();
  }

  get capabilities(): Capabilities {
    const reader = this.#reader(this.#credentialAt);
    readCredential(reader);
    return {
      versions: readCodePoints(reader),
      ciphersuites: readCodePoints(reader),
      extensions: readCodePoints(reader),
      proposals: readCodePoints(reader),
      credentials: readCodePoints(reader),
    };
  }

  get source(): LeafNodeSource {
    return SOURCES[(this.#buffer[this.#sourceAt] as number) - 1] as LeafNodeSource;
  }

  /** Only of leaf nodes from key packages. */
  get lifetime(): Lifetime | undefined {
    if (this.source !== "keyPackage") return undefined;
    const reader = this.#reader(this.#sourceAt + 1);
    return { notBefore: reader.u64(), notAfter: reader.u64() };
  }

  /** Only of leaf nodes from commits. */
  get parentHash(): Uint8Array | undefined {
    return this.source === "commit" ? this.#reader(this.#sourceAt + 1).opaque() : undefined;
  }

  get extensions(): Extension[] {
    const reader = this.#reader(this.#sourceAt);
    skipSource(reader);
    return readExtensions(reader);
  }

  get signature(): Uint8Array {
    return this.#reader(this.#extensionsEnd).opaque();
  }

  /** LeafNodeTBS. `place` is signed along in leaf nodes made inside a group. */
  toBeSigned(place: { readonly groupId: Uint8Array; readonly leafIndex: number } | undefined): Uint8Array {
    const fields = this.#buffer.subarray(this.#start, this.#extensionsEnd);
    if (this.source === "keyPackage" || place === undefined) return fields;
    return new Writer(fields.length + place.groupId.length + 8)
      .raw(fields)
      .opaque(place.groupId)
      .u32(place.leafIndex)
      .finish();
  }

  verifySignature(
    ciphersuite: Ciphersuite,
    place: { readonly groupId: Uint8Array; readonly leafIndex: number } | undefined,
  ): Promise<boolean> {
    return verifyWithLabel(ciphersuite, this.signatureKey, "LeafNodeTBS", this.toBeSigned(place), this.signature);
  }

  /** The same node in a buffer of its own, so that it does not hold a whole message in memory. */
  compact(): LeafNode {
    const start = this.#start;
    return new LeafNode(this.#buffer.slice(start, this.#end), {
      start: 0,
      credentialAt: this.#credentialAt - start,
      sourceAt: this.#sourceAt - start,
      extensionsEnd: this.#extensionsEnd - start,
      end: this.#end - start,
    });
  }

  #reader(at: number): Reader {
    return new Reader(this.#buffer, at, this.#end);
  }
}

export function readLeafNode(reader: Reader): LeafNode {
  const start = reader.offset;
  reader.skipOpaque();
  reader.skipOpaque();
  const credentialAt = reader.offset;
  readCredential(reader);
  for (let list = 0; list < 5; list++) skipCodePoints(reader);
  const sourceAt = reader.offset;
  skipSource(reader);
  skipExtensions(reader);
  const extensionsEnd = reader.offset;
  reader.skipOpaque();
  const end = reader.offset;
  return new LeafNode(reader.bytes, {
    start,
    credentialAt,
    sourceAt,
    extensionsEnd,
    end,
  });
}

function skipCodePoints(reader: Reader): void {
  const size = reader.length();
  if (size % 2 !== 0) malformed("a vector of 16-bit values of odd length");
  reader.skip(size);
}

function skipSource(reader: Reader): void {
  const source = reader.u8();
  if (source === 1) reader.skip(16);
  else if (source === 3) reader.skipOpaque();
  else if (source !== 2) malformed("a leaf node of an unknown source");
}
