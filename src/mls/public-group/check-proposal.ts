// Judges a proposal that is sent by itself (RFC 9420 §12.1, §12.1.8), before any commit takes it in.
import { proposalRef, verifyContentSignature, type PublicProposal } from "../framing.ts";
import type { MlsRefusal } from "../rules.ts";
import { equalBytes } from "../suites.ts";
import { checkPreSharedKeys, checkUpdate } from "./apply-proposals.ts";
import type { FollowTerms } from "./follow-commit.ts";
import {
  addedPackageSignatures,
  checkAddedPackage,
  leafSignature,
  runSignatureChecks,
  type SignatureCheck,
} from "./leaf-rules.ts";
import { isKnownProposal, mayBeExternal, type SentProposal } from "./proposal-list.ts";
import type { PublicGroup } from "./public-group.ts";

type ProposalTerms = Omit<FollowTerms, "findProposal">;

export interface AcceptedProposal {
  readonly kind: "accepted";
  readonly ref: Uint8Array;
  readonly sent: SentProposal;
}

export async function checkProposal(
  group: PublicGroup,
  message: PublicProposal,
  terms: ProposalTerms,
): Promise<AcceptedProposal | MlsRefusal> {
  const { judge } = terms;
  const framing =
    judge.when(!equalBytes(message.groupId, group.groupId), "MESSAGE_GROUP") ??
    judge.when(message.epoch !== group.epoch, "MESSAGE_EPOCH") ??
    checkSender(group, message, terms);
  if (framing !== undefined) return framing;
  const key = senderKey(group, message);
  const refusal =
    (await judge.unless(async () => {
      if (key === undefined) return false;
      return verifyContentSignature(message, group.ciphersuite, key, group.groupContext);
    }, "CONTENT_SIGNATURE")) ??
    checkContent(group, message, terms) ??
    (await runSignatureChecks(contentSignatures(group, message, terms)));
  if (refusal !== undefined) return refusal;
  const { proposal, sender } = message;
  return { kind: "accepted", ref: proposalRef(message, group.ciphersuite), sent: { proposal, sender } };
}

/** §12.1.8: who may propose what. */
function checkSender(
  group: PublicGroup,
  { sender, proposal }: PublicProposal,
  { judge, customProposals }: ProposalTerms,
): MlsRefusal | undefined {
  const known = judge.when(!isKnownProposal(proposal, customProposals), "PROPOSAL_TYPE_UNKNOWN");
  if (known !== undefined) return known;
  switch (sender.type) {
    case "member":
      return judge.when(group.tree.leaf(sender.leaf) === undefined, "SENDER_MEMBER");
    case "external":
      return (
        judge.when(group.externalSenders[sender.index] === undefined, "SENDER_EXTERNAL") ??
        judge.when(!mayBeExternal(proposal, customProposals), "EXTERNAL_SENDER_PROPOSAL")
      );
    default:
      return judge.when(proposal.type !== "add", "NEW_MEMBER_PROPOSAL");
  }
}

function senderKey(group: PublicGroup, { sender, proposal }: PublicProposal): Uint8Array | undefined {
  if (sender.type === "member") return group.tree.leaf(sender.leaf)?.signatureKey;
  if (sender.type === "external") return group.externalSenders[sender.index]?.signatureKey;
  return proposal.type === "add" ? proposal.keyPackage.leafNode.signatureKey : undefined;
}

function checkContent(
  group: PublicGroup,
  { proposal, sender }: PublicProposal,
  terms: ProposalTerms,
): MlsRefusal | undefined {
  const { judge } = terms;
  const leafTerms = { ...terms, ciphersuite: group.ciphersuite };
  const fromMember = sender.type === "member";
  switch (proposal.type) {
    case "add":
      return checkAddedPackage(proposal.keyPackage, group.context.version, leafTerms);
    case "update":
      return checkUpdate(proposal.leafNode, fromMember ? group.tree.leaf(sender.leaf) : undefined, leafTerms);
    case "remove":
      return judge.when(group.tree.leaf(proposal.removed) === undefined, "REMOVE_MEMBER");
    case "psk":
      return checkPreSharedKeys([proposal.psk], group, judge);
    case "reinit":
      return judge.when(proposal.reinit.version < group.context.version, "REINIT_VERSION");
    case "externalInit":
      // Only an external commit holds one, by value.
      return judge.when(true, "EXTERNAL_INIT_MEMBER");
    default:
      return undefined;
  }
}

function contentSignatures(
  group: PublicGroup,
  { proposal, sender }: PublicProposal,
  terms: ProposalTerms,
): readonly SignatureCheck[] {
  const leafTerms = { ...terms, ciphersuite: group.ciphersuite };
  if (proposal.type === "add") return addedPackageSignatures(proposal.keyPackage, leafTerms);
  if (proposal.type !== "update" || sender.type !== "member") return [];
  return [leafSignature(proposal.leafNode, { groupId: group.groupId, leafIndex: sender.leaf }, leafTerms)];
}
