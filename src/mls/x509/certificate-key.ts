// The public key of a certificate, and signatures made with it: of the schemes that the ciphersuites of MLS sign with
// (RFC 9420 §17.1), and no others. RSA and SHA-1 are not known here.
import { verify } from "node:crypto";
import { importPublicKey, signatureSchemeOfKey, suiteOf, type Ciphersuite, type SignatureScheme } from "../suites.ts";
import { readWholeDer, TAG } from "./der-reader.ts";

export interface CertificateKey {
  readonly scheme: SignatureScheme;
  /** As the SubjectPublicKeyInfo has it: an Edwards key, or a point, compressed or not. */
  readonly bytes: Uint8Array;
}

/** DER of a signature's AlgorithmIdentifier, in hex (RFC 5758 §3.2, RFC 8410 §3: no parameters), and the hash. */
const SIGNATURES: Readonly<Record<SignatureScheme, { readonly algorithm: string; readonly hash: string | null }>> = {
  ed25519: { algorithm: "300506032b6570", hash: null },
  ed448: { algorithm: "300506032b6571", hash: null },
  p256: { algorithm: "300a06082a8648ce3d040302", hash: "sha256" },
  p384: { algorithm: "300a06082a8648ce3d040303", hash: "sha384" },
  p521: { algorithm: "300a06082a8648ce3d040304", hash: "sha512" },
};
const SCHEMES = Object.keys(SIGNATURES) as SignatureScheme[];

/** By which a certificate was signed; undefined: by a scheme that no ciphersuite has. */
export function signatureSchemeOf(algorithm: Uint8Array): SignatureScheme | undefined {
  const wanted = Buffer.from(algorithm).toString("hex");
  return SCHEMES.find((scheme) => SIGNATURES[scheme].algorithm === wanted);
}

/** undefined: a key that no ciphersuite signs with, or none at all. @throws MalformedDer */
export function readCertificateKey(publicKeyInfo: Uint8Array): CertificateKey | undefined {
  return readWholeDer(publicKeyInfo, (reader) => {
    const fields = reader.inside(TAG.sequence);
    const scheme = signatureSchemeOfKey(fields.element(TAG.sequence).whole);
    const bytes = fields.bitStringBytes();
    fields.expectEnd();
    return scheme === undefined || importPublicKey(scheme, bytes) === undefined ? undefined : { scheme, bytes };
  });
}

/** Whether `signature` over `signed` was made with `key`, by that scheme. */
export function verifiesUnder(
  key: CertificateKey | undefined,
  scheme: SignatureScheme | undefined,
  signed: Uint8Array,
  signature: Uint8Array,
): boolean {
  if (key === undefined || key.scheme !== scheme) return false;
  const imported = importPublicKey(key.scheme, key.bytes);
  return imported !== undefined && verify(SIGNATURES[key.scheme].hash, signed, imported, signature);
}

/** Whether a signature key, as the suite encodes it (RFC 9420 §5.1.1), is the certificate's; compressed or not. */
export function isKeyOf(
  { scheme, bytes }: CertificateKey,
  signatureKey: Uint8Array,
  ciphersuite: Ciphersuite,
): boolean {
  if (suiteOf(ciphersuite).signature !== scheme) return false;
  const [own, given] = [importPublicKey(scheme, bytes), importPublicKey(scheme, signatureKey)];
  return own !== undefined && given !== undefined && own.equals(given);
}
