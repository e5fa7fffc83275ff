// Reads the DER that certificates are made of (X.690): definite lengths in their shortest form, low tag numbers,
// nothing skipped. Never recursive: who reads says how deep it goes. A fault leaves by `MalformedDer`.

/** Leaves a decoder at the first fault. Caught where a whole certificate is decoded, and nowhere else. */
export class MalformedDer extends Error {
  override readonly name = "MalformedDer";
}

export function malformedDer(why: string): never {
  throw new MalformedDer(why);
}

export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  objectIdentifier: 0x06,
  utf8String: 0x0c,
  printableString: 0x13,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

/** A context-specific tag: `[n]`, holding other elements or bytes. */
export function contextTag(number: number, constructed: boolean): number {
  return (constructed ? 0xa0 : 0x80) | number;
}

export interface DerElement {
  readonly tag: number;
  /** Tag, length and content, as they stand. */
  readonly whole: Uint8Array;
  readonly content: Uint8Array;
}

export class DerReader {
  readonly #bytes: Uint8Array;
  #offset = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get done(): boolean {
    return this.#offset >= this.#bytes.length;
  }

  expectEnd(): void {
    if (!this.done) malformedDer("bytes after the end");
  }

  /** The next element, whose tag must be `tag`; views on the bytes given. */
  element(tag: number): DerElement {
    const element = this.any();
    if (element.tag !== tag) malformedDer(`tag ${element.tag} where ${tag} should be`);
    return element;
  }

  /** The next element if it has that tag. */
  optional(tag: number): DerElement | undefined {
    return this.#bytes[this.#offset] === tag ? this.any() : undefined;
  }

  any(): DerElement {
    const start = this.#offset;
    const tag = this.#byte();
    if ((tag & 0x1f) === 0x1f) malformedDer("a tag of several bytes");
    const length = this.#length();
    const from = this.#offset;
    if (length > this.#bytes.length - from) malformedDer("the bytes end before the element does");
    this.#offset = from + length;
    return {
      tag,
      whole: this.#bytes.subarray(start, this.#offset),
      content: this.#bytes.subarray(from, this.#offset),
    };
  }

  /** The content of the next element as a reader of its own. */
  inside(tag: number): DerReader {
    return new DerReader(this.element(tag).content);
  }

  boolean(): boolean {
    const { content } = this.element(TAG.boolean);
    if (content.length !== 1 || (content[0] !== 0 && content[0] !== 0xff)) malformedDer("a boolean of another form");
    return content[0] === 0xff;
  }

  /** An INTEGER of any size and sign, by its bytes. */
  integer(): Uint8Array {
    const { content } = this.element(TAG.integer);
    const [first, second = 0] = content;
    if (first === undefined) malformedDer("an integer without a byte");
    const isPadded = content.length > 1 && first === (second < 0x80 ? 0 : 0xff);
    return isPadded ? malformedDer("an integer longer than needed") : content;
  }

  /** A small unsigned INTEGER. */
  smallInteger(): number {
    const content = this.integer();
    if ((content[0] ?? 0) >= 0x80) malformedDer("a negative integer");
    if (content.length > 4) malformedDer("an integer too large for its place");
    return content.reduce((value, byte) => value * 256 + byte, 0);
  }

  /** In the dotted form. */
  objectIdentifier(): string {
    return dotted(this.element(TAG.objectIdentifier).content);
  }

  /** A BIT STRING of whole bytes. */
  bitStringBytes(): Uint8Array {
    const { content } = this.element(TAG.bitString);
    if (content[0] !== 0) malformedDer("a bit string that does not end with a byte");
    return content.subarray(1);
  }

  #byte(): number {
    const byte = this.#bytes[this.#offset];
    if (byte === undefined) malformedDer("the bytes end before the element does");
    this.#offset += 1;
    return byte;
  }

  #length(): number {
    const first = this.#byte();
    if (first < 0x80) return first;
    const size = first & 0x7f;
    if (size === 0 || size > 3) malformedDer("a length of a form that is not read");
    let length = 0;
    for (let n = 0; n < size; n += 1) length = length * 256 + this.#byte();
    const shortest = length >= 0x80 && length >= 256 ** (size - 1);
    return shortest ? length : malformedDer("a length longer than needed");
  }
}

/** Reads what fills `bytes` exactly. */
export function readWholeDer<T>(bytes: Uint8Array, read: (reader: DerReader) => T): T {
  const reader = new DerReader(bytes);
  const value = read(reader);
  reader.expectEnd();
  return value;
}

function dotted(content: Uint8Array): string {
  const arcs: number[] = [];
  let arc = 0;
  let begun = false;
  for (const byte of content) {
    if (!begun && byte === 0x80) malformedDer("an object identifier longer than needed");
    arc = arc * 128 + (byte & 0x7f);
    if (arc > Number.MAX_SAFE_INTEGER / 256) malformedDer("an object identifier too large");
    begun = (byte & 0x80) !== 0;
    if (begun) continue;
    arcs.push(arc);
    arc = 0;
  }
  const [first] = arcs;
  if (begun || first === undefined) return malformedDer("an object identifier that does not end");
  const root = Math.min(Math.floor(first / 40), 2);
  return [root, first - 40 * root, ...arcs.slice(1)].join(".");
}
