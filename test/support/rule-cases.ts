// Cases that break one rule each, and what runs them: refused under that rule's name, without a trace, and let
// through with the rule switched off, so that each case can fail.
import { createBasicProvider } from "../../src/mls/basic-provider.ts";
import { expect, it } from "vitest";
import { Writer } from "../../src/mls/codec/writer.ts";
import type { IdentityProvider } from "../../src/mls/identity-provider.ts";
import type { FollowTerms } from "../../src/mls/public-group/follow-commit.ts";
import { Judge, RULES, type Rule } from "../../src/mls/rules.ts";
import { memberSender, SyntheticGroup, type BuiltCommit } from "./synthetic-group.ts";
import {
  buildKeyPackage,
  buildLeaf,
  type BuiltProposal,
  credentialOf,
  type Member,
  newMember,
  proposals,
  signWithLabel,
} from "./synthetic-structs.ts";
export interface Case {
  readonly rule: Rule;
  readonly breaks: string;
  readonly commit: () => Promise<Attempt> | Attempt;
  /** What happens with the rule off, where that is not simply acceptance. */
  readonly otherwise?: "refused" | "any";
}
export interface Attempt {
  readonly group: SyntheticGroup;
  readonly commit: BuiltCommit;
  readonly terms?: Partial<FollowTerms>;
}

export const stranger = newMember("stranger");
export const moderator = newMember("moderator");
export const senders = {
  type: 5,
  data: new Writer().opaque(new Writer().opaque(moderator.signatureKey).raw(credentialOf(moderator)).finish()).finish(),
};

export const add = (
  fields: Parameters<typeof buildKeyPackage>[1] = {},
  member = newMember(`new ${Math.random()}`),
): BuiltProposal => proposals.add(buildKeyPackage(member, fields));

export function attempt(
  size: number,
  options: Parameters<SyntheticGroup["commit"]>[0],
  terms?: Partial<FollowTerms>,
): Attempt {
  const group = SyntheticGroup.create(size);
  return { group, commit: group.commit(options), ...(terms && { terms }) };
}

export function updateOf(
  group: SyntheticGroup,
  leafIndex: number,
  fields: Parameters<typeof buildLeaf>[1] = {},
): BuiltProposal {
  const place = { groupId: group.group.groupId, leafIndex };
  return proposals.update(leafIndex, buildLeaf(group.member(leafIndex), { source: "update", place, ...fields }));
}

export function referredUpdate(
  fields: (group: SyntheticGroup) => Parameters<typeof buildLeaf>[1],
  signer?: Member,
): Attempt {
  const group = SyntheticGroup.create(4);
  const place = { groupId: group.group.groupId, leafIndex: 2 };
  const leaf = buildLeaf(group.member(2), { source: "update", place, ...fields(group) }, signer ?? group.member(2));
  const sent = group.proposeUnjudged(proposals.update(2, leaf), memberSender(2), group.member(2));
  return { group, commit: group.commit({ referred: [sent] }) };
}

export function anyCredential(): IdentityProvider {
  return { ...createBasicProvider(), validate: () => ({ valid: true, handle: "anyone" }) };
}

/** The key of the lowest parent node that is not blank above a leaf. */
export function parentKeyAbove(group: SyntheticGroup, leafIndex: number): Uint8Array {
  const step = group.group.tree.directPath(leafIndex).find(({ parentNode }) => parentNode !== undefined);
  return step?.parentNode?.encryptionKey as Uint8Array;
}

export function keyPackageWith(member: Member, leaf: ReturnType<typeof buildLeaf>): BuiltProposal {
  const built = buildKeyPackage(member);
  const at = Buffer.from(built.bare).indexOf(Buffer.from(built.leafNode.bytes));
  const head = built.bare.subarray(0, at);
  return { bytes: proposalOf(member, head, leaf), add: leaf };
}

export function proposalOf(member: Member, head: Uint8Array, leaf: ReturnType<typeof buildLeaf>): Uint8Array {
  const toBeSigned = new Writer().raw(head).raw(leaf.bytes).length(0).finish();
  return new Writer()
    .u16(1)
    .raw(toBeSigned)
    .opaque(signWithLabel(member, "KeyPackageTBS", toBeSigned))
    .finish();
}

/** Declares one test a case. */
export function testCases(cases: readonly Case[]): void {
  it.each(cases.map((test) => [test.rule, test.breaks, test] as const))("%s refuses %s", async (rule, _, test) => {
    const { group, commit, terms } = await test.commit();
    const before = group.group.snapshot();
    const refused = await group.follow(commit, terms);
    expect(refused).toMatchObject({ kind: "refused", rule, section: RULES[rule].section });
    // A refusal leaves no trace.
    expect(group.group.snapshot()).toEqual(before);
    expect(group.group.tree.treeHash()).toEqual(group.group.context.treeHash);
    const off = await group.follow(commit, { ...terms, judge: new Judge(new Set([rule])) });
    if (test.otherwise === "refused") expect(off).toMatchObject({ kind: "refused" });
    else if (test.otherwise === undefined) expect(off).toMatchObject({ kind: "followed" });
    if (off.kind === "refused") expect(off.rule).not.toBe(rule);
  });
}
