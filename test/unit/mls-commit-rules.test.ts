// [M2] [M7] rule by rule: a commit or proposal that breaks just one rule, signed again, is refused under that
// rule's name; with the rule switched off it passes, so that each test here can fail.
import { describe, expect, it } from "vitest";
import { createBasicProvider } from "../../src/mls/basic-provider.ts";
import { Writer } from "../../src/mls/codec/writer.ts";
import { encodeBasicCredential } from "../../src/mls/credential.ts";
import type { IdentityProvider } from "../../src/mls/identity-provider.ts";
import { checkProposal } from "../../src/mls/public-group/check-proposal.ts";
import type { FollowTerms } from "../../src/mls/public-group/follow-commit.ts";
import { Judge, RULES, type Rule } from "../../src/mls/rules.ts";
import {
  ALL_CUSTOM,
  buildKeyPackage,
  buildLeaf,
  CAPABILITIES,
  credentialOf,
  externalSender,
  memberSender,
  newMember,
  NEW_MEMBER,
  NOW_MS,
  proposals,
  randomKey,
  requiredCapabilities,
  signWithLabel,
  SyntheticGroup,
  type BuiltCommit,
  type BuiltProposal,
  type Member,
} from "../support/synthetic-group.ts";

interface Case {
  readonly rule: Rule;
  readonly breaks: string;
  readonly commit: () => Promise<Attempt> | Attempt;
  /** What happens with the rule off, where that is not simply acceptance. */
  readonly otherwise?: "refused" | "any";
}
interface Attempt {
  readonly group: SyntheticGroup;
  readonly commit: BuiltCommit;
  readonly terms?: Partial<FollowTerms>;
}

const stranger = newMember("stranger");
const add = (
  fields: Parameters<typeof buildKeyPackage>[1] = {},
  member = newMember(`new ${Math.random()}`),
): BuiltProposal => proposals.add(buildKeyPackage(member, fields));

function attempt(
  size: number,
  options: Parameters<SyntheticGroup["commit"]>[0],
  terms?: Partial<FollowTerms>,
): Attempt {
  const group = SyntheticGroup.create(size);
  return { group, commit: group.commit(options), ...(terms && { terms }) };
}

function updateOf(
  group: SyntheticGroup,
  leafIndex: number,
  fields: Parameters<typeof buildLeaf>[1] = {},
): BuiltProposal {
  const place = { groupId: group.group.groupId, leafIndex };
  return proposals.update(leafIndex, buildLeaf(group.member(leafIndex), { source: "update", place, ...fields }));
}

function referredUpdate(fields: (group: SyntheticGroup) => Parameters<typeof buildLeaf>[1], signer?: Member): Attempt {
  const group = SyntheticGroup.create(4);
  const place = { groupId: group.group.groupId, leafIndex: 2 };
  const leaf = buildLeaf(group.member(2), { source: "update", place, ...fields(group) }, signer ?? group.member(2));
  const sent = group.proposeUnjudged(proposals.update(2, leaf), memberSender(2), group.member(2));
  return { group, commit: group.commit({ referred: [sent] }) };
}

