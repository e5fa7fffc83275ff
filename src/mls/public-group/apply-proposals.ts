// Judges each proposal by itself against the group and applies the list in the RFC's order (§12.3).
import type { Extension } from "../extension.ts";
import { requiredCapabilitiesIn } from "../extension.ts";
import { keyPackageRef } from "../suites.ts";
import type { LeafNode } from "../leaf-node.ts";
import type { PreSharedKeyId } from "../proposal.ts";
import type { Judge, MlsRefusal } from "../rules.ts";
import { equalBytes, suiteOf } from "../suites.ts";
import type { Work } from "../work.ts";
import { CapabilityDraft } from "./capability-counters.ts";
import type { GroupDraft } from "./group-draft.ts";
import {
  addedPackageSignatures,
  checkAddedPackage,
  checkLeafNode,
  leafSignature,
  type LeafTerms,
  type SignatureCheck,
} from "./leaf-rules.ts";
import type { ProposalList } from "./proposal-list.ts";
import type { PublicGroup } from "./public-group.ts";

/** A leaf that a commit brings in. */
export interface EnteredLeaf {
  readonly leafIndex: number;
  readonly leafNode: LeafNode;
  /** Of Adds; an external joiner has none. */
  readonly keyPackageRef: Uint8Array | undefined;
}

/** A leaf that a commit takes away, as it was. */
export interface LeftLeaf {
  readonly leafIndex: number;
  readonly leafNode: LeafNode;
}

/** A leaf that stays, with another leaf node. */
export interface ChangedLeaf {
  readonly leafIndex: number;
  readonly before: LeafNode;
  readonly after: LeafNode;
}

export interface AppliedProposals {
  readonly entered: readonly EnteredLeaf[];
  readonly left: readonly LeftLeaf[];
  readonly changed: readonly ChangedLeaf[];
  readonly signatures: readonly SignatureCheck[];
}

/** Few, as each copies a path and has its keys imported. */
const PROPOSALS_PER_STEP = 32;

/** Applies to `draft`; it is in an undefined state after a refusal. */
export function* applyProposals(
  group: PublicGroup,
  draft: GroupDraft,
  list: ProposalList,
  terms: LeafTerms,
): Work<AppliedProposals | MlsRefusal> {
  const { judge } = terms;
  const signatures: SignatureCheck[] = [];
  const changed: ChangedLeaf[] = [];
  for (const { leafIndex, leafNode, judgedBefore } of list.updates) {
    if (changed.length % PROPOSALS_PER_STEP === PROPOSALS_PER_STEP - 1) yield;
    const before = draft.tree.leaf(leafIndex);
    const refusal = checkUpdate(leafNode, before, terms) ?? checkUpdatedKeys(draft, leafNode, before, judge);
    if (refusal !== undefined) return refusal;
    if (before === undefined) continue;
    draft.update(leafIndex, leafNode);
    changed.push({ leafIndex, before, after: leafNode });
    if (!judgedBefore) signatures.push(leafSignature(leafNode, { groupId: group.groupId, leafIndex }, terms));
  }
  const left: LeftLeaf[] = [];
  for (const leafIndex of list.removes) {
    if (left.length % PROPOSALS_PER_STEP === PROPOSALS_PER_STEP - 1) yield;
    const leafNode = draft.tree.leaf(leafIndex);
    const refusal = judge.when(leafNode === undefined, "REMOVE_MEMBER");
    if (refusal !== undefined) return refusal;
    if (leafNode === undefined) continue;
    draft.remove(leafIndex);
    left.push({ leafIndex, leafNode });
  }
  // Only a Remove truncates (§12.1.3), whatever tree a group was founded with.
  if (list.removes.length > 0) draft.truncate();
  const added = yield* applyAdds(group, draft, list, terms);
  if ("kind" in added) return added;
  return { entered: added.entered, left, changed, signatures: [...signatures, ...added.signatures] };
}

/** §12.1.2, §7.3: an Update's leaf node beside the one that it replaces. */
export function checkUpdate(
  leafNode: LeafNode,
  before: LeafNode | undefined,
  terms: LeafTerms,
): MlsRefusal | undefined {
  const { judge } = terms;
  const sameKey = before !== undefined && equalBytes(before.encryptionKey, leafNode.encryptionKey);
  return (
    judge.when(before === undefined, "SENDER_MEMBER") ??
    checkLeafNode(leafNode, "update", before, terms) ??
    judge.when(sameKey, "UPDATE_KEY")
  );
}

