// [M2] every rule of a commit's framing and of its list of proposals: one mutant a case.
import { describe } from "vitest";
import { type Case, stranger, add, attempt, updateOf, testCases } from "../support/rule-cases.ts";
import { ALL_CUSTOM, memberSender, SyntheticGroup } from "../support/synthetic-group.ts";
import { newMember, proposals } from "../support/synthetic-structs.ts";

const CASES: readonly Case[] = [
  {
    rule: "MESSAGE_GROUP",
    breaks: "another group's id",
    commit: () => attempt(4, { groupId: Uint8Array.of(1) }),
  },
  { rule: "MESSAGE_EPOCH", breaks: "a future epoch", commit: () => attempt(4, { epoch: 6n }) },
  { rule: "MESSAGE_EPOCH", breaks: "a past epoch", commit: () => attempt(4, { epoch: 4n }) },
  {
    rule: "EPOCH_LAST",
    breaks: "the last epoch there is",
    otherwise: "any",
    commit: () => {
      const group = SyntheticGroup.create(2, { epoch: 2n ** 64n - 1n });
      return { group, commit: group.commit() };
    },
  },
  {
    rule: "SENDER_MEMBER",
    breaks: "a sender at a blank leaf",
    otherwise: "refused",
    commit: () => {
      const group = SyntheticGroup.create(3);
      group.members.set(3, newMember("nobody"));
      return { group, commit: group.commit({ committer: 3, path: false, proposals: [add()] }) };
    },
  },
  { rule: "CONTENT_SIGNATURE", breaks: "another member's signature", commit: () => attempt(4, { signWith: stranger }) },
  {
    rule: "PROPOSAL_TYPE_UNKNOWN",
    breaks: "a type that no setting declares",
    otherwise: "refused",
    commit: () => attempt(4, { proposals: [proposals.custom(0xf000)] }),
  },
  {
    rule: "PROPOSAL_TYPE_SUPPORT",
    breaks: "a declared type that members do not list",
    commit: () => attempt(4, { proposals: [proposals.custom(0xf000)] }, { customProposals: ALL_CUSTOM }),
  },
  {
    rule: "PROPOSAL_TYPE_SUPPORT",
    breaks: "SelfRemove where a member does not list it",
    commit: () => {
      const group = SyntheticGroup.create(4);
      const sent = group.proposeUnjudged(proposals.selfRemove(2), memberSender(2), group.member(2));
      return { group, commit: group.commit({ referred: [sent] }) };
    },
  },
  {
    rule: "ADD_DUPLICATE",
    breaks: "the same client added twice",
    commit: () => {
      const member = newMember("twice");
      return attempt(4, { proposals: [add({}, member), add({}, member)] });
    },
    otherwise: "any",
  },
  {
    rule: "ADD_DUPLICATE",
    breaks: "a member added again",
    commit: () => {
      const group = SyntheticGroup.create(4);
      return { group, commit: group.commit({ proposals: [add({}, group.member(2))] }) };
    },
  },
  {
    rule: "REMOVE_MEMBER",
    breaks: "a Remove of a blank leaf",
    commit: () => attempt(3, { proposals: [proposals.remove(3)] }),
  },
  {
    rule: "REMOVE_MEMBER",
    breaks: "a Remove beyond the tree",
    commit: () => {
      const group = SyntheticGroup.create(4);
      return { group, commit: group.commit({ proposals: [{ bytes: proposals.remove(4_000_000_000).bytes }] }) };
    },
  },
  {
    rule: "COMMITTER_UPDATE",
    breaks: "the committer's own Update",
    otherwise: "any",
    commit: () => {
      const group = SyntheticGroup.create(4);
      return { group, commit: group.commit({ proposals: [updateOf(group, 0)] }) };
    },
  },
  {
    rule: "COMMITTER_REMOVE",
    breaks: "the committer's own removal",
    otherwise: "any",
    commit: () => attempt(4, { proposals: [proposals.remove(0)] }),
  },
  {
    rule: "COMMITTER_REMOVE",
    breaks: "the committer's own SelfRemove",
    otherwise: "any",
    commit: () => {
      const group = SyntheticGroup.create(4, { capabilities: { proposals: [0x0a] } });
      return { group, commit: group.commit({ proposals: [proposals.selfRemove(0)] }) };
    },
  },
  {
    rule: "LEAF_CHANGED_TWICE",
    breaks: "one leaf updated and removed",
    otherwise: "any",
    commit: () => {
      const group = SyntheticGroup.create(4);
      const sent = group.proposeUnjudged(updateOf(group, 2), memberSender(2), group.member(2));
      return { group, commit: group.commit({ referred: [sent], proposals: [proposals.remove(2)] }) };
    },
  },
  {
    rule: "LEAF_CHANGED_TWICE",
    breaks: "one leaf removed twice",
    commit: () => attempt(4, { proposals: [proposals.remove(2), proposals.remove(2)] }),
  },
  {
    rule: "PSK_DUPLICATE",
    breaks: "the same key twice",
    commit: () => attempt(4, { proposals: [proposals.externalPsk("k"), proposals.externalPsk("k")] }),
  },
  {
    rule: "PSK_NONCE",
    breaks: "a short nonce",
    commit: () => attempt(4, { proposals: [proposals.externalPsk("k", 31)] }),
  },
  {
    rule: "PSK_USAGE",
    breaks: "a reinit key after the first commit",
    commit: () => attempt(4, { proposals: [proposals.resumptionPsk(2)] }),
  },
  {
    rule: "PSK_USAGE",
    breaks: "a branch key after the first commit",
    commit: () => attempt(4, { proposals: [proposals.resumptionPsk(3)] }),
  },
  {
    rule: "CONTEXT_EXTENSIONS_DUPLICATE",
    breaks: "two replacements",
    commit: () => attempt(4, { proposals: [proposals.contextExtensions([]), proposals.contextExtensions([])] }),
  },
  {
    rule: "REINIT_ALONE",
    breaks: "a ReInit beside an Add",
    commit: () => attempt(4, { proposals: [proposals.reinit(), add()] }),
  },
  { rule: "REINIT_VERSION", breaks: "a lower version", commit: () => attempt(4, { proposals: [proposals.reinit(0)] }) },
  {
    rule: "EXTERNAL_INIT_MEMBER",
    breaks: "an ExternalInit of a member",
    commit: () => attempt(4, { proposals: [proposals.externalInit()] }),
  },
];

describe("[M2] every rule of a commit's framing and of its list of proposals", () => {
  testCases(CASES);
});
