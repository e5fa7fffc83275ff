// How each record of the embedded store is laid out in bytes. Pure; copies what it hands out.
import { packChunks, unpackChunks } from "../chunks.ts";
import type { Mark, NodeRecord, OwnerRecord, Receipt, StreamEntry, StreamHead } from "../store.ts";

export interface StoredOwner {
  readonly record: OwnerRecord;
  readonly receipt: Receipt | undefined;
}

export interface StoredTag {
  readonly version: number;
  readonly live: boolean;
  readonly tags: readonly string[];
  /** When a tombstone may go; 0 in a live entry. */
  readonly expiresAt: number;
}

export function encodeOwner(owner: StoredOwner): Uint8Array {
  const text = Buffer.from(JSON.stringify({ ...owner.record, applied: owner.receipt !== undefined }));
  return packChunks([text, ...(owner.receipt?.taken ?? [])]);
}

export function decodeOwner(bytes: Uint8Array): StoredOwner {
  const [text, ...taken] = unpackChunks(bytes);
  if (text === undefined) throw new Error("an owner record is empty");
  const { applied, ...record } = JSON.parse(Buffer.from(text).toString()) as OwnerRecord & { applied: boolean };
  return { record, receipt: applied ? { sequence: record.sequence, taken } : undefined };
}

/** Of a stream that was purged there is one byte more. */
const HEAD_BYTES = 16;

export function encodeHead(head: StreamHead): Uint8Array {
  const bytes = Buffer.alloc(head.purged === true ? HEAD_BYTES + 1 : HEAD_BYTES);
  bytes.writeDoubleBE(head.first, 0);
  bytes.writeDoubleBE(head.last, 8);
  return bytes;
}

export const EMPTY_HEAD: StreamHead = { first: 1, last: 0 };

export function decodeHead(bytes: Buffer | undefined): StreamHead {
  if (bytes === undefined) return EMPTY_HEAD;
  const head = { first: bytes.readDoubleBE(0), last: bytes.readDoubleBE(8) };
  return bytes.length > HEAD_BYTES ? { ...head, purged: true } : head;
}

export function encodeEntry(entry: StreamEntry): Uint8Array {
  const bytes = Buffer.alloc(9 + entry.type.length + entry.body.length);
  bytes.writeDoubleBE(entry.time, 0);
  bytes.writeUInt8(entry.type.length, 8);
  bytes.write(entry.type, 9, "latin1");
  bytes.set(entry.body, 9 + entry.type.length);
  return bytes;
}

export function decodeEntry(offset: number, bytes: Buffer): StreamEntry {
  const bodyAt = 9 + bytes.readUInt8(8);
  return {
    offset,
    time: bytes.readDoubleBE(0),
    type: bytes.toString("latin1", 9, bodyAt),
    body: new Uint8Array(bytes.subarray(bodyAt)),
  };
}

export function encodeMark(mark: Mark): Uint8Array {
  const time = Buffer.alloc(8);
  time.writeDoubleBE(mark.expiresAt);
  return Buffer.concat([time, packChunks([mark.bytes, ...mark.taken])]);
}

export function decodeMark(bytes: Buffer): Mark {
  const [value, ...taken] = unpackChunks(bytes, 8);
  if (value === undefined) throw new Error("a mark is empty");
  return { bytes: value, taken, expiresAt: bytes.readDoubleBE(0) };
}

export function encodeNumber(value: number): Uint8Array {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleBE(value);
  return bytes;
}

export function decodeNumber(bytes: Buffer | undefined): number {
  return bytes?.readDoubleBE(0) ?? 0;
}

export const encodeTag = (tag: StoredTag): Uint8Array => Buffer.from(JSON.stringify(tag));
export const decodeTag = (bytes: Buffer): StoredTag => JSON.parse(bytes.toString()) as StoredTag;
export const encodeNode = (node: NodeRecord): Uint8Array => Buffer.from(JSON.stringify(node));
export const decodeNode = (bytes: Buffer): NodeRecord => JSON.parse(bytes.toString()) as NodeRecord;
