// Follows a group over one Commit without any secret: RFC 9420 §12.4.2 step by step, PROTOCOL M2, M3, M7.
// What only members can check passes untouched (M8). A refusal leaves no trace: groups are values.
import { verifyContentSignature, type PublicCommit } from "../framing.ts";
import type { IdentityProvider } from "../identity-provider.ts";
import type { LeafNode } from "../leaf-node.ts";
import type { ReInit } from "../proposal.ts";
import type { Judge, MlsRefusal } from "../rules.ts";
import { equalBytes } from "../suites.ts";
import { finishWith, type Pause, type Work } from "../work.ts";
import { applyProposals, checkDraftSupport, checkPreSharedKeys, checkProposalSupport } from "./apply-proposals.ts";
import type { AppliedProposals, ChangedLeaf, EnteredLeaf, LeftLeaf } from "./apply-proposals.ts";
import { GroupDraft } from "./group-draft.ts";
import { runSignatureChecks, type LeafTerms, type SignatureCheck } from "./leaf-rules.ts";
import {
  checkExternalList,
  checkMemberList,
  isKnownProposal,
  removedByJoiner,
  resolveProposals,
  sortProposals,
  type CustomProposalType,
  type ProposalList,
  type ProposalsMissing,
  type SentProposal,
} from "./proposal-list.ts";
import { PublicGroup } from "./public-group.ts";
import { confirmedTranscriptHash } from "./transcript.ts";
import { applyUpdatePath } from "./update-path.ts";

export interface FollowTerms {
  readonly judge: Judge;
  readonly provider: IdentityProvider;
  /** The instant at which credentials and lifetimes are judged. */
  readonly nowMs: number;
  readonly customProposals: readonly CustomProposalType[];
  /** Given, a commit of many proposals lets others have their turn. */
  readonly pause?: Pause;
  /** Proposals of this epoch that `checkProposal` took. */
  readonly findProposal: (ref: Uint8Array) => SentProposal | undefined;
}

/** What a commit did, leaf by leaf. Whose client a leaf is, and whether that is right, the caller judges (M5). */
export interface CommitFacts {
  /** The committer's leaf; an external joiner's is in the new tree. */
  readonly committer: number;
  readonly external: boolean;
  readonly entered: readonly EnteredLeaf[];
  readonly left: readonly LeftLeaf[];
  /** By Updates and by the path of a member; a joiner's resync is `left` and `entered`. */
  readonly changed: readonly ChangedLeaf[];
  /** The former leaf that an external joiner removed. */
  readonly resynced: LeftLeaf | undefined;
  readonly proposals: readonly SentProposal[];
  readonly reinit: ReInit | undefined;
}

export interface Followed {
  readonly kind: "followed";
  readonly group: PublicGroup;
  readonly facts: CommitFacts;
}

const EPOCH_MAX = 2n ** 64n - 1n;

export async function followCommit(
  group: PublicGroup,
  message: PublicCommit,
  terms: FollowTerms,
): Promise<Followed | ProposalsMissing | MlsRefusal> {
  const { judge } = terms;
  const framing =
    judge.when(!equalBytes(message.groupId, group.groupId), "MESSAGE_GROUP") ??
    judge.when(message.epoch !== group.epoch, "MESSAGE_EPOCH") ??
    judge.when(group.epoch === EPOCH_MAX, "EPOCH_LAST");
  if (framing !== undefined) return framing;
  const external = message.sender.type === "newMemberCommit";
  const signer = committingLeaf(group, message);
  if (signer === undefined) {
    const missing = external ? judge.when(true, "EXTERNAL_COMMIT_PATH") : judge.when(true, "SENDER_MEMBER");
    if (missing !== undefined) return missing;
  }
  const unsigned = await judge.unless(async () => {
    if (signer === undefined) return false;
    return verifyContentSignature(message, group.ciphersuite, signer.signatureKey, group.groupContext);
  }, "CONTENT_SIGNATURE");
  if (unsigned !== undefined) return unsigned;
  const resolved = resolveProposals(message.commit.proposals, message.sender, terms.findProposal);
  if ("kind" in resolved) return resolved;
  const list = sortProposals(resolved, terms.customProposals);
  const outcome = await finishWith(applyCommit(group, message, list, terms), terms.pause);
  if (outcome.kind === "refused") return outcome;
  const refusal = await runSignatureChecks(outcome.signatures);
  return refusal ?? { kind: "followed", group: outcome.group, facts: outcome.facts };
}

/** The leaf whose key signs the commit: the sender's, or the one that an external joiner brings. */
function committingLeaf(group: PublicGroup, { sender, commit }: PublicCommit): LeafNode | undefined {
  if (sender.type === "newMemberCommit") return commit.path?.leafNode;
  return sender.type === "member" ? group.tree.leaf(sender.leaf) : undefined;
}

interface AppliedCommit {
  readonly kind: "applied";
  readonly group: PublicGroup;
  readonly facts: CommitFacts;
  readonly signatures: readonly SignatureCheck[];
}

