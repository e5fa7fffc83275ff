// Writes the TLS presentation language as MLS uses it (RFC 9420 §2.1). Lengths are minimal.

export class Writer {
  #bytes: Uint8Array;
  #size = 0;

  constructor(capacity = 256) {
    this.#bytes = new Uint8Array(capacity);
  }

  u8(value: number): this {
    const at = this.#grow(1);
    this.#bytes[at] = value;
    return this;
  }

  u16(value: number): this {
    return this.u8(value >>> 8).u8(value);
  }

  u32(value: number): this {
    return this.u16(value >>> 16).u16(value);
  }

  u64(value: bigint): this {
    return this.u32(Number(value >> 32n)).u32(Number(value & 0xffff_ffffn));
  }

  length(value: number): this {
    if (value < 0x40) return this.u8(value);
    if (value < 0x4000) return this.u16(0x4000 | value);
    if (value >= 0x4000_0000) throw new RangeError("a vector of 2^30 bytes or more has no encoding");
    return this.u32(0x8000_0000 + value);
  }

  opaque(bytes: Uint8Array): this {
    return this.length(bytes.length).raw(bytes);
  }

  raw(bytes: Uint8Array): this {
    const at = this.#grow(bytes.length);
    this.#bytes.set(bytes, at);
    return this;
  }

  /** What was written, in a buffer of its own. */
  finish(): Uint8Array {
    return this.#bytes.slice(0, this.#size);
  }

  #grow(size: number): number {
    const at = this.#size;
    this.#size += size;
    if (this.#size > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(this.#size, this.#bytes.length * 2));
      larger.set(this.#bytes.subarray(0, at));
      this.#bytes = larger;
    }
    return at;
  }
}

/** How many bytes a vector's length header takes. */
export function lengthHeaderSize(length: number): number {
  return length < 0x40 ? 1 : length < 0x4000 ? 2 : 4;
}
