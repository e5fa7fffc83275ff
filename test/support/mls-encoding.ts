// Between ts-mls' structures and bytes: whole messages only, nothing left over.
import {
  createGroupInfoWithExternalPub,
  createGroupInfoWithExternalPubAndRatchetTree,
  decodeMlsMessage,
  encodeMlsMessage,
  type CiphersuiteImpl,
  type ClientState,
  type KeyPackage,
  type MLSMessage,
  type RatchetTree,
} from "ts-mls";
import { encode } from "ts-mls/codec/tlsEncoder.js";
import { createGroupInfo } from "ts-mls/createCommit.js";
import { decodeRatchetTree, ratchetTreeEncoder } from "ts-mls/ratchetTree.js";

export interface GroupInfoOptions {
  readonly ratchetTree?: boolean;
  /** Default true, in ts-mls' own form (no inner length). */
  readonly externalPub?: boolean;
}

export async function encodeGroupInfo(
  state: ClientState,
  impl: CiphersuiteImpl,
  options: GroupInfoOptions,
): Promise<Uint8Array> {
  const { ratchetTree = false, externalPub = true } = options;
  const tree = { extensionType: "ratchet_tree" as const, extensionData: encode(ratchetTreeEncoder)(state.ratchetTree) };
  const groupInfo = externalPub
    ? ratchetTree
      ? await createGroupInfoWithExternalPubAndRatchetTree(state, [], impl)
      : await createGroupInfoWithExternalPub(state, [], impl)
    : await createGroupInfo(state.groupContext, state.confirmationTag, state, ratchetTree ? [tree] : [], impl);
  return encodeMlsMessage({ version: "mls10", wireformat: "mls_group_info", groupInfo });
}

export function keyPackageIn(mlsMessage: Uint8Array): { keyPackage: KeyPackage } {
  const message = decodeMessage(mlsMessage);
  if (message.wireformat !== "mls_key_package") throw new Error("not a KeyPackage");
  return { keyPackage: message.keyPackage };
}

export function decodeMessage(bytes: Uint8Array): MLSMessage {
  // ts-mls keeps views on what it decodes: give it bytes of its own.
  const decoded = decodeMlsMessage(Uint8Array.from(bytes), 0);
  if (decoded?.[1] !== bytes.length) throw new Error("not one whole MLSMessage");
  return decoded[0];
}

export function decodeTree(bytes: Uint8Array): RatchetTree {
  const decoded = decodeRatchetTree(Uint8Array.from(bytes), 0);
  if (decoded?.[1] !== bytes.length) throw new Error("not one whole ratchet tree");
  return decoded[0];
}

export function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
