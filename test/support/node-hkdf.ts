// HKDF (RFC 5869), plain and labelled as HPKE does it (RFC 9180 §4).
import { createHmac } from "node:crypto";

export type HashName = "sha256" | "sha384" | "sha512";
export const HASH_LENGTH: Readonly<Record<HashName, number>> = { sha256: 32, sha384: 48, sha512: 64 };

export function extract(hash: HashName, salt: Uint8Array, ikm: Uint8Array): Uint8Array {
  return plain(createHmac(hash, salt).update(ikm).digest());
}

export function expand(hash: HashName, prk: Uint8Array, info: Uint8Array, length: number): Uint8Array {
  const blocks: Buffer[] = [];
  let previous = Buffer.alloc(0);
  for (let counter = 1; blocks.length * HASH_LENGTH[hash] < length; counter++) {
    previous = createHmac(hash, prk).update(previous).update(info).update(Uint8Array.of(counter)).digest();
    blocks.push(previous);
  }
  return plain(Buffer.concat(blocks)).slice(0, length);
}

export function labeledExtract(
  { hash }: { readonly hash: HashName },
  suite: Uint8Array,
  salt: Uint8Array,
  label: string,
  ikm: Uint8Array,
): Uint8Array {
  return extract(hash, salt, Buffer.concat([Buffer.from("HPKE-v1"), suite, Buffer.from(label), ikm]));
}

export function labeledExpand(
  { hash }: { readonly hash: HashName },
  suite: Uint8Array,
  prk: Uint8Array,
  label: string,
  info: Uint8Array,
  length: number,
): Uint8Array {
  const labeled = Buffer.concat([twoBytes(length), Buffer.from("HPKE-v1"), suite, Buffer.from(label), info]);
  return expand(hash, prk, labeled, length);
}

export function twoBytes(value: number): Uint8Array {
  return Uint8Array.of(value >> 8, value & 0xff);
}

export function plain(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes);
}
