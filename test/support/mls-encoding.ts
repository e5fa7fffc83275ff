// Between ts-mls' structures and bytes: whole messages only, nothing left over.
import {
  decodeMlsMessage,
  encodeMlsMessage,
  type CiphersuiteImpl,
  type ClientState,
  type Extension,
  type KeyPackage,
  type MLSMessage,
  type RatchetTree,
} from "ts-mls";
import { encode } from "ts-mls/codec/tlsEncoder.js";
import { createGroupInfo } from "ts-mls/createCommit.js";
import { decodeRatchetTree, ratchetTreeEncoder } from "ts-mls/ratchetTree.js";

export interface GroupInfoOptions {
  readonly ratchetTree?: boolean;
  /** Default true: in ts-mls' own form, without the inner length that RFC 9420 §12.4.3.2 gives it. */
  readonly externalPub?: boolean | "rfc";
}

export async function encodeGroupInfo(
  state: ClientState,
  impl: CiphersuiteImpl,
  options: GroupInfoOptions,
): Promise<Uint8Array> {
  const { ratchetTree = false, externalPub = true } = options;
  const extensions: Extension[] = [];
  if (ratchetTree) {
    extensions.push({ extensionType: "ratchet_tree", extensionData: encode(ratchetTreeEncoder)(state.ratchetTree) });
  }
  if (externalPub !== false) {
    const keyPair = await impl.hpke.deriveKeyPair(state.keySchedule.externalSecret);
    const key = await impl.hpke.exportPublicKey(keyPair.publicKey);
    extensions.push({ extensionType: "external_pub", extensionData: externalPub === "rfc" ? vector(key) : key });
  }
  const groupInfo = await createGroupInfo(state.groupContext, state.confirmationTag, state, extensions, impl);
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

/** §2.1.2: the bytes after their length; shorter than 16 KiB. */
export function vector(bytes: Uint8Array): Uint8Array {
  const { length } = bytes;
  const header = length < 64 ? [length] : [0x40 | (length >> 8), length & 0xff];
  return Uint8Array.from([...header, ...bytes]);
}

/** What such a vector holds. */
export function withoutLength(bytes: Uint8Array): Uint8Array {
  return bytes.slice((bytes[0] ?? 0) < 64 ? 1 : 2);
}

export function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
