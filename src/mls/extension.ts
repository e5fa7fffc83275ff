// Lists of extensions (RFC 9420 §13.4) and the context extensions that a back-end must understand.
import { decodeWhole, malformed, readCodePoints, readVector, Reader } from "./codec/reader.ts";
import { Writer } from "./codec/writer.ts";
import { readCredential } from "./credential.ts";
import { EXTENSION } from "./registries.ts";

export interface Extension {
  readonly type: number;
  readonly data: Uint8Array;
}

/** §11.1 required_capabilities. */
export interface RequiredCapabilities {
  readonly extensionTypes: readonly number[];
  readonly proposalTypes: readonly number[];
  readonly credentialTypes: readonly number[];
}

/** §12.1.8.1. */
export interface ExternalSender {
  readonly signatureKey: Uint8Array;
  /** The Credential struct with its type. */
  readonly credential: Uint8Array;
}

/** More are refused: no profile comes near, and each costs more memory than bytes. */
const EXTENSIONS_MAX = 256;
const EXTERNAL_SENDERS_MAX = 256;

/** A list of extensions; a type that stands twice is malformed (§13.4). */
export function readExtensions(reader: Reader): Extension[] {
  const seen = new Set<number>();
  return readVector(reader, EXTENSIONS_MAX, (element) => {
    const type = element.u16();
    if (seen.has(type)) malformed("an extension type stands twice", "EXTENSION_REPEATED", "13.4");
    seen.add(type);
    return { type, data: element.opaque() };
  });
}

/** Walks a list of extensions and keeps nothing. */
export function skipExtensions(reader: Reader): void {
  readExtensions(reader);
}

export function writeExtensions(writer: Writer, extensions: readonly Extension[]): void {
  const inner = new Writer();
  for (const extension of extensions) inner.u16(extension.type).opaque(extension.data);
  writer.opaque(inner.finish());
}

export function findExtension(extensions: readonly Extension[], type: number): Uint8Array | undefined {
  return extensions.find((extension) => extension.type === type)?.data;
}

/** The data of a required_capabilities extension. */
function readRequiredCapabilities(reader: Reader): RequiredCapabilities {
  return {
    extensionTypes: readCodePoints(reader),
    proposalTypes: readCodePoints(reader),
    credentialTypes: readCodePoints(reader),
  };
}

function readExternalSender(reader: Reader): ExternalSender {
  return { signatureKey: reader.opaque(), credential: readCredential(reader).bytes };
}

/**
 * The data of an external_senders extension: a vector, as the RFC has it, or one bare struct, as
 * ts-mls 1.6.4 writes and reads it.
 */
function readExternalSenders(data: Uint8Array): readonly ExternalSender[] {
  const listed = decodeWhole(data, (reader) => readVector(reader, EXTERNAL_SENDERS_MAX, readExternalSender));
  if (listed.kind === "ok") return listed.value;
  const single = decodeWhole(data, readExternalSender);
  return single.kind === "ok" ? [single.value] : malformed("external_senders of no known form");
}

export function encodeExternalSender(sender: ExternalSender): Uint8Array {
  return new Writer().opaque(sender.signatureKey).raw(sender.credential).finish();
}

/** Of context extensions that `checkContextExtensions` took. */
export function requiredCapabilitiesIn(extensions: readonly Extension[]): RequiredCapabilities | undefined {
  const data = findExtension(extensions, EXTENSION.requiredCapabilities);
  return data && readRequiredCapabilities(new Reader(data));
}

/** Of context extensions that `checkContextExtensions` took. */
export function externalSendersIn(extensions: readonly Extension[]): readonly ExternalSender[] {
  const data = findExtension(extensions, EXTENSION.externalSenders);
  return data === undefined ? [] : readExternalSenders(data);
}

/** Context extensions whose data the back-end reads must decode; others pass unread. */
export function checkContextExtensions(extensions: readonly Extension[]): void {
  for (const { type, data } of extensions) {
    if (type === EXTENSION.externalSenders) readExternalSenders(data);
    if (type !== EXTENSION.requiredCapabilities) continue;
    const reader = new Reader(data);
    readRequiredCapabilities(reader);
    reader.expectEnd();
  }
}
