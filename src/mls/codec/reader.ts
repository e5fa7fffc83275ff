// Reads the TLS presentation language as MLS uses it (RFC 9420 §2.1): strict, bounded, iterative.
// Never returns a partial value: a fault leaves by `MalformedBytes`, which `decodeWhole` turns into a value.

import type { Work } from "../work.ts";

export interface Malformed {
  readonly kind: "malformed";
  readonly why: string;
  /** `MALFORMED`, but where RFC 9420 has a rule of its own for the fault. */
  readonly rule: string;
  /** Of RFC 9420. */
  readonly section: string;
}

/** What every decoder of this folder answers. */
export type Decoded<T> = { readonly kind: "ok"; readonly value: T } | Malformed;

/** Leaves a decoder at the first fault. Caught by `decodeWhole` alone. */
export class MalformedBytes extends Error {
  override readonly name = "MalformedBytes";
  readonly fault: Malformed;

  constructor(fault: Malformed) {
    super(fault.why);
    this.fault = fault;
  }
}

export function malformed(why: string, rule = "MALFORMED", section = "2.1"): never {
  throw new MalformedBytes({ kind: "malformed", why, rule, section });
}

/**
 * Reads one structure that fills `input` exactly. The input is copied first: nothing that comes out
 * is a view on the caller's buffer (views on the private copy may come out).
 */
export function decodeWhole<T>(input: Uint8Array, read: (reader: Reader) => T): Decoded<T> {
  const reader = new Reader(copyBytes(input));
  try {
    const value = read(reader);
    reader.expectEnd();
    return { kind: "ok", value };
  } catch (fault) {
    if (fault instanceof MalformedBytes) return fault.fault;
    throw fault;
  }
}

/** `decodeWhole` for long structures, as work in steps. */
export function* decodeWholeWork<T>(input: Uint8Array, read: (reader: Reader) => Work<T>): Work<Decoded<T>> {
  const reader = new Reader(copyBytes(input));
  try {
    const value = yield* read(reader);
    reader.expectEnd();
    return { kind: "ok", value };
  } catch (fault) {
    if (fault instanceof MalformedBytes) return fault.fault;
    throw fault;
  }
}

/** A plain Uint8Array with a buffer of its own, also when given a Buffer. */
export function copyBytes(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes);
}

export class Reader {
  readonly bytes: Uint8Array;
  offset: number;
  readonly end: number;

  constructor(bytes: Uint8Array, offset = 0, end = bytes.length) {
    this.bytes = bytes;
    this.offset = offset;
    this.end = end;
  }

  get done(): boolean {
    return this.offset >= this.end;
  }

  expectEnd(): void {
    if (this.offset !== this.end) malformed("bytes after the end of the structure");
  }

  u8(): number {
    const at = this.#take(1);
    return this.bytes[at] as number;
  }

  u16(): number {
    const at = this.#take(2);
    return ((this.bytes[at] as number) << 8) | (this.bytes[at + 1] as number);
  }

  u32(): number {
    return this.u16() * 0x1_0000 + this.u16();
  }

  u64(): bigint {
    const high = this.u32();
    return (BigInt(high) << 32n) | BigInt(this.u32());
  }

  /** A variable-size vector's length (§2.1.2): 1, 2 or 4 bytes, and no longer than needed. */
  length(): number {
    const first = this.u8();
    const size = first >> 6;
    if (size === 3) malformed("a length header of the invalid form");
    if (size === 0) return first;
    if (size === 1) {
      const value = ((first & 0x3f) << 8) | this.u8();
      return value < 0x40 ? malformed("a length header longer than needed") : value;
    }
    const value = ((first & 0x3f) << 24) | (this.u8() << 16) | this.u16();
    return value < 0x4000 ? malformed("a length header longer than needed") : value;
  }

  /** `opaque<V>` as a view on the reader's own copy. */
  opaque(): Uint8Array {
    const size = this.length();
    const at = this.#take(size);
    return this.bytes.subarray(at, at + size);
  }

  /** A vector's content as a reader of its own; this reader goes on behind it. */
  vector(): Reader {
    const size = this.length();
    const at = this.#take(size);
    return new Reader(this.bytes, at, at + size);
  }

  /** Skips an `opaque<V>`. */
  skipOpaque(): void {
    this.#take(this.length());
  }

  skip(size: number): void {
    this.#take(size);
  }

  /** `optional<T>`'s presence byte. */
  present(): boolean {
    const byte = this.u8();
    if (byte > 1) malformed("an optional value's presence is neither 0 nor 1");
    return byte === 1;
  }

  /** The bytes from `start` to here, as a view on the reader's own copy. */
  since(start: number): Uint8Array {
    return this.bytes.subarray(start, this.offset);
  }

  #take(size: number): number {
    const at = this.offset;
    if (size > this.end - at) malformed("the bytes end before the structure does");
    this.offset = at + size;
    return at;
  }
}

/** A vector of elements; `countMax` bounds the memory that few bytes can ask for. */
export function readVector<T>(reader: Reader, countMax: number, read: (element: Reader) => T): T[] {
  const inner = reader.vector();
  const elements: T[] = [];
  while (!inner.done) {
    if (elements.length >= countMax) malformed(`a vector of more than ${countMax} elements`);
    elements.push(read(inner));
  }
  return elements;
}

/** A vector of uint16 code points. */
export function readCodePoints(reader: Reader): number[] {
  const inner = reader.vector();
  if ((inner.end - inner.offset) % 2 !== 0) malformed("a vector of 16-bit values of odd length");
  const values: number[] = [];
  while (!inner.done) values.push(inner.u16());
  return values;
}
