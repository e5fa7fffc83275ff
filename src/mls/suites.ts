// The ciphersuites of RFC 9420 §17.1 (1–7) and their public-key half: hashing, RefHash, signatures.
// Holds no secret and makes none; signatures are verified on node:crypto's thread pool.
import { createPublicKey, ECDH, hash as hashOnce, verify, type JsonWebKey, type KeyObject } from "node:crypto";
import { Writer } from "./codec/writer.ts";
import { isOfLowOrder } from "./low-order-points.ts";

export type Ciphersuite = 1 | 2 | 3 | 4 | 5 | 6 | 7;
type HashName = "sha256" | "sha384" | "sha512";
export type SignatureScheme = "ed25519" | "ed448" | "p256" | "p384" | "p521";
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

interface KeyForm {
  /** Bytes of a raw public key. */
  readonly length: number;
  /** DER of the SubjectPublicKeyInfo's AlgorithmIdentifier. */
  readonly algorithm: string;
  /** The curve's name in a JSON Web Key. */
  readonly curve: string;
  /** Of points: the curve's name in OpenSSL, and bytes of the compressed form. */
  readonly point?: { readonly name: string; readonly compressedLength: number; readonly byDer?: boolean };
}

const EC_ALGORITHM = "06072a8648ce3d0201";
const KEYS: Readonly<Record<SignatureScheme | KemScheme, KeyForm>> = {
  ed25519: { length: 32, algorithm: "300506032b6570", curve: "Ed25519" },
  ed448: { length: 57, algorithm: "300506032b6571", curve: "Ed448" },
  x25519: { length: 32, algorithm: "300506032b656e", curve: "X25519" },
  x448: { length: 56, algorithm: "300506032b656f", curve: "X448" },
  p256: {
    length: 65,
    algorithm: `3013${EC_ALGORITHM}06082a8648ce3d030107`,
    curve: "P-256",
    point: { name: "prime256v1", compressedLength: 33 },
  },
  p384: {
    length: 97,
    algorithm: `3010${EC_ALGORITHM}06052b81040022`,
    curve: "P-384",
    point: { name: "secp384r1", compressedLength: 49, byDer: true },
  },
  p521: {
    length: 133,
    algorithm: `3010${EC_ALGORITHM}06052b81040023`,
    curve: "P-521",
    point: { name: "secp521r1", compressedLength: 67, byDer: true },
  },
};

const SIGNATURE_SCHEMES: readonly SignatureScheme[] = ["ed25519", "ed448", "p256", "p384", "p521"];

/** From here on calling out of JavaScript costs less than comparing in it. */
const LONG_BYTES = 128;

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

/**
 * RFC 9420 §5.1.2. The label is given without "MLS 1.0 ". False for any fault: of the key, of its encoding, of the signature.
 * Edwards signatures are judged as strictly as by any member: a point of low order in one is a fault.
 */
export function verifyWithLabel(
  ciphersuite: Ciphersuite,
  publicKey: Uint8Array,
  label: string,
  content: Uint8Array,
  signature: Uint8Array,
): Promise<boolean> {
  const suite = SUITES[ciphersuite];
  const key = importPublicKey(suite.signature, publicKey);
  if (key === undefined || !isSignatureKey(ciphersuite, publicKey)) return Promise.resolve(false);
  const edwards = edwardsOf(suite.signature);
  if (edwards !== undefined && isOfLowOrder(edwards, signature.subarray(0, publicKey.length))) {
    return Promise.resolve(false);
  }
  return new Promise((resolve) => {
    verify(edwards === undefined ? suite.hash : null, signContent(label, content), key, signature, (error, valid) => {
      resolve(error === null && valid);
    });
  });
}

/**
 * True for an encoding that the suite's signature scheme takes. §5.1.1 knows uncompressed points only;
 * compressed ones are taken too, since ts-mls 1.6.4 writes them and its members accept them.
 */
export function isSignatureKey(ciphersuite: Ciphersuite, publicKey: Uint8Array): boolean {
  const { signature } = SUITES[ciphersuite];
  const edwards = edwardsOf(signature);
  return isKey(signature, publicKey) && (edwards === undefined || !isOfLowOrder(edwards, publicKey));
}

function edwardsOf(scheme: SignatureScheme): "ed25519" | "ed448" | undefined {
  return scheme === "ed25519" || scheme === "ed448" ? scheme : undefined;
}

