// Welcome (RFC 9420 §12.4.3.1): who it addresses, and a Welcome for one recipient alone.
// The secrets stay sealed: they pass through as they came.
import { malformed, readVector, type Decoded, type Reader } from "./codec/reader.ts";
import { Writer } from "./codec/writer.ts";
import { decodeMessage, encodeMessage } from "./message.ts";
import { WIRE_FORMAT } from "./registries.ts";
import { isCiphersuite, suiteOf, type Ciphersuite } from "./suites.ts";

export interface Welcome {
  readonly ciphersuite: Ciphersuite;
  readonly secrets: readonly EncryptedGroupSecrets[];
  readonly encryptedGroupInfo: Uint8Array;
}

export interface EncryptedGroupSecrets {
  readonly keyPackageRef: Uint8Array;
  /** The struct as it came. */
  readonly bytes: Uint8Array;
}

const SECRETS_MAX = 65_536;

export function readWelcome(mlsMessage: Uint8Array): Decoded<Welcome> {
  return decodeMessage(mlsMessage, { [WIRE_FORMAT.welcome]: readWelcomeStruct });
}

export function readWelcomeStruct(reader: Reader): Welcome {
  const ciphersuite = reader.u16();
  if (!isCiphersuite(ciphersuite)) return malformed(`ciphersuite ${ciphersuite} is not known`);
  const { hashLength } = suiteOf(ciphersuite);
  const secrets = readVector(reader, SECRETS_MAX, (element) => readSecrets(element, hashLength));
  const encryptedGroupInfo = reader.opaque();
  return { ciphersuite, secrets, encryptedGroupInfo };
}

function readSecrets(reader: Reader, hashLength: number): EncryptedGroupSecrets {
  const start = reader.offset;
  const keyPackageRef = reader.opaque();
  if (keyPackageRef.length !== hashLength) malformed("a key package reference of no hash's length");
  reader.skipOpaque(); // kem_output
  reader.skipOpaque(); // ciphertext
  return { keyPackageRef, bytes: reader.since(start) };
}

/** A whole MLSMessage with one recipient's EncryptedGroupSecrets. */
export function welcomeFor(ciphersuite: number, secrets: Uint8Array, encryptedGroupInfo: Uint8Array): Uint8Array {
  const body = new Writer(secrets.length + encryptedGroupInfo.length + 16)
    .u16(ciphersuite)
    .opaque(secrets)
    .opaque(encryptedGroupInfo)
    .finish();
  return encodeMessage(WIRE_FORMAT.welcome, body);
}
