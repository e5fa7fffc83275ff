// [M3] [M4] What comes beside a commit, and whole trees: rule by rule, each able to fail.
import { describe, expect, it } from "vitest";
import { createBasicProvider } from "../../src/mls/basic-provider.ts";
import { Writer } from "../../src/mls/codec/writer.ts";
import { encodeRatchetTree, readRatchetTree } from "../../src/mls/ratchet-tree.ts";
import { matchGroupInfo, matchWelcomes } from "../../src/mls/public-group/match-commit.ts";
import { loadPublicGroup, openPublicGroup } from "../../src/mls/public-group/public-group.ts";
import { Judge, RULES, type MlsRefusal, type Rule } from "../../src/mls/rules.ts";
import { newParentNode } from "../../src/mls/tree/parent-node.ts";
import { PublicTree } from "../../src/mls/tree/public-tree.ts";
import { branch, halves, isBranch, isLeaf, leafSlot, type Subtree } from "../../src/mls/tree/subtree.ts";
import { readWelcome, type Welcome } from "../../src/mls/welcome.ts";
import { SyntheticGroup } from "../support/synthetic-group.ts";
import { buildKeyPackage, buildLeaf, newMember, NOW_MS, proposals, randomKey } from "../support/synthetic-structs.ts";

const on = new Judge();
const off = (rule: Rule): Judge => new Judge(new Set([rule]));

function expectRule(refusal: MlsRefusal | undefined, rule: Rule): void {
  expect(refusal).toMatchObject({ kind: "refused", rule, section: RULES[rule].section });
}

describe("[M3] a GroupInfo beside a commit", () => {
  const group = SyntheticGroup.create(4);
  const cases: readonly (readonly [Rule, string, Parameters<SyntheticGroup["groupInfo"]>[0], number | undefined])[] = [
    ["GROUP_INFO_CONTEXT", "another epoch", { context: { epoch: 6n } }, undefined],
    ["GROUP_INFO_CONTEXT", "another tree hash", { context: { treeHash: randomKey() } }, undefined],
    ["GROUP_INFO_CONTEXT", "another transcript", { context: { confirmedTranscriptHash: randomKey() } }, undefined],
    [
      "GROUP_INFO_CONTEXT",
      "other extensions",
      { context: { extensions: [{ type: 1, data: Uint8Array.of(1) }] } },
      undefined,
    ],
    ["GROUP_INFO_TAG", "another confirmation tag", { tag: randomKey() }, undefined],
    ["GROUP_INFO_SIGNER", "another member than the committer", { signer: 1 }, 0],
    ["GROUP_INFO_SIGNATURE", "another key's signature", { signWith: newMember("stranger") }, undefined],
    [
      "GROUP_INFO_TREE",
      "another tree",
      { ratchetTree: encodeRatchetTree(SyntheticGroup.create(4).group.tree) },
      undefined,
    ],
  ];

  it.each(cases)("%s refuses %s", async (rule, _, changes, committer) => {
    const info = group.groupInfo(changes);
    const refusal = await matchGroupInfo(group.group, info, committer, on);
    expectRule(refusal, rule);
    expect(await matchGroupInfo(group.group, info, committer, off(rule))).toBeUndefined();
  });

  it("GROUP_INFO_SIGNER refuses a signer that is no member", async () => {
    const info = group.groupInfo({ signer: 9, signWith: group.member(0) });
    expectRule(await matchGroupInfo(group.group, info, undefined, on), "GROUP_INFO_SIGNER");
  });

  it("is taken from the committer, or from any member when it comes by itself", async () => {
    expect(await matchGroupInfo(group.group, group.groupInfo(), 0, on)).toBeUndefined();
    expect(await matchGroupInfo(group.group, group.groupInfo({ signer: 3 }), undefined, on)).toBeUndefined();
    const info = group.groupInfo({ ratchetTree: encodeRatchetTree(group.group.tree) });
    expect(await matchGroupInfo(group.group, info, 0, on)).toBeUndefined();
  });
});