/** §12.1.4. */
export function checkPreSharedKeys(
  keys: readonly PreSharedKeyId[],
  group: PublicGroup,
  judge: Judge,
): MlsRefusal | undefined {
  const { hashLength } = suiteOf(group.ciphersuite);
  const nonces = keys.every(({ nonce }) => nonce.length === hashLength);
  // Only a group's first commit can be part of a reinitialization or of branching.
  const bound = keys.some((key) => key.type === "resumption" && key.usage !== "application");
  return judge.when(!nonces, "PSK_NONCE") ?? judge.when(bound && group.epoch !== 0n, "PSK_USAGE");
}

/** §12.2: types beyond the RFC's own are supported by all that go on, as they are before the commit. */
export function checkProposalSupport(group: PublicGroup, list: ProposalList, judge: Judge): MlsRefusal | undefined {
  if (list.otherTypes.size === 0) return undefined;
  const { counters, tree, credentialTypes } = group.state;
  const staying = new CapabilityDraft(counters, tree.memberCount, credentialTypes);
  for (const leafIndex of list.removes) {
    const leafNode = tree.leaf(leafIndex);
    if (leafNode !== undefined) staying.remove(leafNode);
  }
  const supported = [...list.otherTypes].every((type) => staying.supportsProposal(type));
  return judge.when(!supported, "PROPOSAL_TYPE_SUPPORT");
}

/** §7.3, §11.1, §13.4, once everything is applied: what the members of the new epoch must support together. */
export function checkDraftSupport(
  draft: GroupDraft,
  contextExtensions: readonly Extension[],
  judge: Judge,
): MlsRefusal | undefined {
  const { capabilities } = draft;
  const required = requiredCapabilitiesIn(contextExtensions);
  return (
    judge.when(required !== undefined && !capabilities.supportsRequired(required), "REQUIRED_CAPABILITIES") ??
    judge.when(!capabilities.supportsContext(contextExtensions), "CONTEXT_EXTENSION_SUPPORT") ??
    judge.when(!capabilities.supportsCredentialsInUse(), "CREDENTIAL_TYPE_SUPPORT")
  );
}

function* applyAdds(
  group: PublicGroup,
  draft: GroupDraft,
  list: ProposalList,
  terms: LeafTerms,
): Work<Pick<AppliedProposals, "entered" | "signatures"> | MlsRefusal> {
  const { judge } = terms;
  const entered: EnteredLeaf[] = [];
  const signatures: SignatureCheck[] = [];
  for (const { keyPackage, judgedBefore } of list.adds) {
    if (entered.length % PROPOSALS_PER_STEP === PROPOSALS_PER_STEP - 1) yield;
    const { leafNode } = keyPackage;
    const refusal =
      checkAddedPackage(keyPackage, group.context.version, terms) ??
      judge.when(draft.keys.holdsSignatureKey(leafNode.signatureKey), "ADD_DUPLICATE") ??
      judge.when(draft.keys.holdsEncryptionKey(leafNode.encryptionKey), "ENCRYPTION_KEY_UNIQUE");
    if (refusal !== undefined) return refusal;
    const leafIndex = draft.add(leafNode);
    entered.push({ leafIndex, leafNode, keyPackageRef: keyPackageRef(group.ciphersuite, keyPackage.bytes) });
    if (!judgedBefore) signatures.push(...addedPackageSignatures(keyPackage, terms));
  }
  return { entered, signatures };
}

function checkUpdatedKeys(
  draft: GroupDraft,
  leafNode: LeafNode,
  before: LeafNode | undefined,
  judge: Judge,
): MlsRefusal | undefined {
  const keepsSignatureKey = before !== undefined && equalBytes(before.signatureKey, leafNode.signatureKey);
  return (
    judge.when(draft.keys.holdsEncryptionKey(leafNode.encryptionKey), "ENCRYPTION_KEY_UNIQUE") ??
    judge.when(!keepsSignatureKey && draft.keys.holdsSignatureKey(leafNode.signatureKey), "SIGNATURE_KEY_UNIQUE")
  );
}
