// The Credential struct (RFC 9420 §5.3): read, written, compared. Judging one is a provider's business.
import { decodeWhole, malformed, readVector, type Decoded, type Reader } from "./codec/reader.ts";
import { Writer } from "./codec/writer.ts";
import { CREDENTIAL } from "./registries.ts";
import { equalBytes } from "./suites.ts";

export type Credential =
  | { readonly type: "basic"; readonly typeCode: 1; readonly identity: Uint8Array; readonly bytes: Uint8Array }
  | {
      readonly type: "x509";
      readonly typeCode: 2;
      /** DER, the end entity first. */
      readonly certificates: readonly Uint8Array[];
      readonly bytes: Uint8Array;
    }
  | { readonly type: "unknown"; readonly typeCode: number; readonly data: Uint8Array; readonly bytes: Uint8Array };

const CERTIFICATES_MAX = 32;

/**
 * Reads one Credential. Types without a definition are read as one opaque vector, the form that
 * every registered type has so far.
 */
export function readCredential(reader: Reader): Credential {
  const start = reader.offset;
  const typeCode = reader.u16();
  if (typeCode === 0) malformed("a credential of the reserved type");
  if (typeCode === CREDENTIAL.basic) {
    const identity = reader.opaque();
    return { type: "basic", typeCode: 1, identity, bytes: reader.since(start) };
  }
  if (typeCode === CREDENTIAL.x509) {
    const certificates = readVector(reader, CERTIFICATES_MAX, (element) => element.opaque());
    return { type: "x509", typeCode: 2, certificates, bytes: reader.since(start) };
  }
  const data = reader.opaque();
  return { type: "unknown", typeCode, data, bytes: reader.since(start) };
}

export function decodeCredential(bytes: Uint8Array): Decoded<Credential> {
  return decodeWhole(bytes, readCredential);
}

export function encodeBasicCredential(identity: Uint8Array): Uint8Array {
  return new Writer(identity.length + 8).u16(CREDENTIAL.basic).opaque(identity).finish();
}

export function encodeX509Credential(certificates: readonly Uint8Array[]): Uint8Array {
  const chain = new Writer();
  for (const certificate of certificates) chain.opaque(certificate);
  return new Writer().u16(CREDENTIAL.x509).opaque(chain.finish()).finish();
}

/** Byte equality of whole structs: the encoding is canonical. */
export function equalCredentials(a: Uint8Array, b: Uint8Array): boolean {
  return equalBytes(a, b);
}
