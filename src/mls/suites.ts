// The ciphersuites of RFC 9420 §17.1 (1–7) and their public-key half: hashing, RefHash, signatures.
// Holds no secret and makes none; signatures are verified on node:crypto's thread pool.
import { createPublicKey, hash as hashOnce, verify, type KeyObject } from "node:crypto";
import { Writer } from "./codec/writer.ts";

export type Ciphersuite = 1 | 2 | 3 | 4 | 5 | 6 | 7;
type HashName = "sha256" | "sha384" | "sha512";
type SignatureScheme = "ed25519" | "ed448" | "p256" | "p384" | "p521";
type KemScheme = "x25519" | "x448" | "p256" | "p384" | "p521";

export interface Suite {
  readonly id: Ciphersuite;
  readonly hash: HashName;
  /** Bytes of a hash, and of KDF.Nh. */
  readonly hashLength: number;
  readonly signature: SignatureScheme;
  readonly kem: KemScheme;
}

const SUITES: Readonly<Record<Ciphersuite, Suite>> = {
  1: { id: 1, hash: "sha256", hashLength: 32, signature: "ed25519", kem: "x25519" },
  2: { id: 2, hash: "sha256", hashLength: 32, signature: "p256", kem: "p256" },
  3: { id: 3, hash: "sha256", hashLength: 32, signature: "ed25519", kem: "x25519" },
  4: { id: 4, hash: "sha512", hashLength: 64, signature: "ed448", kem: "x448" },
  5: { id: 5, hash: "sha512", hashLength: 64, signature: "p521", kem: "p521" },
  6: { id: 6, hash: "sha512", hashLength: 64, signature: "ed448", kem: "x448" },
  7: { id: 7, hash: "sha384", hashLength: 48, signature: "p384", kem: "p384" },
};

/** Raw key lengths, and the SubjectPublicKeyInfo header that node:crypto wants in front of one. */
const KEYS: Readonly<Record<SignatureScheme | KemScheme, { readonly length: number; readonly spki: string }>> = {
  ed25519: { length: 32, spki: "302a300506032b6570032100" },
  ed448: { length: 57, spki: "3043300506032b6571033a00" },
  x25519: { length: 32, spki: "302a300506032b656e032100" },
  x448: { length: 56, spki: "3042300506032b656f033900" },
  p256: { length: 65, spki: "3059301306072a8648ce3d020106082a8648ce3d030107034200" },
  p384: { length: 97, spki: "3076301006072a8648ce3d020106052b81040022036200" },
  p521: { length: 133, spki: "30819b301006072a8648ce3d020106052b81040023038186" + "00" },
};

/** Hash lengths of the known suites: what a reference can be long where the suite is not known. */
export const HASH_LENGTHS: readonly number[] = [32, 48, 64];

export function isCiphersuite(value: number): value is Ciphersuite {
  return Number.isInteger(value) && value >= 1 && value <= 7;
}

export function suiteOf(ciphersuite: Ciphersuite): Suite {
  return SUITES[ciphersuite];
}

/** Bytes of an HPKE public key of the suite. */
export function hpkeKeyLength(ciphersuite: Ciphersuite): number {
  return KEYS[SUITES[ciphersuite].kem].length;
}

export function hash(ciphersuite: Ciphersuite, bytes: Uint8Array): Uint8Array {
  return new Uint8Array(hashOnce(SUITES[ciphersuite].hash, bytes, "buffer"));
}

/** RFC 9420 §5.2. The label is given whole. */
export function refHash(ciphersuite: Ciphersuite, label: string, value: Uint8Array): Uint8Array {
  return hash(ciphersuite, labelled(label, value));
}

export function keyPackageRef(ciphersuite: Ciphersuite, bareKeyPackage: Uint8Array): Uint8Array {
  return refHash(ciphersuite, "MLS 1.0 KeyPackage Reference", bareKeyPackage);
}

/** RFC 9420 §5.1.2. The label is given without "MLS 1.0 ". False for any fault: of the key, of its encoding, of the signature. */
export function verifyWithLabel(
  ciphersuite: Ciphersuite,
  publicKey: Uint8Array,
  label: string,
  content: Uint8Array,
  signature: Uint8Array,
): Promise<boolean> {
  const suite = SUITES[ciphersuite];
  const key = importKey(suite.signature, publicKey);
  if (key === undefined) return Promise.resolve(false);
  const edwards = suite.signature === "ed25519" || suite.signature === "ed448";
  return new Promise((resolve) => {
    verify(edwards ? null : suite.hash, labelled("MLS 1.0 " + label, content), key, signature, (error, valid) => {
      resolve(error === null && valid);
    });
  });
}

/** True for an encoding that the suite's signature scheme takes (§5.1.1). */
export function isSignatureKey(ciphersuite: Ciphersuite, publicKey: Uint8Array): boolean {
  return isKey(SUITES[ciphersuite].signature, publicKey);
}

/** True for an encoding that the suite's KEM takes (§5.1.1): right length, a point on the curve. */
export function isHpkeKey(ciphersuite: Ciphersuite, publicKey: Uint8Array): boolean {
  return isKey(SUITES[ciphersuite].kem, publicKey);
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let at = 0; at < a.length; at++) if (a[at] !== b[at]) return false;
  return true;
}

/** SignContent and RefHashInput have one form: a label, then the content. */
function labelled(label: string, content: Uint8Array): Uint8Array {
  const labelBytes = new TextEncoder().encode(label);
  return new Writer(content.length + labelBytes.length + 8).opaque(labelBytes).opaque(content).finish();
}

function isKey(scheme: SignatureScheme | KemScheme, publicKey: Uint8Array): boolean {
  if (scheme === "x25519" || scheme === "x448") return publicKey.length === KEYS[scheme].length;
  return importKey(scheme, publicKey) !== undefined;
}

function importKey(scheme: SignatureScheme | KemScheme, publicKey: Uint8Array): KeyObject | undefined {
  const { length, spki } = KEYS[scheme];
  if (publicKey.length !== length) return undefined;
  // Only the uncompressed form is an encoding of a point in MLS.
  if (scheme.startsWith("p") && publicKey[0] !== 4) return undefined;
  try {
    const key = Buffer.concat([Buffer.from(spki, "hex"), publicKey]);
    return createPublicKey({ key, format: "der", type: "spki" });
  } catch {
    // OpenSSL refuses points that are not on the curve.
    return undefined;
  }
}