const COMMITS: readonly Case[] = [
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
    rule: "ADD_VERSION",
    breaks: "a package of another version",
    commit: () => attempt(4, { proposals: [add({ version: 2 })] }),
  },
  {
    rule: "ADD_CIPHERSUITE",
    breaks: "a package of another suite",
    commit: () => attempt(4, { proposals: [add({ ciphersuite: 3 })] }),
  },
  {
    rule: "ADD_SIGNATURE",
    breaks: "a package signed by another key",
    commit: () => attempt(4, { proposals: [add({ signWith: stranger })] }),
  },
  {
    rule: "ADD_INIT_KEY",
    breaks: "a short init key",
    commit: () => attempt(4, { proposals: [add({ initKey: new Uint8Array(31) })] }),
  },
  {
    rule: "ADD_INIT_KEY",
    breaks: "an init key that is the encryption key",
    commit: () => {
      const key = randomKey();
      return attempt(4, { proposals: [add({ initKey: key, leaf: { encryptionKey: key } })] });
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
    rule: "LEAF_SOURCE",
    breaks: "an added leaf of another source",
    otherwise: "any",
    commit: () => attempt(4, { proposals: [add({ leaf: { source: "update" } })] }),
  },
  {
    rule: "LEAF_SOURCE",
    breaks: "a path leaf of another source",
    otherwise: "any",
    commit: () => attempt(4, { pathOptions: { leaf: { source: "update" } } }),
  },
  {
    rule: "LEAF_SOURCE",
    breaks: "an Update's leaf of another source",
    commit: () => referredUpdate(() => ({ source: "commit" })),
  },
  {
    rule: "LEAF_SIGNATURE",
    breaks: "an added leaf signed by another key",
    commit: () => {
      const member = newMember("signed by another");
      const group = SyntheticGroup.create(4);
      const leaf = buildLeaf(member, {}, stranger);
      const built = keyPackageWith(member, leaf);
      return { group, commit: group.commit({ proposals: [built] }) };
    },
  },
  {
    rule: "LEAF_SIGNATURE",
    breaks: "a path leaf signed by another key",
    commit: () => attempt(4, { pathOptions: { leafSigner: stranger } }),
  },
  {
    rule: "LEAF_SIGNATURE",
    breaks: "a path leaf signed for another leaf",
    commit: () =>
      attempt(4, {
        pathOptions: { leaf: { place: { groupId: new TextEncoder().encode("synthetic"), leafIndex: 1 } } },
      }),
  },
  {
    rule: "LEAF_SIGNATURE",
    breaks: "a path leaf signed for another group",
    commit: () => attempt(4, { pathOptions: { leaf: { place: { groupId: Uint8Array.of(1), leafIndex: 0 } } } }),
  },
  {
    rule: "LEAF_LIFETIME",
    breaks: "[M10] an added leaf whose lifetime is over",
    commit: () => attempt(4, { proposals: [add({ leaf: { notAfter: BigInt(NOW_MS / 1000) - 1n } })] }),
  },
  {
    rule: "LEAF_LIFETIME",
    breaks: "[M10] an added leaf whose lifetime has not begun",
    commit: () => attempt(4, { proposals: [add({ leaf: { notBefore: BigInt(NOW_MS / 1000) + 1n } })] }),
  },
  {
    rule: "LEAF_CREDENTIAL",
    breaks: "[M5] an added leaf that the provider refuses",
    commit: () => attempt(4, { proposals: [add({ leaf: { credential: encodeBasicCredential(new Uint8Array(0)) } })] }),
  },
  {
    rule: "LEAF_CREDENTIAL",
    breaks: "[M5] a path leaf whose new credential the provider refuses",
    commit: () => attempt(4, { pathOptions: { leaf: { credential: encodeBasicCredential(Uint8Array.of(0xff)) } } }),
  },
  {
    rule: "LEAF_CREDENTIAL_TYPE",
    breaks: "an added leaf that does not list its own type",
    otherwise: "any",
    commit: () => attempt(4, { proposals: [add({ leaf: { capabilities: { ...CAPABILITIES, credentials: [2] } } })] }),
  },
  {
    rule: "LEAF_EXTENSIONS",
    breaks: "an added leaf with an extension that it does not list",
    commit: () =>
      attempt(4, { proposals: [add({ leaf: { extensions: [{ type: 0xf001, data: Uint8Array.of(1) }] } })] }),
  },
  {
    rule: "LEAF_KEYS",
    breaks: "an added leaf with a short encryption key",
    commit: () => attempt(4, { proposals: [add({ leaf: { encryptionKey: new Uint8Array(31) } })] }),
  },
  {
    rule: "CREDENTIAL_TYPE_SUPPORT",
    breaks: "a credential type that members do not list",
    commit: () => {
      const credential = new Writer().u16(0xf002).opaque(Uint8Array.of(1)).finish();
      const capabilities = { ...CAPABILITIES, credentials: [1, 0xf002] };
      return attempt(4, { proposals: [add({ leaf: { credential, capabilities } })] }, { provider: anyCredential() });
    },
  },
  {
    rule: "CREDENTIAL_TYPE_SUPPORT",
    breaks: "a member that does not list a type in use",
    commit: () => {
      const credential = new Writer().u16(0xf002).opaque(Uint8Array.of(1)).finish();
      const capabilities = { ...CAPABILITIES, credentials: [0xf002] };
      const group = SyntheticGroup.create(4, { capabilities: { credentials: [1, 0xf002] } });
      const commit = group.commit({ proposals: [add({ leaf: { credential, capabilities } })] });
      return { group, commit, terms: { provider: anyCredential() } };
    },
  },
  {
    rule: "REQUIRED_CAPABILITIES",
    breaks: "an added leaf without them",
    commit: () => {
      const group = SyntheticGroup.create(4, {
        extensions: [requiredCapabilities([], [0xf000])],
        capabilities: { proposals: [0xf000] },
      });
      return { group, commit: group.commit({ proposals: [add()] }) };
    },
  },
  {
    rule: "REQUIRED_CAPABILITIES",
    breaks: "a path leaf that drops them",
    commit: () => {
      const group = SyntheticGroup.create(4, {
        extensions: [requiredCapabilities([], [0xf000])],
        capabilities: { proposals: [0xf000] },
      });
      return { group, commit: group.commit({ pathOptions: { leaf: { capabilities: CAPABILITIES } } }) };
    },
  },
  {
    rule: "REQUIRED_CAPABILITIES",
    breaks: "requirements that members do not meet",
    commit: () => attempt(4, { proposals: [proposals.contextExtensions([requiredCapabilities([], [], [7])])] }),
  },
  {
    rule: "CONTEXT_EXTENSION_SUPPORT",
    breaks: "a context extension that members do not list",
    commit: () => attempt(4, { proposals: [proposals.contextExtensions([{ type: 0xf001, data: Uint8Array.of(1) }])] }),
  },
  {
    rule: "ENCRYPTION_KEY_UNIQUE",
    breaks: "an added leaf with a member's encryption key",
    commit: () => {
      const group = SyntheticGroup.create(4);
      const encryptionKey = group.group.tree.leaf(2)?.encryptionKey as Uint8Array;
      return { group, commit: group.commit({ proposals: [add({ leaf: { encryptionKey } })] }) };
    },
  },
  {
    rule: "ENCRYPTION_KEY_UNIQUE",
    breaks: "an Update with a parent node's key",
    commit: () => referredUpdate((group) => ({ encryptionKey: parentKeyAbove(group, 0) })),
  },
  {
    rule: "SIGNATURE_KEY_UNIQUE",
    breaks: "a path leaf with another member's signature key",
    commit: () => {
      const group = SyntheticGroup.create(4);
      const other = group.member(3);
      const pathOptions = { leaf: { signatureKey: other.signatureKey }, leafSigner: other };
      return { group, commit: group.commit({ pathOptions }) };
    },
  },
  {
    rule: "UPDATE_KEY",
    breaks: "an Update that keeps its encryption key",
    otherwise: "any",
    commit: () => referredUpdate((group) => ({ encryptionKey: group.group.tree.leaf(2)?.encryptionKey as Uint8Array })),
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
  { rule: "PATH_REQUIRED", breaks: "no proposals and no path", commit: () => attempt(4, { path: false }) },
  {
    rule: "PATH_REQUIRED",
    breaks: "a Remove without a path",
    commit: () => attempt(4, { path: false, proposals: [proposals.remove(2)] }),
  },
  {
    rule: "PATH_REQUIRED",
    breaks: "an Update without a path",
    commit: () => {
      const group = SyntheticGroup.create(4);
      const sent = group.proposeUnjudged(updateOf(group, 2), memberSender(2), group.member(2));
      return { group, commit: group.commit({ path: false, referred: [sent] }) };
    },
  },
  {
    rule: "PATH_REQUIRED",
    breaks: "new context extensions without a path",
    commit: () => attempt(4, { path: false, proposals: [proposals.contextExtensions([])] }),
  },
  {
    rule: "PATH_LEAF_KEY",
    breaks: "a path that keeps its leaf's encryption key",
    otherwise: "any",
    commit: () => {
      const group = SyntheticGroup.create(4);
      const encryptionKey = group.group.tree.leaf(0)?.encryptionKey as Uint8Array;
      return { group, commit: group.commit({ pathOptions: { leaf: { encryptionKey } } }) };
    },
  },
  {
    rule: "PATH_KEYS_NEW",
    breaks: "a path node with a key of the tree",
    commit: () => {
      const group = SyntheticGroup.create(4);
      const known = group.group.tree.leaf(3)?.encryptionKey as Uint8Array;
      return { group, commit: group.commit({ pathOptions: { keys: (keys) => [known, ...keys.slice(1)] } }) };
    },
  },
  {
    rule: "PATH_KEYS_NEW",
    breaks: "a path node that keeps its key",
    commit: () => {
      const group = SyntheticGroup.create(4);
      const own = parentKeyAbove(group, 0);
      return { group, commit: group.commit({ pathOptions: { keys: (keys) => [own, ...keys.slice(1)] } }) };
    },
  },
  {
    rule: "PATH_KEYS_NEW",
    breaks: "the same key twice in the path",
    commit: () => attempt(4, { pathOptions: { keys: ([first]) => [first as Uint8Array, first as Uint8Array] } }),
  },
  {
    rule: "PATH_KEY_ENCODING",
    breaks: "a short key in the path",
    commit: () => attempt(4, { pathOptions: { keys: (keys) => [new Uint8Array(31), ...keys.slice(1)] } }),
  },
  {
    rule: "PATH_LENGTH",
    breaks: "a path that is too short",
    otherwise: "any",
    commit: () => attempt(4, { pathOptions: { keys: (keys) => keys.slice(1) } }),
  },
  {
    rule: "PATH_LENGTH",
    breaks: "a path that is too long",
    otherwise: "any",
    commit: () => attempt(4, { pathOptions: { keys: (keys) => [...keys, randomKey()] } }),
  },
  {
    rule: "PATH_CIPHERTEXTS",
    breaks: "a ciphertext too few",
    commit: () => attempt(4, { pathOptions: { ciphertexts: ([first = 0, ...rest]) => [first - 1, ...rest] } }),
  },
  {
    rule: "PATH_CIPHERTEXTS",
    breaks: "a ciphertext for a leaf that this commit added",
    commit: () =>
      attempt(3, {
        committer: 2,
        proposals: [add()],
        pathOptions: { ciphertexts: ([first = 0, ...rest]) => [first + 1, ...rest] },
      }),
  },
  {
    rule: "PATH_PARENT_HASH",
    breaks: "another parent hash",
    commit: () => attempt(4, { pathOptions: { leaf: { parentHash: randomKey() } } }),
  },
  {
    rule: "PATH_PARENT_HASH",
    breaks: "no parent hash",
    commit: () => attempt(4, { pathOptions: { leaf: { parentHash: new Uint8Array(0) } } }),
  },
  {
    rule: "EXTERNAL_COMMIT_PATH",
    breaks: "an external commit without a path",
    otherwise: "refused",
    commit: () => attempt(4, { joiner: newMember("joiner"), path: false, proposals: [proposals.externalInit()] }),
  },
  { rule: "EXTERNAL_INIT_ONCE", breaks: "no ExternalInit", commit: () => attempt(4, { joiner: newMember("joiner") }) },
  {
    rule: "EXTERNAL_INIT_ONCE",
    breaks: "two ExternalInits",
    commit: () =>
      attempt(4, { joiner: newMember("joiner"), proposals: [proposals.externalInit(), proposals.externalInit()] }),
  },
  {
    rule: "EXTERNAL_COMMIT_LIST",
    breaks: "an Add in an external commit",
    commit: () => attempt(4, { joiner: newMember("joiner"), proposals: [proposals.externalInit(), add()] }),
  },
  {
    rule: "EXTERNAL_COMMIT_REMOVE",
    breaks: "two Removes in an external commit",
    commit: () =>
      attempt(4, {
        joiner: newMember("joiner"),
        proposals: [proposals.externalInit(), proposals.remove(1), proposals.remove(2)],
      }),
  },
  {
    rule: "EXTERNAL_COMMIT_REFERENCE",
    breaks: "a proposal by reference in an external commit",
    commit: async () => {
      const group = SyntheticGroup.create(4);
      const sent = await group.propose(proposals.remove(2), memberSender(1), group.member(1));
      const joiner = newMember("joiner");
      return { group, commit: group.commit({ joiner, referred: [sent], proposals: [proposals.externalInit()] }) };
    },
  },
];

function anyCredential(): IdentityProvider {
  return { ...createBasicProvider(), validate: () => ({ valid: true, handle: "anyone" }) };
}

/** The key of the lowest parent node that is not blank above a leaf. */
function parentKeyAbove(group: SyntheticGroup, leafIndex: number): Uint8Array {
  const step = group.group.tree.directPath(leafIndex).find(({ parentNode }) => parentNode !== undefined);
  return step?.parentNode?.encryptionKey as Uint8Array;
}

function keyPackageWith(member: Member, leaf: ReturnType<typeof buildLeaf>): BuiltProposal {
  const built = buildKeyPackage(member);
  const at = Buffer.from(built.bare).indexOf(Buffer.from(built.leafNode.bytes));
  const head = built.bare.subarray(0, at);
  return { bytes: proposalOf(member, head, leaf), add: leaf };
}

function proposalOf(member: Member, head: Uint8Array, leaf: ReturnType<typeof buildLeaf>): Uint8Array {
  const toBeSigned = new Writer().raw(head).raw(leaf.bytes).length(0).finish();
  return new Writer()
    .u16(1)
    .raw(toBeSigned)
    .opaque(signWithLabel(member, "KeyPackageTBS", toBeSigned))
    .finish();
}

describe("[M2] every rule of a commit", () => {
  it.each(COMMITS.map((test) => [test.rule, test.breaks, test] as const))("%s refuses %s", async (rule, _, test) => {
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
});

interface ProposalCase {
  readonly rule: Rule;
  readonly breaks: string;
  readonly built: (group: SyntheticGroup) => BuiltProposal;
  readonly sender?: Uint8Array;
  readonly signer?: (group: SyntheticGroup) => Member;
  readonly framing?: { readonly groupId?: Uint8Array; readonly epoch?: bigint };
  readonly otherwise?: "any";
}

const moderator = newMember("moderator");
const senders = {
  type: 5,
  data: new Writer().opaque(new Writer().opaque(moderator.signatureKey).raw(credentialOf(moderator)).finish()).finish(),
};

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

describe("[M2] what the rules let through", () => {
  it("every kind of proposal in one commit, by value and by reference, and then the next epoch", async () => {
    const group = SyntheticGroup.create(9, { extensions: [senders], capabilities: { proposals: [0x0a, 0xf000] } });
    const joining = newMember("joining");
    const joiningPackage = buildKeyPackage(joining, { leaf: { capabilities: { ...CAPABILITIES, proposals: [0x0a] } } });
    const referred = [
      await group.propose(
        updateOf(group, 3, { capabilities: group.group.tree.leaf(3)?.capabilities as never }),
        memberSender(3),
        group.member(3),
      ),
      await group.propose(proposals.selfRemove(4), memberSender(4), group.member(4)),
      await group.propose(proposals.remove(8), externalSender(0), moderator),
      await group.propose(proposals.add(joiningPackage), NEW_MEMBER, joining),
      await group.propose(proposals.custom(0xf000), memberSender(5), group.member(5)),
    ];
    const commit = group.commit({
      committer: 1,
      referred,
      proposals: [
        proposals.externalPsk("k"),
        proposals.contextExtensions([senders, requiredCapabilities([], [0x0a])]),
        add({ leaf: { capabilities: { ...CAPABILITIES, proposals: [0x0a] } } }),
      ],
    });
    const outcome = await group.follow(commit, { customProposals: ALL_CUSTOM });
    if (outcome.kind !== "followed") throw new Error(JSON.stringify(outcome));
    expect(outcome.facts).toMatchObject({ committer: 1, external: false, resynced: undefined, reinit: undefined });
    expect(outcome.facts.left.map(({ leafIndex }) => leafIndex)).toEqual([4, 8]);
    expect(outcome.facts.entered.map(({ leafIndex }) => leafIndex)).toEqual([4, 8]);
    expect(outcome.facts.entered[0]?.keyPackageRef).toEqual(joiningPackage.ref);
    expect(outcome.facts.changed.map(({ leafIndex }) => leafIndex)).toEqual([3, 1]);
    expect(outcome.group.epoch).toBe(6n);
    expect(outcome.group.tree.memberCount).toBe(9);
    group.group = outcome.group;
    group.members.set(4, joining);
    expect(await group.follow(group.commit({ committer: 4, proposals: [proposals.remove(1)] }))).toMatchObject({
      kind: "followed",
    });
  });

  it("[M7] an external commit, and a resync of the same client", async () => {
    const group = SyntheticGroup.create(4);
    const joiner = newMember("joiner");
    const joined = await group.follow(
      group.commit({ joiner, proposals: [proposals.externalInit(), proposals.externalPsk("k")] }),
    );
    if (joined.kind !== "followed") throw new Error(JSON.stringify(joined));
    expect(joined.facts).toMatchObject({ committer: 4, external: true, left: [], resynced: undefined });
    expect(joined.facts.entered).toMatchObject([{ leafIndex: 4, keyPackageRef: undefined }]);
    expect(joined.group.tree.leafCount).toBe(8);
    group.group = joined.group;
    group.members.set(4, joiner);
    const again = await group.follow(
      group.commit({ joiner, proposals: [proposals.externalInit(), proposals.remove(4)] }),
    );
    if (again.kind !== "followed") throw new Error(JSON.stringify(again));
    expect(again.facts).toMatchObject({ committer: 4, external: true, resynced: { leafIndex: 4 } });
    expect(again.facts.changed).toEqual([]);
  });

  it("an Add without a path, which leaves the new leaf unmerged", async () => {
    const group = SyntheticGroup.create(4);
    const outcome = await group.follow(group.commit({ path: false, proposals: [add(), proposals.externalPsk("k")] }));
    expect(outcome).toMatchObject({ kind: "followed", facts: { changed: [], entered: [{ leafIndex: 4 }] } });
  });

  it("an empty GroupContextExtensions, which clears", async () => {
    const group = SyntheticGroup.create(4, { extensions: [senders] });
    const outcome = await group.follow(group.commit({ proposals: [proposals.contextExtensions([])] }));
    expect(outcome).toMatchObject({ kind: "followed", group: { context: { extensions: [] } } });
  });

  it("a ReInit alone, without a path", async () => {
    const group = SyntheticGroup.create(4);
    const outcome = await group.follow(group.commit({ path: false, proposals: [proposals.reinit()] }));
    expect(outcome).toMatchObject({ kind: "followed", facts: { reinit: { version: 1, ciphersuite: 1 } } });
  });

  it("reinit and branch keys in a group's first commit", async () => {
    const group = SyntheticGroup.create(2, { epoch: 0n });
    const outcome = await group.follow(group.commit({ proposals: [proposals.resumptionPsk(2)] }));
    expect(outcome).toMatchObject({ kind: "followed" });
  });

  it("the removal of a member and the Add of the same client in one commit", async () => {
    const group = SyntheticGroup.create(4);
    const outcome = await group.follow(group.commit({ proposals: [proposals.remove(2), add({}, group.member(2))] }));
    expect(outcome).toMatchObject({
      kind: "followed",
      facts: { entered: [{ leafIndex: 2 }], left: [{ leafIndex: 2 }] },
    });
  });

  it("the removal of all but one, which truncates the tree", async () => {
    const group = SyntheticGroup.create(9);
    const removes = [1, 2, 3, 4, 5, 6, 7, 8].map((leaf) => proposals.remove(leaf));
    const outcome = await group.follow(group.commit({ proposals: removes }));
    if (outcome.kind !== "followed") throw new Error(JSON.stringify(outcome));
    expect(outcome.group.tree.leafCount).toBe(1);
  });

  it("names the proposals that it does not know by reference", async () => {
    const group = SyntheticGroup.create(4);
    const ref = randomKey();
    const outcome = await group.follow(group.commit({ referred: [{ ref, built: { bytes: new Uint8Array(0) } }] }));
    expect(outcome).toEqual({ kind: "proposalsMissing", refs: [ref] });
  });
});
