// The public tree and its versioned indices as values: changes never reach back, and cost what they should.
import { describe, expect, it } from "vitest";
import {
  encodeRatchetTree,
  encodedTreeSize,
  encodeTreeSlice,
  readRatchetTree,
  TREE_LEAVES_MAX,
} from "../../src/mls/ratchet-tree.ts";
import { loadPublicGroupWork, treeStateOf } from "../../src/mls/public-group/public-group.ts";
import { VersionedMap } from "../../src/mls/public-group/versioned-map.ts";
import { PublicTree } from "../../src/mls/tree/public-tree.ts";
import { branch, leafSlot, type Subtree } from "../../src/mls/tree/subtree.ts";
import { TreeHasher } from "../../src/mls/tree/tree-hasher.ts";
import { hashTreeWork } from "../../src/mls/tree/validate-tree.ts";
import { finish, finishInSteps, UNITS_PER_STEP } from "../../src/mls/work.ts";
import { settings } from "../../src/protocol/schemas/application.ts";
import { seededRandom } from "../support/mutations.ts";
import { SyntheticGroup } from "../support/synthetic-group.ts";
import { buildKeyPackage, buildLeaf, newMember, proposals } from "../support/synthetic-structs.ts";

const SEED = Number(process.env["AEGIS_SEED"] ?? Math.floor(Math.random() * 2 ** 31));

function emptyTree(): PublicTree {
  return new PublicTree(leafSlot(undefined), new TreeHasher(1));
}

describe("the public tree", () => {
  it("agrees, after any operations, with the same tree decoded anew; earlier trees stay as they were", () => {
    console.log(`mls-public-tree: AEGIS_SEED=${SEED}`);
    const random = seededRandom(SEED);
    const leaves = Array.from({ length: 24 }, (_, at) => buildLeaf(newMember(`m${at}`)));
    let tree = emptyTree().add(leaves[0] as never).tree;
    const history: (readonly [PublicTree, Uint8Array, Uint8Array])[] = [];
    for (let step = 0; step < 150; step++) {
      const members = [...tree.members()].map(([leafIndex]) => leafIndex);
      const some = members[Math.floor(random() * members.length)] as number;
      const leaf = leaves[Math.floor(random() * leaves.length)] as never;
      const choice = random();
      if (choice < 0.4) tree = tree.add(leaf).tree;
      else if (choice < 0.6 && members.length > 1) tree = tree.replace(some, undefined).truncated();
      else if (choice < 0.7) tree = tree.replace(some, leaf);
      else {
        const keys = tree.filteredDirectPath(some).map(() => new Uint8Array(32).fill(step));
        tree = tree.mergePath(some, leaf, keys).tree;
      }
      const encoded = encodeRatchetTree(tree);
      const again = readRatchetTree(encoded, 1);
      if (again.kind === "malformed") throw new Error(again.why);
      expect(again.value.treeHash()).toEqual(tree.treeHash());
      expect(again.value.leafCount).toBe(tree.leafCount);
      expect(again.value.memberCount).toBe(tree.memberCount);
      expect(again.value.firstBlankLeaf()).toBe(tree.firstBlankLeaf());
      expect(encodedTreeSize(tree)).toBe(encoded.length);
      history.push([tree, encoded, tree.treeHash()]);
    }
    for (const [before, encoded, treeHash] of history) {
      expect(before.treeHash()).toEqual(treeHash);
      expect(Buffer.compare(encodeRatchetTree(before), encoded)).toBe(0);
    }
  });

  it("serves any slice of its encoding", () => {
    const { tree } = SyntheticGroup.create(13).group;
    const whole = encodeRatchetTree(tree);
    const random = seededRandom(SEED);
    for (let round = 0; round < 300; round++) {
      const from = Math.floor(random() * (whole.length + 10));
      const bytesMax = Math.floor(random() * whole.length);
      expect(encodeTreeSlice(tree, from, bytesMax)).toEqual(whole.slice(from, from + bytesMax));
    }
  });

  it("[M9] hashes no more after a change than the path that changed, and the leaf beside it", () => {
    const { tree } = SyntheticGroup.create(1024, { historyEvery: 512 }).group;
    tree.treeHash();
    const counting = new CountingHasher();
    new PublicTree(tree.replace(500, undefined).root, counting).treeHash();
    expect(counting.count).toBeLessThanOrEqual(12);
  });

  it("[M9] of the largest group that a setting allows can be read again", () => {
    let root: Subtree = leafSlot(buildLeaf(newMember("everybody")));
    while (2 ** root.level < TREE_LEAVES_MAX) root = branch(undefined, root, root);
    const tree = new PublicTree(root, new TreeHasher(1));
    const again = readRatchetTree(encodeRatchetTree(tree), 1);
    expect(again.kind === "ok" && again.value.memberCount).toBe(TREE_LEAVES_MAX);
    expect(settings.parse({ groupMembersMax: TREE_LEAVES_MAX })).toMatchObject({ groupMembersMax: TREE_LEAVES_MAX });
    expect(settings.safeParse({ groupMembersMax: TREE_LEAVES_MAX + 1 }).success).toBe(false);
  });

  it("lists members from any leaf on, and none beyond", () => {
    const { tree } = SyntheticGroup.create(9).group;
    const without = tree.replace(4, undefined);
    expect([...without.members()].map(([leaf]) => leaf)).toEqual([0, 1, 2, 3, 5, 6, 7, 8]);
    expect([...without.members(5)].map(([leaf]) => leaf)).toEqual([5, 6, 7, 8]);
    expect([...without.members(9)]).toEqual([]);
    for (const nowhere of [-1, 0.5, 16, 2 ** 32, Number.NaN]) expect(without.leaf(nowhere)).toBeUndefined();
  });
});

