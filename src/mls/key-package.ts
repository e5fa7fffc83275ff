// KeyPackage (RFC 9420 §10): bytes to facts. Whether one is acceptable is key-package-check's business.
import { malformed, type Decoded, type Reader } from "./codec/reader.ts";
import { findExtension, readExtensions, type Extension } from "./extension.ts";
import { readLeafNode, type Capabilities, type LeafNode, type LeafNodeSource } from "./leaf-node.ts";
import { decodeMessage } from "./message.ts";
import { EXTENSION, WIRE_FORMAT } from "./registries.ts";
import { isCiphersuite, keyPackageRef, verifyWithLabel, type Ciphersuite } from "./suites.ts";

/** A KeyPackage as decoded; fields are views on its own bytes. */
export interface KeyPackage {
  readonly version: number;
  readonly ciphersuite: number;
  readonly initKey: Uint8Array;
  readonly leafNode: LeafNode;
  readonly extensions: readonly Extension[];
  readonly signature: Uint8Array;
  /** KeyPackageTBS. */
  readonly toBeSigned: Uint8Array;
  /** The bare KeyPackage. */
  readonly bytes: Uint8Array;
}

export interface KeyPackageFacts {
  readonly ref: Uint8Array;
  readonly version: number;
  readonly ciphersuite: Ciphersuite;
  readonly initKey: Uint8Array;
  readonly encryptionKey: Uint8Array;
  readonly signatureKey: Uint8Array;
  /** The Credential struct with its type. */
  readonly credential: Uint8Array;
  readonly capabilities: Capabilities;
  /** Unix milliseconds; an instant beyond what a number holds exactly is the largest that it does. */
  readonly lifetime: { readonly notBeforeMs: number; readonly notAfterMs: number };
  readonly extensions: readonly Extension[];
  readonly leafNodeSource: LeafNodeSource;
  /** Marked by the last_resort extension. */
  readonly lastResortMarked: boolean;
  /** The KeyPackage without its MLSMessage envelope. */
  readonly bare: Uint8Array;
}

export function readKeyPackageStruct(reader: Reader): KeyPackage {
  const start = reader.offset;
  const version = reader.u16();
  const ciphersuite = reader.u16();
  const initKey = reader.opaque();
  const leafNode = readLeafNode(reader);
  const extensions = readExtensions(reader);
  const toBeSigned = reader.since(start);
  const signature = reader.opaque();
  return { version, ciphersuite, initKey, leafNode, extensions, signature, toBeSigned, bytes: reader.since(start) };
}

/** Decodes an MLSMessage that holds a KeyPackage of any version and ciphersuite. */
export function decodeKeyPackage(mlsMessage: Uint8Array): Decoded<KeyPackage> {
  return decodeMessage(mlsMessage, { [WIRE_FORMAT.keyPackage]: readKeyPackageStruct });
}

/** Decodes an MLSMessage that holds a KeyPackage of a known ciphersuite, made from a leaf node of source key_package. */
export function readKeyPackage(mlsMessage: Uint8Array): Decoded<KeyPackageFacts> {
  return decodeMessage(mlsMessage, {
    [WIRE_FORMAT.keyPackage]: (reader) => {
      const keyPackage = readKeyPackageStruct(reader);
      return keyPackageFacts(keyPackage) ?? malformed(`ciphersuite ${keyPackage.ciphersuite} is not known`);
    },
  });
}

/** Undefined when the ciphersuite is not known, and with it the reference. */
export function keyPackageFacts(keyPackage: KeyPackage): KeyPackageFacts | undefined {
  const { ciphersuite, leafNode } = keyPackage;
  if (!isCiphersuite(ciphersuite)) return undefined;
  const lifetime = leafNode.lifetime;
  return {
    ref: keyPackageRef(ciphersuite, keyPackage.bytes),
    version: keyPackage.version,
    ciphersuite,
    initKey: keyPackage.initKey.slice(),
    encryptionKey: leafNode.encryptionKey.slice(),
    signatureKey: leafNode.signatureKey.slice(),
    credential: leafNode.credential.slice(),
    capabilities: leafNode.capabilities,
    lifetime: {
      notBeforeMs: lifetime === undefined ? 0 : millisecondsOf(lifetime.notBefore),
      notAfterMs: lifetime === undefined ? 0 : millisecondsOf(lifetime.notAfter),
    },
    extensions: keyPackage.extensions.map(({ type, data }) => ({ type, data: data.slice() })),
    leafNodeSource: leafNode.source,
    lastResortMarked: findExtension(keyPackage.extensions, EXTENSION.lastResort) !== undefined,
    bare: keyPackage.bytes.slice(),
  };
}

/** Of a KeyPackage with a known ciphersuite: the signature over the package itself, not over its leaf node. */
export function verifyKeyPackageSignature(keyPackage: KeyPackage, ciphersuite: Ciphersuite): Promise<boolean> {
  const { leafNode, toBeSigned, signature } = keyPackage;
  return verifyWithLabel(ciphersuite, leafNode.signatureKey, "KeyPackageTBS", toBeSigned, signature);
}

/** Unix seconds of 64 bits to milliseconds; saturates. */
export function millisecondsOf(seconds: bigint): number {
  const milliseconds = seconds * 1000n;
  return milliseconds > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : Number(milliseconds);
}