/** True for an encoding that the suite's KEM takes (§5.1.1): right length, a point on the curve, to which one can encrypt. */
export function isHpkeKey(ciphersuite: Ciphersuite, publicKey: Uint8Array): boolean {
  const { kem } = SUITES[ciphersuite];
  if (publicKey.length !== hpkeKeyLength(ciphersuite) || !isKey(kem, publicKey)) return false;
  return (kem !== "x25519" && kem !== "x448") || !isOfLowOrder(kem, publicKey);
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  if (a.length > LONG_BYTES) return Buffer.compare(a, b) === 0;
  for (let at = 0; at < a.length; at++) if (a[at] !== b[at]) return false;
  return true;
}

/** What a signature is made over (RFC 9420 §5.1.2). The label is given without "MLS 1.0 ". */
export function signContent(label: string, content: Uint8Array): Uint8Array {
  return labelled("MLS 1.0 " + label, content);
}

/** SignContent and RefHashInput have one form: a label, then the content. */
function labelled(label: string, content: Uint8Array): Uint8Array {
  const labelBytes = new TextEncoder().encode(label);
  return new Writer(content.length + labelBytes.length + 8).opaque(labelBytes).opaque(content).finish();
}

/**
 * Of Edwards and Montgomery keys any bytes of the right length are one; points are read. The P-curves have no cofactor:
 * a point on the curve is a key, and multiplying it with the order, as an import does, would cost what verifying does.
 */
function isKey(scheme: SignatureScheme | KemScheme, publicKey: Uint8Array): boolean {
  const form = KEYS[scheme];
  if (form.point === undefined) return publicKey.length === form.length;
  return hasKeyForm(form, publicKey) && uncompressed(form, publicKey) !== undefined;
}

/**
 * A key for node:crypto; undefined: no encoding of one (points may be compressed, as ts-mls 1.6.4 writes them). By JSON
 * Web Key, as OpenSSL's DER decoder takes as long as verifying a signature; of the large curves by DER, as with a JSON
 * Web Key it multiplies the point with the order, which takes longer still.
 */
export function importPublicKey(scheme: SignatureScheme | KemScheme, publicKey: Uint8Array): KeyObject | undefined {
  const form = KEYS[scheme];
  if (!hasKeyForm(form, publicKey)) return undefined;
  try {
    if (form.point?.byDer === true) {
      return createPublicKey({ key: subjectPublicKeyInfo(form, publicKey), format: "der", type: "spki" });
    }
    const key = jsonWebKey(form, publicKey);
    return key === undefined ? undefined : createPublicKey({ key, format: "jwk" });
  } catch {
    // OpenSSL refuses points that are not on the curve.
    return undefined;
  }
}

/** By the AlgorithmIdentifier of a SubjectPublicKeyInfo (DER). Curves go by their names alone. */
export function signatureSchemeOfKey(algorithm: Uint8Array): SignatureScheme | undefined {
  const wanted = Buffer.from(algorithm).toString("hex");
  return SIGNATURE_SCHEMES.find((scheme) => KEYS[scheme].algorithm === wanted);
}

/** Length and first byte; a point that is not on the curve has the form all the same. */
function hasKeyForm({ length, point }: KeyForm, publicKey: Uint8Array): boolean {
  if (point === undefined) return publicKey.length === length;
  const first = publicKey[0];
  if (publicKey.length === length) return first === 4;
  return publicKey.length === point.compressedLength && (first === 2 || first === 3);
}

/** The whole point; undefined: it is not on the curve. */
function uncompressed({ point }: KeyForm, publicKey: Uint8Array): Uint8Array | undefined {
  try {
    return ECDH.convertKey(publicKey, point?.name ?? "", undefined, undefined, "uncompressed") as Buffer;
  } catch {
    return undefined;
  }
}

/** RFC 5480. */
function subjectPublicKeyInfo({ algorithm }: KeyForm, publicKey: Uint8Array): Buffer {
  const bits = Buffer.concat([derHeader(0x03, publicKey.length + 1), Buffer.of(0), publicKey]);
  const body = Buffer.concat([Buffer.from(algorithm, "hex"), bits]);
  return Buffer.concat([derHeader(0x30, body.length), body]);
}

/** Tag and length, below 256. */
function derHeader(tag: number, length: number): Buffer {
  return length < 0x80 ? Buffer.of(tag, length) : Buffer.of(tag, 0x81, length);
}

function jsonWebKey(form: KeyForm, publicKey: Uint8Array): JsonWebKey | undefined {
  const { length, curve, point } = form;
  if (point === undefined) return { kty: "OKP", crv: curve, x: base64(publicKey) };
  const whole = publicKey.length === length ? publicKey : uncompressed(form, publicKey);
  if (whole === undefined) return undefined;
  const half = (length - 1) / 2;
  return { kty: "EC", crv: curve, x: base64(whole.subarray(1, 1 + half)), y: base64(whole.subarray(1 + half)) };
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("base64url");
}
