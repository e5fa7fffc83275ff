// Walks over msgpack bytes once, before anything is allocated for them: lengths, depth, number of
// elements, formats and UTF-8. What it passes is plain data of bounded size. Never copies a payload.
import { isUtf8 } from "node:buffer";

export interface DecodeLimits {
  /** Maps and arrays within each other. */
  readonly depthMax: number;
  /** Values and keys in all. */
  readonly elementsMax: number;
}

/** One ACK may name every inbox of a session that has as many streams as it may by default (3 values each). */
export const defaultDecodeLimits: DecodeLimits = { depthMax: 16, elementsMax: 700_000 };

export interface ScannedValue {
  /** Where the next value begins. */
  readonly end: number;
  /** Holds 2^53 or -2^53 as an integer of eight bytes: the first that a number does not hold exactly. */
  readonly holdsEdge: boolean;
}

/** The bytes are not one plain msgpack value within the limits. The text never holds a payload. */
export class MalformedMsgpack extends Error {
  override readonly name = "MalformedMsgpack";
}

/**
 * Finds each msgpack value in `bytes`, all of which must be whole.
 * @throws MalformedMsgpack
 */
export function scanValues(bytes: Uint8Array, limits: DecodeLimits): ScannedValue[] {
  const scan = new Scan(bytes, limits);
  const values: ScannedValue[] = [];
  while (scan.at < bytes.length) {
    scan.holdsEdge = false;
    scan.value(0);
    values.push({ end: scan.at, holdsEdge: scan.holdsEdge });
  }
  return values;
}

class Scan {
  at = 0;
  holdsEdge = false;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #limits: DecodeLimits;
  #elements = 0;

  constructor(bytes: Uint8Array, limits: DecodeLimits) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#limits = limits;
  }

  value(depth: number): void {
    this.#count();
    const format = this.#take(1);
    if (format <= 0x7f || format >= 0xe0) return; // a small integer
    if (format <= 0x8f) this.#map(format & 0x0f, depth);
    else if (format <= 0x9f) this.#array(format & 0x0f, depth);
    else if (format <= 0xbf) this.#text(format & 0x1f);
    else this.#long(format, depth);
  }

  /** Formats 0xc0 to 0xdf. */
  #long(format: number, depth: number): void {
    switch (format) {
      case 0xc0: // nil
      case 0xc2: // false
      case 0xc3: // true
        break;
      case 0xc4:
      case 0xc5:
      case 0xc6: // bin 8 … 32
        this.#skip(this.#take(1 << (format - 0xc4)));
        break;
      case 0xca: // float 32
      case 0xcb: // float 64
        this.#skip(4 << (format - 0xca));
        break;
      case 0xcc:
      case 0xcd:
      case 0xce: // uint 8 … 32
        this.#skip(1 << (format - 0xcc));
        break;
      case 0xd0:
      case 0xd1:
      case 0xd2: // int 8 … 32
        this.#skip(1 << (format - 0xd0));
        break;
      case 0xcf:
      case 0xd3: // uint 64, int 64
        this.#integer64();
        break;
      case 0xd9:
      case 0xda:
      case 0xdb: // str 8 … 32
        this.#text(this.#take(1 << (format - 0xd9)));
        break;
      case 0xdc:
      case 0xdd: // array 16, 32
        this.#array(this.#take(2 << (format - 0xdc)), depth);
        break;
      case 0xde:
      case 0xdf: // map 16, 32
        this.#map(this.#take(2 << (format - 0xde)), depth);
        break;
      default:
        throw new MalformedMsgpack("extension types are not spoken here");
    }
  }

  #integer64(): void {
    const high = this.#take(4);
    const low = this.#take(4);
    if (low === 0 && (high === 0x0020_0000 || high === 0xffe0_0000)) this.holdsEdge = true;
  }

  #array(length: number, depth: number): void {
    this.#enter(length, depth);
    for (let i = 0; i < length; i += 1) this.value(depth + 1);
  }

  #map(length: number, depth: number): void {
    this.#enter(length * 2, depth);
    for (let i = 0; i < length; i += 1) {
      this.#key();
      this.value(depth + 1);
    }
  }

  /** A length that the rest of the bytes or the limit can't hold is refused before its elements are read. */
  #enter(elements: number, depth: number): void {
    if (depth >= this.#limits.depthMax) throw new MalformedMsgpack("nested too deeply");
    if (elements > this.#bytes.length - this.at) throw new MalformedMsgpack("ends too early");
    if (this.#elements + elements > this.#limits.elementsMax) throw new MalformedMsgpack("too many elements");
  }

  #key(): void {
    this.#count();
    const format = this.#take(1);
    if (format >= 0xa0 && format <= 0xbf) this.#text(format & 0x1f);
    else if (format >= 0xd9 && format <= 0xdb) this.#text(this.#take(1 << (format - 0xd9)));
    else throw new MalformedMsgpack("a map's keys are strings");
  }

  #text(length: number): void {
    const start = this.at;
    this.#skip(length);
    for (let i = start; i < this.at; i += 1) {
      if ((this.#bytes[i] as number) < 0x80) continue;
      if (isUtf8(this.#bytes.subarray(i, this.at))) return;
      throw new MalformedMsgpack("a string is not UTF-8");
    }
  }

  #count(): void {
    this.#elements += 1;
    if (this.#elements > this.#limits.elementsMax) throw new MalformedMsgpack("too many elements");
  }

  /** Reads an unsigned big-endian integer of 1, 2 or 4 bytes. */
  #take(width: number): number {
    const start = this.at;
    this.#skip(width);
    if (width === 1) return this.#view.getUint8(start);
    return width === 2 ? this.#view.getUint16(start) : this.#view.getUint32(start);
  }

  #skip(length: number): void {
    if (length > this.#bytes.length - this.at) throw new MalformedMsgpack("ends too early");
    this.at += length;
  }
}