class CountingHasher extends TreeHasher {
  count = 0;

  constructor() {
    super(1);
  }

  override leaf(...parts: Parameters<TreeHasher["leaf"]>): string {
    this.count++;
    return super.leaf(...parts);
  }

  override parent(...parts: Parameters<TreeHasher["parent"]>): string {
    this.count++;
    return super.parent(...parts);
  }
}

describe("the versioned map", () => {
  it("keeps every version readable, whatever is read and changed in between", () => {
    const random = seededRandom(SEED);
    const versions: (readonly [VersionedMap<string, number>, Map<string, number>])[] = [
      [new VersionedMap(new Map()), new Map()],
    ];
    for (let step = 0; step < 400; step++) {
      const [base, expected] = versions[Math.floor(random() * versions.length)] as (typeof versions)[number];
      const changes = new Map<string, number | undefined>();
      const next = new Map(expected);
      for (let change = 0; change < 3; change++) {
        const key = `k${Math.floor(random() * 12)}`;
        const value = random() < 0.3 ? undefined : step;
        changes.set(key, value);
        if (value === undefined) next.delete(key);
        else next.set(key, value);
      }
      versions.push([base.with(changes), next]);
      const [version, entries] = versions[Math.floor(random() * versions.length)] as (typeof versions)[number];
      expect(new Map(version.entries())).toEqual(entries);
      expect(version.size).toBe(entries.size);
      expect(version.get("k3")).toBe(entries.get("k3"));
    }
  });
});

describe("[M9] a group that grows and is loaded", () => {
  it("keeps beside its tree what the tree itself would give", async () => {
    const group = SyntheticGroup.create(8);
    for (let round = 0; round < 6; round++) {
      const newcomer = newMember(`x${round}`);
      const removed = (round + 1) % 8;
      const commit = group.commit({
        committer: round,
        proposals: [proposals.remove(removed), proposals.add(buildKeyPackage(newcomer))],
      });
      const outcome = await group.follow(commit);
      if (outcome.kind !== "followed") throw new Error(JSON.stringify(outcome));
      group.group = outcome.group;
      group.members.set(removed, newcomer);
      const { keys, counters, credentialTypes } = group.group.state;
      const anew = treeStateOf(group.group.tree);
      expect(keys.entries().sort()).toEqual(anew.keys.entries().sort());
      expect(counters.entries().sort()).toEqual(anew.counters.entries().sort());
      expect(credentialTypes).toEqual(anew.credentialTypes);
    }
  });

  it("does long work in steps, with the same result", async () => {
    const snapshot = SyntheticGroup.create(600, { historyEvery: 100 }).group.snapshot();
    let pauses = 0;
    const pause = (): Promise<void> => {
      pauses++;
      return Promise.resolve();
    };
    const inSteps = await finishInSteps(loadPublicGroupWork(snapshot), pause);
    const atOnce = finish(loadPublicGroupWork(snapshot));
    if (inSteps.kind === "malformed" || atOnce.kind === "malformed") throw new Error("not loaded");
    expect(pauses).toBeGreaterThan(15);
    expect(inSteps.value.snapshot()).toEqual(atOnce.value.snapshot());
  });

  it("hashes its blank parts in steps", () => {
    const leaf = buildLeaf(newMember("at both ends"));
    const last = 8191;
    const wide = emptyTree().add(leaf).tree.withRoomFor(last).replace(last, leaf);
    const decoded = readRatchetTree(encodeRatchetTree(wide), 1);
    if (decoded.kind === "malformed") throw new Error(decoded.why);
    const work = hashTreeWork(decoded.value);
    let steps = 0;
    while (work.next().done !== true) steps++;
    expect(steps).toBeGreaterThanOrEqual((last + 1) / UNITS_PER_STEP);
    expect(decoded.value.treeHash()).toEqual(wide.treeHash());
  });

  it("doubles in steps", async () => {
    const group = SyntheticGroup.create(1024, { historyEvery: 512 });
    const commit = group.commit({ path: false, proposals: [proposals.add(buildKeyPackage(newMember("one more")))] });
    let pauses = 0;
    const pause = (): Promise<void> => {
      pauses++;
      return Promise.resolve();
    };
    const outcome = await group.follow(commit, { pause });
    if (outcome.kind !== "followed") throw new Error(JSON.stringify(outcome));
    expect(outcome.group.tree.leafCount).toBe(2048);
    expect(pauses).toBeGreaterThanOrEqual(8);
    const anew = readRatchetTree(encodeRatchetTree(outcome.group.tree), 1);
    expect(anew.kind === "ok" && anew.value.treeHash()).toEqual(outcome.group.context.treeHash);
  });
});
