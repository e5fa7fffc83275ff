// What `ordering` tracking can check of the MLS bytes that come with a group's requests (PROTOCOL §4, §5):
// shape, group, epoch, suite; GroupInfo and tree against each other. Off the turn; keeps nothing.
import type { NewTree } from "../actors/group-trees.ts";
import type { Malformed } from "../mls/codec/reader.ts";
import { readGroupInfo, verifyGroupInfoSignature, type GroupInfo } from "../mls/group-info.ts";
import { readRatchetTreeWork } from "../mls/ratchet-tree.ts";
import { equalBytes, type Ciphersuite } from "../mls/suites.ts";
import { readWelcome } from "../mls/welcome.ts";
import { hashTreeWork } from "../mls/tree/validate-tree.ts";
import type { PublicTree } from "../mls/tree/public-tree.ts";
import { TreeHasher } from "../mls/tree/tree-hasher.ts";
import { finishInSteps } from "../mls/work.ts";
import type { Refused } from "../actors/actor-port.ts";
import type { Reason } from "../protocol/reasons.ts";
import { pause, refused } from "./service-ports.ts";

export interface CheckedTree {
  readonly kind: "tree";
  readonly tree: PublicTree;
  readonly stored: NewTree;
}

export interface CheckedGroupInfo {
  readonly kind: "groupInfo";
  readonly info: GroupInfo;
  /** Present where a tree came with it, in its extension or beside it. */
  readonly tree: CheckedTree | undefined;
}

/** `details` say which rule of which section is broken (RFC 9420 unless it says otherwise). */
export function broken(reason: Reason, rule: string, section: string, message: string): Refused {
  return refused(reason, { message, details: { rule, section } });
}

/** Bytes that can't be read name their own rule and section. */
export function malformedBytes(reason: Reason, { rule, section, why }: Malformed): Refused {
  return broken(reason, rule, section, why);
}

/** A GroupInfo and, where one came, its tree: hashes equal, signer in the tree, signature right (§12.4.3). */
export async function checkGroupInfo(
  bytes: Uint8Array,
  beside: Uint8Array | undefined,
): Promise<CheckedGroupInfo | Refused> {
  const decoded = readGroupInfo(bytes);
  if (decoded.kind === "malformed") return malformedBytes("GROUP_INFO_INVALID", decoded);
  const info = decoded.value;
  const treeBytes = beside ?? info.ratchetTree;
  if (treeBytes === undefined) return { kind: "groupInfo", info, tree: undefined };
  if (beside !== undefined && info.ratchetTree !== undefined && !equalBytes(beside, info.ratchetTree)) {
    return broken("TREE_INVALID", "GROUP_INFO_TREE", "12.4.3.3", "the tree beside the GroupInfo is not the one in it");
  }
  const tree = await checkTree(treeBytes, info.ciphersuite, info.treeHash);
  if (tree.kind === "refused") return tree;
  return (await checkSignedBy(info, tree.tree)) ?? { kind: "groupInfo", info, tree };
}

/** The signer is a member and the signature its own. */
export async function checkSignedBy(info: GroupInfo, tree: PublicTree): Promise<Refused | undefined> {
  const signer = tree.leaf(info.signer);
  if (signer === undefined) {
    return broken("GROUP_INFO_INVALID", "GROUP_INFO_SIGNER", "12.4.3", "the signer's leaf is blank");
  }
  if (await verifyGroupInfoSignature(info, signer.signatureKey)) return undefined;
  return broken("GROUP_INFO_INVALID", "GROUP_INFO_SIGNATURE", "12.4.3", "the signature is not the signer's");
}

/** O(members), so in steps: the event loop stays free (M9). */
async function checkTree(
  bytes: Uint8Array,
  ciphersuite: Ciphersuite,
  treeHash: Uint8Array,
): Promise<CheckedTree | Refused> {
  const decoded = await finishInSteps(readRatchetTreeWork(bytes, new TreeHasher(ciphersuite)), pause);
  if (decoded.kind === "malformed") return malformedBytes("TREE_INVALID", decoded);
  const tree = decoded.value;
  if (!equalBytes(await finishInSteps(hashTreeWork(tree), pause), treeHash)) {
    return broken("TREE_INVALID", "TREE_HASH", "7.8", "the tree's hash is not the one in the GroupContext");
  }
  const stored = {
    encoded: bytes,
    treeHash: Buffer.from(treeHash).toString("base64"),
    bytes: bytes.length,
    members: tree.memberCount,
  };
  return { kind: "tree", tree, stored };
}

export interface AddressedWelcomes {
  readonly kind: "welcomes";
  /** By hex of the key package's ref: a Welcome with that recipient's secrets only. */
  readonly byRef: ReadonlyMap<string, { readonly keyPackageRef: Uint8Array; readonly welcome: Uint8Array }>;
}

/** Every recipient gets a copy of the group info: a message of megabytes could ask for more than there is memory. */
const SPLIT_BYTES_MAX = 32 * 1024 * 1024;

/** Splits Welcomes by recipient: each gets its own secrets only (§12.4.3.1). */
export function splitWelcomes(welcomes: readonly Uint8Array[], ciphersuite: number): AddressedWelcomes | Refused {
  const byRef = new Map<string, { keyPackageRef: Uint8Array; welcome: Uint8Array }>();
  let splitBytes = 0;
  for (const bytes of welcomes) {
    const decoded = readWelcome(bytes);
    if (decoded.kind === "malformed") return malformedBytes("WELCOME_MISMATCH", decoded);
    if (decoded.value.ciphersuite !== ciphersuite) {
      return broken(
        "WELCOME_MISMATCH",
        "WELCOME_CIPHERSUITE",
        "12.4.3.1",
        "the Welcome is not of the group's ciphersuite",
      );
    }
    const { secrets, encryptedGroupInfo } = decoded.value;
    splitBytes += bytes.length + secrets.length * encryptedGroupInfo.length;
    if (splitBytes > SPLIT_BYTES_MAX) {
      const message = `split by recipient the Welcomes have more than ${String(SPLIT_BYTES_MAX)} bytes: add fewer clients at once, or send the tree beside the GroupInfo`;
      return refused("BAD_PARAMS", { message, details: { path: "welcomes" } });
    }
    for (const { keyPackageRef } of secrets) {
      const ref = Buffer.from(keyPackageRef).toString("hex");
      const welcome = decoded.value.forRecipient(keyPackageRef);
      if (byRef.has(ref) || welcome === undefined) {
        return broken("WELCOME_MISMATCH", "WELCOME_ONCE", "12.4.3.1", "a key package is addressed twice");
      }
      byRef.set(ref, { keyPackageRef, welcome });
    }
  }
  return { kind: "welcomes", byRef };
}