describe("[M4] the Welcomes of a commit", () => {
  const refs = [randomKey(), randomKey()] as const;
  const [first, second] = refs;
  const cases: readonly (readonly [Rule, string, readonly Welcome[]])[] = [
    ["WELCOME_CIPHERSUITE", "another suite", [welcomeFor([first, second], 3)]],
    ["WELCOME_ADDRESSES", "somebody else", [welcomeFor([first, second, randomKey()])]],
    ["WELCOME_ADDRESSES", "nobody", [welcomeFor([first, second]), welcomeFor([])]],
    ["WELCOME_ONCE", "one package twice", [welcomeFor([first, second]), welcomeFor([first])]],
    ["WELCOME_MISSING", "one package of two", [welcomeFor([first])]],
    ["WELCOME_MISSING", "no package", []],
  ];

  it.each(cases)("%s refuses a Welcome for %s", (rule, _, welcomes) => {
    expectRule(matchWelcomes(welcomes, refs, 1, on), rule);
    expect(matchWelcomes(welcomes, refs, 1, off(rule))).toBeUndefined();
  });

  it("may be one for all or one each, and none where nobody was added", () => {
    expect(matchWelcomes([welcomeFor(refs)], refs, 1, on)).toBeUndefined();
    expect(matchWelcomes([welcomeFor([second]), welcomeFor([first])], refs, 1, on)).toBeUndefined();
    expect(matchWelcomes([], [], 1, on)).toBeUndefined();
  });
});

describe("a whole group at group.create", () => {
  const terms = (judge: Judge): Parameters<typeof openPublicGroup>[2] => ({
    judge,
    provider: createBasicProvider(),
    nowMs: NOW_MS + 10 ** 12,
  });

  /** Opens a group over a broken tree, its context and signature made to fit. */
  async function open(group: SyntheticGroup, tree: PublicTree, judge: Judge): Promise<MlsRefusal | "opened"> {
    const info = group.groupInfo({ context: { treeHash: tree.treeHash() } });
    const outcome = await openPublicGroup(info, tree, terms(judge));
    return outcome.kind === "opened" ? "opened" : outcome;
  }

  it("[M10] opens, from a tree of members whose lifetimes are long over", async () => {
    // Most leaves are as they were added, with the lifetime of their key package.
    const group = SyntheticGroup.create(11, { historyEvery: 4 });
    expect(group.group.tree.leaf(1)?.lifetime).toBeDefined();
    expect(await open(group, group.group.tree, on)).toBe("opened");
  });

  it("TREE_HASH refuses another tree than the context's", async () => {
    const group = SyntheticGroup.create(4);
    const outcome = await openPublicGroup(group.groupInfo(), SyntheticGroup.create(4).group.tree, terms(on));
    expect(outcome).toMatchObject({ rule: "TREE_HASH" });
  });

  it("GROUP_INFO_SIGNER and GROUP_INFO_SIGNATURE refuse a GroupInfo that no member signed", async () => {
    const group = SyntheticGroup.create(3);
    const blank = group.groupInfo({ signer: 3, signWith: group.member(0) });
    expect(await openPublicGroup(blank, group.group.tree, terms(on))).toMatchObject({ rule: "GROUP_INFO_SIGNER" });
    const forged = group.groupInfo({ signWith: newMember("stranger") });
    expect(await openPublicGroup(forged, group.group.tree, terms(on))).toMatchObject({ rule: "GROUP_INFO_SIGNATURE" });
    expect(await openPublicGroup(forged, group.group.tree, terms(off("GROUP_INFO_SIGNATURE")))).toMatchObject({
      kind: "opened",
    });
  });

  const BROKEN: readonly (readonly [Rule, string, (group: SyntheticGroup) => PublicTree])[] = [
    [
      "PARENT_HASH",
      "a parent node's key that nobody signed for",
      (group) => edited(group, (node) => newParentNode(randomKey(), node.parentHash)),
    ],
    [
      "PARENT_HASH",
      "a member put into a tree without being added",
      (group) => withLeaf(group, 3, buildLeaf(newMember("smuggled"))),
    ],
    [
      "UNMERGED_LEAVES",
      "a blank unmerged leaf",
      (group) => edited(group, (node) => newParentNode(node.encryptionKey, node.parentHash, [6])),
    ],
    [
      "UNMERGED_LEAVES",
      "an unmerged leaf elsewhere",
      (group) =>
        edited(group, (node, level) => (level === 1 ? newParentNode(node.encryptionKey, node.parentHash, [4]) : node)),
    ],
    [
      "UNMERGED_LEAVES",
      "an unmerged leaf that a node between does not know",
      (group) =>
        edited(group, (node, level) => (level === 3 ? newParentNode(node.encryptionKey, node.parentHash, [1]) : node)),
    ],
    [
      "PARENT_KEYS",
      "a parent node's short key",
      (group) => edited(group, (node) => newParentNode(new Uint8Array(31), node.parentHash)),
    ],
    [
      "ENCRYPTION_KEY_UNIQUE",
      "one encryption key twice",
      (group) => withLeaf(group, 6, buildLeaf(newMember("copy"), { encryptionKey: keyAt(group, 1) })),
    ],
    ["SIGNATURE_KEY_UNIQUE", "one signature key twice", (group) => withLeaf(group, 6, buildLeaf(group.member(1)))],
    [
      "LEAF_SIGNATURE",
      "a leaf signed by another",
      (group) => added(group, buildLeaf(newMember("a"), {}, newMember("b"))),
    ],
  ];

  it.each(BROKEN)("%s refuses %s", async (rule, _, breakTree) => {
    const group = SyntheticGroup.create(6);
    const tree = breakTree(group);
    expect(await open(group, tree, on)).toMatchObject({ kind: "refused", rule, section: RULES[rule].section });
    const without = await open(group, tree, off(rule));
    if (without !== "opened") expect(without.rule).not.toBe(rule);
  });

  it("loads what its snapshot gave, and follows on from it", async () => {
    const group = SyntheticGroup.create(7);
    const loaded = loadPublicGroup(group.group.snapshot());
    if (loaded.kind === "malformed") throw new Error(loaded.why);
    expect(loaded.value.groupContext).toEqual(group.group.groupContext);
    const commit = group.commit({ committer: 5, proposals: [proposals.add(buildKeyPackage(newMember("x")))] });
    const [here, there] = [
      await group.follow(commit),
      await new SyntheticGroup(loaded.value, group.members).follow(commit),
    ];
    if (here.kind !== "followed" || there.kind !== "followed") throw new Error("not followed");
    expect(there.group.groupContext).toEqual(here.group.groupContext);
    expect(there.group.snapshot()).toEqual(here.group.snapshot());
    const again = readRatchetTree(here.group.snapshot().ratchetTree, 1);
    expect(again.kind === "ok" && again.value.treeHash()).toEqual(here.group.context.treeHash);
  });
});

