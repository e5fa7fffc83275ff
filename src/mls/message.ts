// The MLSMessage envelope (RFC 9420 §6): version, wire format, body, and nothing after it.
import { decodeWhole, malformed, type Decoded, type Reader } from "./codec/reader.ts";
import { Writer } from "./codec/writer.ts";
import { MLS_10, WIRE_FORMAT } from "./registries.ts";

const NAMES: Readonly<Record<number, string>> = {
  [WIRE_FORMAT.publicMessage]: "a PublicMessage",
  [WIRE_FORMAT.privateMessage]: "a PrivateMessage",
  [WIRE_FORMAT.welcome]: "a Welcome",
  [WIRE_FORMAT.groupInfo]: "a GroupInfo",
  [WIRE_FORMAT.keyPackage]: "a KeyPackage",
};

/** Decodes a whole MLSMessage of one of the wire formats in `read`. */
export function decodeMessage<T>(
  mlsMessage: Uint8Array,
  read: Readonly<Record<number, (body: Reader) => T>>,
): Decoded<T> {
  return decodeWhole(mlsMessage, (reader) => {
    if (reader.u16() !== MLS_10) malformed("not a message of MLS 1.0");
    const wireFormat = reader.u16();
    const readBody = read[wireFormat];
    if (readBody === undefined) malformed(`${NAMES[wireFormat] ?? "an unknown wire format"} does not belong here`);
    return readBody(reader);
  });
}

export function encodeMessage(wireFormat: number, body: Uint8Array): Uint8Array {
  return new Writer(body.length + 4).u16(MLS_10).u16(wireFormat).raw(body).finish();
}
