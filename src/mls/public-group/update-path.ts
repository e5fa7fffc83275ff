// Judges a Commit's UpdatePath against the tree and merges it (RFC 9420 §7.5, §7.6, §12.4.2).
import type { UpdatePath } from "../commit.ts";
import type { LeafNode } from "../leaf-node.ts";
import type { MlsRefusal } from "../rules.ts";
import { equalBytes, isHpkeKey } from "../suites.ts";
import { countWithin } from "../tree/parent-node.ts";
import type { PathStep } from "../tree/public-tree.ts";
import type { GroupDraft } from "./group-draft.ts";
import { checkLeafNode, leafSignature, type LeafTerms, type SignatureCheck } from "./leaf-rules.ts";

export interface PathTerms extends LeafTerms {
  readonly groupId: Uint8Array;
  readonly leafIndex: number;
  /** The leaf node that the path's own replaces; of a joiner, its former one, if it removes one. */
  readonly before: LeafNode | undefined;
  /** A joiner's leaf node is judged like an added one (PROTOCOL M7). */
  readonly joins: boolean;
  /** Leaves added by this commit, rising: no path secret is encrypted to them. */
  readonly addedLeaves: readonly number[];
}

/** Merges the path into `draft`; it is in an undefined state after a refusal. */
export function applyUpdatePath(
  draft: GroupDraft,
  path: UpdatePath,
  terms: PathTerms,
): { readonly signature: SignatureCheck } | MlsRefusal {
  const { judge, leafIndex, before } = terms;
  const { leafNode } = path;
  const steps = draft.tree.filteredDirectPath(leafIndex);
  const sameKey = before !== undefined && equalBytes(before.encryptionKey, leafNode.encryptionKey);
  const keepsSignatureKey = before !== undefined && equalBytes(before.signatureKey, leafNode.signatureKey);
  const refusal =
    checkLeafNode(leafNode, "commit", terms.joins ? undefined : before, terms) ??
    judge.when(sameKey, "PATH_LEAF_KEY") ??
    judge.when(!keepsSignatureKey && draft.keys.holdsSignatureKey(leafNode.signatureKey), "SIGNATURE_KEY_UNIQUE") ??
    judge.when(!hasNewKeys(draft, path), "PATH_KEYS_NEW") ??
    judge.when(!hasKeyEncodings(path, terms), "PATH_KEY_ENCODING") ??
    judge.when(path.nodes.length !== steps.length, "PATH_LENGTH") ??
    judge.when(!hasCiphertexts(path, steps, terms.addedLeaves), "PATH_CIPHERTEXTS");
  if (refusal !== undefined) return refusal;
  const keys = steps.map((_, at) => path.nodes[at]?.encryptionKey ?? new Uint8Array(0));
  const parentHash = draft.mergePath(leafIndex, leafNode, keys);
  const chained = equalBytes(leafNode.parentHash ?? new Uint8Array(0), parentHash);
  const place = { groupId: terms.groupId, leafIndex };
  return judge.when(!chained, "PATH_PARENT_HASH") ?? { signature: leafSignature(leafNode, place, terms) };
}

/** None in the tree as the proposals left it, none twice. */
function hasNewKeys(draft: GroupDraft, path: UpdatePath): boolean {
  const keys = [path.leafNode.encryptionKey, ...path.nodes.map(({ encryptionKey }) => encryptionKey)];
  const texts = new Set(keys.map((key) => Buffer.from(key).toString("latin1")));
  return texts.size === keys.length && !keys.some((key) => draft.keys.holdsEncryptionKey(key));
}

function hasKeyEncodings(path: UpdatePath, { ciphersuite }: PathTerms): boolean {
  return path.nodes.every(({ encryptionKey }) => isHpkeKey(ciphersuite, encryptionKey));
}

/** One for each node of the copath's resolution, leaves added by this commit not counted. */
function hasCiphertexts(path: UpdatePath, steps: readonly PathStep[], addedLeaves: readonly number[]): boolean {
  return steps.every(({ copath, copathFirstLeaf }, at) => {
    const added = countWithin(addedLeaves, copathFirstLeaf, copathFirstLeaf + 2 ** copath.level);
    return path.nodes[at]?.ciphertextCount === copath.resolutionSize - added;
  });
}