function keyAt(group: SyntheticGroup, leafIndex: number): Uint8Array {
  return group.group.tree.leaf(leafIndex)?.encryptionKey as Uint8Array;
}

type ParentOf = Extract<Subtree, { readonly left: Subtree }>["parentNode"];

/** Every parent node changed. */
function edited(
  group: SyntheticGroup,
  edit: (node: NonNullable<ParentOf>, level: number) => NonNullable<ParentOf>,
): PublicTree {
  const visit = (subtree: Subtree): Subtree => {
    if (isLeaf(subtree) || !isBranch(subtree)) return subtree;
    const node = subtree.parentNode && edit(subtree.parentNode, subtree.level);
    return branch(node, visit(subtree.left), visit(subtree.right));
  };
  return new PublicTree(visit(group.group.tree.root), group.group.tree.hasher);
}

/** A leaf put in its place with nothing else changed. */
function withLeaf(group: SyntheticGroup, at: number, leafNode: ReturnType<typeof buildLeaf>): PublicTree {
  const visit = (subtree: Subtree, firstLeaf: number): Subtree => {
    if (isLeaf(subtree)) return firstLeaf === at ? leafSlot(leafNode) : subtree;
    const [left, right] = halves(subtree);
    const middle = firstLeaf + 2 ** left.level;
    const parentNode = isBranch(subtree) ? subtree.parentNode : undefined;
    return at < middle
      ? branch(parentNode, visit(left, firstLeaf), right)
      : branch(parentNode, left, visit(right, middle));
  };
  return new PublicTree(visit(group.group.tree.root, 0), group.group.tree.hasher);
}

function added(group: SyntheticGroup, leafNode: ReturnType<typeof buildLeaf>): PublicTree {
  return group.group.tree.add(leafNode).tree;
}

function welcomeFor(refs: readonly Uint8Array[], ciphersuite = 1): Welcome {
  const secrets = new Writer();
  for (const ref of refs) secrets.opaque(ref).opaque(randomKey()).opaque(randomKey());
  const body = new Writer().u16(1).u16(3).u16(ciphersuite).opaque(secrets.finish()).opaque(randomKey()).finish();
  const decoded = readWelcome(body);
  if (decoded.kind === "malformed") throw new Error(decoded.why);
  return decoded.value;
}
