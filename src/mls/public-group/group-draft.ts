// The state of a group while a commit is being applied to it: tree, keys and capabilities move together.
// Thrown away when the commit is refused; the group that it began from is untouched.
import type { LeafNode } from "../leaf-node.ts";
import type { PublicTree } from "../tree/public-tree.ts";
import { CapabilityDraft, type CapabilityCounters } from "./capability-counters.ts";
import { KeyDraft, type KeyIndex } from "./key-index.ts";

/** What follows from a tree and is kept beside it, so that no commit walks all leaves. */
export interface TreeState {
  readonly tree: PublicTree;
  readonly keys: KeyIndex;
  readonly counters: CapabilityCounters;
  readonly credentialTypes: readonly number[];
}

export class GroupDraft {
  readonly keys: KeyDraft;
  readonly capabilities: CapabilityDraft;
  #tree: PublicTree;

  constructor(base: TreeState) {
    this.#tree = base.tree;
    this.keys = new KeyDraft(base.keys);
    this.capabilities = new CapabilityDraft(base.counters, base.tree.memberCount, base.credentialTypes);
  }

  get tree(): PublicTree {
    return this.#tree;
  }

  /** Answers the leaf that the new member took. */
  add(leafNode: LeafNode): number {
    const own = leafNode.compact();
    const { tree, leafIndex } = this.#tree.add(own);
    this.#tree = tree;
    this.keys.addLeaf(own);
    this.capabilities.add(own);
    return leafIndex;
  }

  update(leafIndex: number, leafNode: LeafNode): void {
    this.#forgetPath(leafIndex);
    this.#forgetLeaf(leafIndex);
    const own = leafNode.compact();
    this.#tree = this.#tree.replace(leafIndex, own);
    this.keys.addLeaf(own);
    this.capabilities.add(own);
  }

  remove(leafIndex: number): void {
    this.#forgetPath(leafIndex);
    this.#forgetLeaf(leafIndex);
    this.#tree = this.#tree.replace(leafIndex, undefined);
  }

  truncate(): void {
    this.#tree = this.#tree.truncated();
  }

  makeRoom(leafIndex: number): void {
    this.#tree = this.#tree.withRoomFor(leafIndex);
  }

  /** Answers the parent hash that the leaf node must carry. The keys must be as many as the filtered direct path. */
  mergePath(leafIndex: number, leafNode: LeafNode, encryptionKeys: readonly Uint8Array[]): Uint8Array {
    this.#forgetPath(leafIndex);
    this.#forgetLeaf(leafIndex);
    const own = leafNode.compact();
    const keys = encryptionKeys.map((key) => key.slice());
    const { tree, leafParentHash } = this.#tree.mergePath(leafIndex, own, keys);
    this.#tree = tree;
    this.keys.addLeaf(own);
    this.capabilities.add(own);
    for (const encryptionKey of keys) this.keys.addParent({ encryptionKey });
    return leafParentHash;
  }

  finish(): TreeState {
    const { counters, typesInUse } = this.capabilities.finish();
    return { tree: this.#tree, keys: this.keys.finish(), counters, credentialTypes: typesInUse };
  }

  #forgetLeaf(leafIndex: number): void {
    const leafNode = this.#tree.leaf(leafIndex);
    if (leafNode === undefined) return;
    this.keys.removeLeaf(leafNode);
    this.capabilities.remove(leafNode);
  }

  /** Every change of a leaf blanks or replaces the nodes above it. */
  #forgetPath(leafIndex: number): void {
    for (const { parentNode } of this.#tree.directPath(leafIndex)) {
      if (parentNode !== undefined) this.keys.removeParent(parentNode);
    }
  }
}
