// [M2] every rule of a proposal that is sent by itself: one mutant a case.
import { describe, expect, it } from "vitest";
import { checkProposal } from "../../src/mls/public-group/check-proposal.ts";
import { Judge, type Rule } from "../../src/mls/rules.ts";
import { add, moderator, senders, stranger, updateOf } from "../support/rule-cases.ts";
import { externalSender, memberSender, NEW_MEMBER, SyntheticGroup } from "../support/synthetic-group.ts";
import { proposals, type BuiltProposal, type Member } from "../support/synthetic-structs.ts";

interface ProposalCase {
  readonly rule: Rule;
  readonly breaks: string;
  readonly built: (group: SyntheticGroup) => BuiltProposal;
  readonly sender?: Uint8Array;
  readonly signer?: (group: SyntheticGroup) => Member;
  readonly framing?: { readonly groupId?: Uint8Array; readonly epoch?: bigint };
  readonly otherwise?: "any";
}

const PROPOSALS: readonly ProposalCase[] = [
  {
    rule: "MESSAGE_GROUP",
    breaks: "another group's id",
    built: () => proposals.remove(2),
    framing: { groupId: Uint8Array.of(1) },
  },
  { rule: "MESSAGE_EPOCH", breaks: "another epoch", built: () => proposals.remove(2), framing: { epoch: 4n } },
  {
    rule: "SENDER_MEMBER",
    breaks: "a sender beyond the tree",
    built: () => proposals.remove(2),
    sender: memberSender(77),
    otherwise: "any",
  },
  {
    rule: "SENDER_EXTERNAL",
    breaks: "an external sender that is not listed",
    built: () => proposals.remove(2),
    sender: externalSender(1),
    otherwise: "any",
  },
  {
    rule: "EXTERNAL_SENDER_PROPOSAL",
    breaks: "an external sender's ExternalInit",
    built: () => proposals.externalInit(),
    sender: externalSender(0),
    otherwise: "any",
  },
  {
    rule: "EXTERNAL_SENDER_PROPOSAL",
    breaks: "an external sender's Update",
    built: (group) => updateOf(group, 1),
    sender: externalSender(0),
    otherwise: "any",
  },
  {
    rule: "EXTERNAL_SENDER_PROPOSAL",
    breaks: "an external sender's SelfRemove",
    built: () => proposals.selfRemove(1),
    sender: externalSender(0),
    otherwise: "any",
  },
  {
    rule: "NEW_MEMBER_PROPOSAL",
    breaks: "a new member's Remove",
    built: () => proposals.remove(1),
    sender: NEW_MEMBER,
    otherwise: "any",
  },
  { rule: "CONTENT_SIGNATURE", breaks: "another signature", built: () => proposals.remove(2), signer: () => stranger },
  { rule: "PROPOSAL_TYPE_UNKNOWN", breaks: "a type that no setting declares", built: () => proposals.custom(0xf123) },
  { rule: "REMOVE_MEMBER", breaks: "a Remove of nobody", built: () => proposals.remove(7) },
  { rule: "PSK_NONCE", breaks: "a short nonce", built: () => proposals.externalPsk("k", 16) },
  { rule: "PSK_USAGE", breaks: "a branch key", built: () => proposals.resumptionPsk(3) },
  { rule: "REINIT_VERSION", breaks: "a lower version", built: () => proposals.reinit(0) },
  { rule: "EXTERNAL_INIT_MEMBER", breaks: "an ExternalInit", built: () => proposals.externalInit() },
  {
    rule: "UPDATE_KEY",
    breaks: "an Update that keeps its key",
    built: (group) => updateOf(group, 1, { encryptionKey: group.group.tree.leaf(1)?.encryptionKey as Uint8Array }),
  },
  {
    rule: "LEAF_SOURCE",
    breaks: "an Update's leaf of another source",
    built: (group) => updateOf(group, 1, { source: "commit" }),
  },
  {
    rule: "LEAF_SIGNATURE",
    breaks: "an Update signed for another leaf",
    built: (group) => updateOf(group, 1, { place: { groupId: group.group.groupId, leafIndex: 2 } }),
  },
  { rule: "ADD_SIGNATURE", breaks: "an Add signed by another key", built: () => add({ signWith: stranger }) },
  { rule: "LEAF_LIFETIME", breaks: "an Add whose lifetime is over", built: () => add({ leaf: { notAfter: 1n } }) },
];

describe("[M2] every rule of a proposal by itself", () => {
  it.each(PROPOSALS.map((test) => [test.rule, test.breaks, test] as const))("%s refuses %s", async (rule, _, test) => {
    const group = SyntheticGroup.create(4, { extensions: [senders] });
    const sender = test.sender ?? memberSender(1);
    const signer = test.signer?.(group) ?? (sender[0] === 2 ? moderator : group.member(1));
    const message = group.proposalMessage(test.built(group), sender, signer, test.framing);
    expect(await checkProposal(group.group, message, group.terms())).toMatchObject({ kind: "refused", rule });
    const off = await checkProposal(group.group, message, group.terms({ judge: new Judge(new Set([rule])) }));
    if (test.otherwise === undefined) expect(off).toMatchObject({ kind: "accepted" });
    else if (off.kind === "refused") expect(off.rule).not.toBe(rule);
  });
});