/** All that needs no signature. */
function* applyCommit(
  group: PublicGroup,
  message: PublicCommit,
  list: ProposalList,
  terms: FollowTerms,
): Work<AppliedCommit | MlsRefusal> {
  const { judge } = terms;
  const leafTerms = { ...terms, ciphersuite: group.ciphersuite };
  const listed = checkList(group, message, list, terms);
  if (listed !== undefined) return listed;
  const draft = new GroupDraft(group.state);
  const applied = yield* applyProposals(group, draft, list, leafTerms);
  if ("kind" in applied) return applied;
  const resyncedLeaf = message.sender.type === "newMemberCommit" ? removedByJoiner(list) : undefined;
  const resynced = applied.left.find(({ leafIndex }) => leafIndex === resyncedLeaf);
  const path = applyPath(group, message, draft, applied, resynced, leafTerms);
  if ("kind" in path) return path;
  const extensions = list.contextExtensions ?? group.context.extensions;
  const support = checkDraftSupport(draft, extensions, judge);
  if (support !== undefined) return support;
  yield* hashNewHalf(group, draft);
  const facts: CommitFacts = {
    committer: path.leafIndex,
    external: message.sender.type === "newMemberCommit",
    entered: [...applied.entered, ...path.entered],
    left: applied.left,
    changed: [...applied.changed, ...path.changed],
    resynced,
    proposals: list.all,
    reinit: list.reinit,
  };
  const signatures = [...applied.signatures, ...path.signatures];
  return { kind: "applied", group: nextEpoch(group, message, draft, extensions), facts, signatures };
}

function checkList(
  group: PublicGroup,
  message: PublicCommit,
  list: ProposalList,
  { judge, customProposals }: FollowTerms,
): MlsRefusal | undefined {
  const { sender, commit } = message;
  const known = list.all.every(({ proposal }) => isKnownProposal(proposal, customProposals));
  return (
    judge.when(!known, "PROPOSAL_TYPE_UNKNOWN") ??
    (sender.type === "member"
      ? checkMemberList(list, sender.leaf, group.context.version, judge)
      : checkExternalList(list, judge)) ??
    checkPreSharedKeys(list.preSharedKeys, group, judge) ??
    checkProposalSupport(group, list, judge) ??
    judge.when(list.pathRequired && commit.path === undefined, "PATH_REQUIRED")
  );
}

interface AppliedPath {
  readonly leafIndex: number;
  readonly entered: readonly EnteredLeaf[];
  readonly changed: readonly ChangedLeaf[];
  readonly signatures: readonly SignatureCheck[];
}

function applyPath(
  group: PublicGroup,
  message: PublicCommit,
  draft: GroupDraft,
  applied: AppliedProposals,
  resynced: LeftLeaf | undefined,
  terms: LeafTerms,
): AppliedPath | MlsRefusal {
  const { path } = message.commit;
  const { sender } = message;
  const joins = sender.type === "newMemberCommit";
  if (path === undefined) {
    return { leafIndex: sender.type === "member" ? sender.leaf : 0, entered: [], changed: [], signatures: [] };
  }
  const leafIndex = sender.type === "member" ? sender.leaf : draft.tree.firstBlankLeaf();
  const before = joins ? resynced?.leafNode : draft.tree.leaf(leafIndex);
  if (joins) draft.makeRoom(leafIndex);
  const addedLeaves = applied.entered.map((leaf) => leaf.leafIndex).sort((a, b) => a - b);
  const pathTerms = { ...terms, groupId: group.groupId, leafIndex, before, joins, addedLeaves };
  const merged = applyUpdatePath(draft, path, pathTerms);
  if ("kind" in merged) return merged;
  const { leafNode } = path;
  return {
    leafIndex,
    entered: joins ? [{ leafIndex, leafNode, keyPackageRef: undefined }] : [],
    changed: !joins && before !== undefined ? [{ leafIndex, before, after: leafNode }] : [],
    signatures: [merged.signature],
  };
}

/** A tree that doubled has a new half to hash: the one thing in a commit that costs O(leaves), once a doubling. */
function* hashNewHalf(group: PublicGroup, { tree }: GroupDraft): Work<undefined> {
  for (let level = group.tree.root.level; level < tree.root.level; level++) {
    yield* tree.hasher.blankWork(level, 2 ** level);
  }
  return undefined;
}

/** §8.1, §8.2: the state that the commit begins. */
function nextEpoch(
  group: PublicGroup,
  message: PublicCommit,
  draft: GroupDraft,
  extensions: PublicGroup["context"]["extensions"],
): PublicGroup {
  const state = draft.finish();
  const context = {
    ...group.context,
    epoch: group.epoch + 1n,
    treeHash: state.tree.treeHash(),
    confirmedTranscriptHash: confirmedTranscriptHash(group.ciphersuite, group.interimTranscriptHash, message),
    extensions: extensions.map(({ type, data }) => ({ type, data: data.slice() })),
  };
  return new PublicGroup(context, group.ciphersuite, message.confirmationTag.slice(), state);
}
