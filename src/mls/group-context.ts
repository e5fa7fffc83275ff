// GroupContext (RFC 9420 §8.1): read and written byte for byte.
import type { Reader } from "./codec/reader.ts";
import { Writer } from "./codec/writer.ts";
import { readExtensions, writeExtensions, type Extension } from "./extension.ts";

export interface GroupContext {
  readonly version: number;
  readonly ciphersuite: number;
  readonly groupId: Uint8Array;
  readonly epoch: bigint;
  readonly treeHash: Uint8Array;
  readonly confirmedTranscriptHash: Uint8Array;
  readonly extensions: readonly Extension[];
}

export function readGroupContext(reader: Reader): GroupContext {
  return {
    version: reader.u16(),
    ciphersuite: reader.u16(),
    groupId: reader.opaque(),
    epoch: reader.u64(),
    treeHash: reader.opaque(),
    confirmedTranscriptHash: reader.opaque(),
    extensions: readExtensions(reader),
  };
}

export function encodeGroupContext(context: GroupContext): Uint8Array {
  const writer = new Writer()
    .u16(context.version)
    .u16(context.ciphersuite)
    .opaque(context.groupId)
    .u64(context.epoch)
    .opaque(context.treeHash)
    .opaque(context.confirmedTranscriptHash);
  writeExtensions(writer, context.extensions);
  return writer.finish();
}
