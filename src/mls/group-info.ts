// GroupInfo (RFC 9420 §12.4.3): bytes to facts, and its signature. It is stored and served byte for byte.
import { malformed, type Decoded, type Reader } from "./codec/reader.ts";
import { lengthHeaderSize } from "./codec/writer.ts";
import { checkContextExtensions, findExtension, readExtensions, type Extension } from "./extension.ts";
import { readGroupContext, type GroupContext } from "./group-context.ts";
import { decodeMessage } from "./message.ts";
import { EXTENSION, MLS_10, WIRE_FORMAT } from "./registries.ts";
import { hpkeKeyLength, isCiphersuite, suiteOf, verifyWithLabel, type Ciphersuite } from "./suites.ts";

export interface GroupInfo {
  readonly version: number;
  readonly ciphersuite: Ciphersuite;
  readonly groupId: Uint8Array;
  readonly epoch: bigint;
  readonly treeHash: Uint8Array;
  readonly confirmedTranscriptHash: Uint8Array;
  readonly groupContextExtensions: readonly Extension[];
  /** GroupContext as it came. */
  readonly groupContext: Uint8Array;
  readonly extensions: readonly Extension[];
  /** The ratchet_tree extension's data. */
  readonly ratchetTree: Uint8Array | undefined;
  /** The key by which an external joiner starts, however it was wrapped. */
  readonly externalPub: Uint8Array | undefined;
  readonly hasExternalPub: boolean;
  readonly confirmationTag: Uint8Array;
  /** Leaf index. */
  readonly signer: number;
  readonly signature: Uint8Array;
  /** GroupInfoTBS. */
  readonly tbs: Uint8Array;
}

export function readGroupInfo(mlsMessage: Uint8Array): Decoded<GroupInfo> {
  return decodeMessage(mlsMessage, { [WIRE_FORMAT.groupInfo]: readGroupInfoStruct });
}

export function readGroupInfoStruct(reader: Reader): GroupInfo {
  const start = reader.offset;
  const context = readGroupContext(reader);
  const groupContext = reader.since(start);
  const ciphersuite = checkContext(context);
  const extensions = readExtensions(reader);
  const confirmationTag = reader.opaque();
  const signer = reader.u32();
  const tbs = reader.since(start);
  const signature = reader.opaque();
  const externalPubData = findExtension(extensions, EXTENSION.externalPub);
  const externalPub = externalPubData === undefined ? undefined : readExternalPub(externalPubData, ciphersuite);
  return {
    version: context.version,
    ciphersuite,
    groupId: context.groupId,
    epoch: context.epoch,
    treeHash: context.treeHash,
    confirmedTranscriptHash: context.confirmedTranscriptHash,
    groupContextExtensions: context.extensions,
    groupContext,
    extensions,
    ratchetTree: findExtension(extensions, EXTENSION.ratchetTree),
    externalPub,
    hasExternalPub: externalPub !== undefined,
    confirmationTag,
    signer,
    signature,
    tbs,
  };
}

/** The signer's key is in the leaf that `info.signer` names. */
export function verifyGroupInfoSignature(info: GroupInfo, signerKey: Uint8Array): Promise<boolean> {
  return verifyWithLabel(info.ciphersuite, signerKey, "GroupInfoTBS", info.tbs, info.signature);
}

export function groupContextOf(info: GroupInfo): GroupContext {
  return {
    version: info.version,
    ciphersuite: info.ciphersuite,
    groupId: info.groupId,
    epoch: info.epoch,
    treeHash: info.treeHash,
    confirmedTranscriptHash: info.confirmedTranscriptHash,
    extensions: info.groupContextExtensions,
  };
}

function checkContext(context: GroupContext): Ciphersuite {
  if (context.version !== MLS_10) malformed("the group is not of MLS 1.0");
  if (!isCiphersuite(context.ciphersuite)) return malformed(`ciphersuite ${context.ciphersuite} is not known`);
  if (context.treeHash.length !== suiteOf(context.ciphersuite).hashLength) malformed("a tree hash of another length");
  checkContextExtensions(context.extensions);
  return context.ciphersuite;
}

/**
 * The RFC's ExternalPub wraps the key in a vector; ts-mls 1.6.4 writes the bare key. Both are read, told
 * apart by the length that the suite's keys have. Only members can check the key: anything else passes.
 */
function readExternalPub(data: Uint8Array, ciphersuite: Ciphersuite): Uint8Array {
  const keyLength = hpkeKeyLength(ciphersuite);
  return data.length === keyLength + lengthHeaderSize(keyLength) ? data.subarray(data.length - keyLength) : data;
}
