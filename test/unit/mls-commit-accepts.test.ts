// [M2] [M7] What the rules let through: every kind of proposal, commit and joiner.
import { describe, expect, it } from "vitest";
import { openPublicGroup } from "../../src/mls/public-group/public-group.ts";
import { newParentNode, parentHashOf } from "../../src/mls/tree/parent-node.ts";
import { PublicTree } from "../../src/mls/tree/public-tree.ts";
import { branch, leafSlot } from "../../src/mls/tree/subtree.ts";
import { TreeHasher } from "../../src/mls/tree/tree-hasher.ts";
import { add, moderator, senders, updateOf } from "../support/rule-cases.ts";
import { ALL_CUSTOM, externalSender, memberSender, NEW_MEMBER, SyntheticGroup } from "../support/synthetic-group.ts";
import {
  buildKeyPackage,
  buildLeaf,
  CAPABILITIES,
  newMember,
  proposals,
  randomKey,
  requiredCapabilities,
} from "../support/synthetic-structs.ts";

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

  it("an Add in a tree that ends with a parent node, which stays as wide as it is: nobody was removed", async () => {
    const base = SyntheticGroup.create(1);
    const hasher = new TreeHasher(1);
    const node = newParentNode(randomKey(), new Uint8Array(0));
    const parentHash = parentHashOf(1, node, hasher.bytesOf(hasher.leaf(1, undefined)));
    const place = { groupId: base.group.groupId, leafIndex: 0 };
    const founder = buildLeaf(base.member(0), { source: "commit", parentHash, place });
    const tree = new PublicTree(branch(node, leafSlot(founder), leafSlot(undefined)), hasher);
    const info = base.groupInfo({ context: { treeHash: tree.treeHash() } });
    const opened = await openPublicGroup(info, tree, base.terms());
    if (opened.kind === "refused") throw new Error(opened.rule);
    const group = new SyntheticGroup(opened.group, base.members);
    const added = buildKeyPackage(newMember("added"));
    const outcome = await group.follow(group.commit({ path: false, proposals: [proposals.add(added)] }));
    if (outcome.kind !== "followed") throw new Error(JSON.stringify(outcome));
    expect(outcome.group.context.treeHash).toEqual(tree.add(added.leafNode).tree.treeHash());
  });

  it("names the proposals that it does not know by reference", async () => {
    const group = SyntheticGroup.create(4);
    const ref = randomKey();
    const outcome = await group.follow(group.commit({ referred: [{ ref, built: { bytes: new Uint8Array(0) } }] }));
    expect(outcome).toEqual({ kind: "proposalsMissing", refs: [ref] });
  });
});
