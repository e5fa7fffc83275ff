// Writes DER for certificates of tests: what is asked for, right or wrong. Reads nothing.

export type DerPart = Uint8Array | readonly number[];

export const DER = { boolean: 1, integer: 2, bitString: 3, octetString: 4, sequence: 0x30, set: 0x31 } as const;
export const DER_TEXT = { utf8: 0x0c, printable: 0x13, teletex: 0x14, ia5: 0x16, bmp: 0x1e } as const;

export const DER_TIME = { utc: 0x17, generalized: 0x18 } as const;

export function der(tag: number, ...parts: readonly DerPart[]): Uint8Array {
  const content = Buffer.concat(parts.map((part) => Buffer.from(part)));
  return Uint8Array.from([tag, ...derLength(content.length), ...content]);
}

export function derLength(length: number): readonly number[] {
  if (length < 0x80) return [length];
  if (length < 0x100) return [0x81, length];
  if (length < 0x10000) return [0x82, length >> 8, length & 0xff];
  return [0x83, length >> 16, (length >> 8) & 0xff, length & 0xff];
}

export function derOid(dotted: string): Uint8Array {
  const [first = 0, second = 0, ...rest] = dotted.split(".").map(Number);
  return der(0x06, [first * 40 + second, ...rest].flatMap(base128));
}

export function derInteger(value: number): Uint8Array {
  const bytes = [];
  for (let left = value; left > 0 || bytes.length === 0; left = Math.floor(left / 256)) bytes.unshift(left % 256);
  return der(DER.integer, (bytes[0] ?? 0) >= 0x80 ? [0, ...bytes] : bytes);
}

export function derBoolean(value: boolean): Uint8Array {
  return der(DER.boolean, [value ? 0xff : 0]);
}

/** RFC 5280 §4.1.2.5: UTCTime to 2049, GeneralizedTime from then on. */
export function derTime(ms: number): Uint8Array {
  const digits = new Date(ms).toISOString().replace(/\.\d+Z$|[-:T]/g, "");
  const year = Number(digits.slice(0, 4));
  const utc = year >= 1950 && year < 2050;
  return der(utc ? DER_TIME.utc : DER_TIME.generalized, Buffer.from(`${utc ? digits.slice(2) : digits}Z`));
}

function base128(value: number): number[] {
  const bytes = [value & 0x7f];
  for (let left = Math.floor(value / 128); left > 0; left = Math.floor(left / 128)) bytes.unshift((left & 0x7f) | 0x80);
  return bytes;
}
