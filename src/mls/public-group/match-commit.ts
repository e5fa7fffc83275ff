// What comes beside a Commit is matched with it: its GroupInfo (PROTOCOL M3) and its Welcomes (M4).
import { verifyGroupInfoSignature, type GroupInfo } from "../group-info.ts";
import { encodedTreeSize, encodeRatchetTree } from "../ratchet-tree.ts";
import type { Judge, MlsRefusal } from "../rules.ts";
import { equalBytes } from "../suites.ts";
import type { Welcome } from "../welcome.ts";
import type { PublicGroup } from "./public-group.ts";

/**
 * A GroupInfo for the epoch that `group` is in: equal in context and confirmation tag, signed by a
 * member; beside a commit (`committer` given), by the committer.
 */
export async function matchGroupInfo(
  group: PublicGroup,
  info: GroupInfo,
  committer: number | undefined,
  judge: Judge,
): Promise<MlsRefusal | undefined> {
  const signer = group.tree.leaf(info.signer);
  const otherSigner = signer === undefined || (committer !== undefined && info.signer !== committer);
  const refusal =
    judge.when(!equalBytes(info.groupContext, group.groupContext), "GROUP_INFO_CONTEXT") ??
    judge.when(!equalBytes(info.confirmationTag, group.confirmationTag), "GROUP_INFO_TAG") ??
    judge.when(otherSigner, "GROUP_INFO_SIGNER") ??
    judge.when(info.ratchetTree !== undefined && !isTreeOf(group, info.ratchetTree), "GROUP_INFO_TREE");
  if (refusal !== undefined) return refusal;
  return judge.unless(async () => {
    return signer !== undefined && verifyGroupInfoSignature(info, signer.signatureKey);
  }, "GROUP_INFO_SIGNATURE");
}

/** The Welcomes together address exactly the added packages, each once. */
export function matchWelcomes(
  welcomes: readonly Welcome[],
  addedRefs: readonly Uint8Array[],
  ciphersuite: number,
  judge: Judge,
): MlsRefusal | undefined {
  const added = new Set(addedRefs.map(textOf));
  const addressed = welcomes.flatMap(({ secrets }) => secrets.map(({ keyPackageRef }) => textOf(keyPackageRef)));
  const distinct = new Set(addressed);
  return (
    judge.when(
      welcomes.some((welcome) => welcome.ciphersuite !== ciphersuite),
      "WELCOME_CIPHERSUITE",
    ) ??
    judge.when(!addressed.every((ref) => added.has(ref)), "WELCOME_ADDRESSES") ??
    judge.when(
      welcomes.some(({ secrets }) => secrets.length === 0),
      "WELCOME_ADDRESSES",
    ) ??
    judge.when(distinct.size !== addressed.length, "WELCOME_ONCE") ??
    judge.when(![...added].every((ref) => distinct.has(ref)), "WELCOME_MISSING")
  );
}

/** Whoever sent the tree sent its bytes, so comparing them costs no more than receiving them did. */
function isTreeOf(group: PublicGroup, ratchetTree: Uint8Array): boolean {
  if (ratchetTree.length !== encodedTreeSize(group.tree)) return false;
  return equalBytes(ratchetTree, encodeRatchetTree(group.tree));
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
}
