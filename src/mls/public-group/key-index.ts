// Which keys stand in a group's tree, so that uniqueness (RFC 9420 §7.3) is one look-up a key.
import type { LeafNode } from "../leaf-node.ts";
import type { ParentNode } from "../tree/parent-node.ts";
import { MapDraft, type VersionedMap } from "./versioned-map.ts";

/** By key: how often it stands as an encryption key, and how often as a signature key times SIGNATURE. */
export type KeyIndex = VersionedMap<string, number>;

const ENCRYPTION = 1;
/** More than a tree has nodes. One map for both, as small groups are many and each map has a price of its own. */
const SIGNATURE = 2 ** 20;

export class KeyDraft {
  readonly #uses: MapDraft<string, number>;

  /** @param base absent: the index of a whole tree is being built */
  constructor(base?: KeyIndex) {
    this.#uses = new MapDraft(base);
  }

  holdsEncryptionKey(key: Uint8Array): boolean {
    return this.#usesOf(key) % SIGNATURE > 0;
  }

  holdsSignatureKey(key: Uint8Array): boolean {
    return this.#usesOf(key) >= SIGNATURE;
  }

  addLeaf(leafNode: LeafNode): void {
    this.#change(leafNode.encryptionKey, ENCRYPTION);
    this.#change(leafNode.signatureKey, SIGNATURE);
  }

  removeLeaf(leafNode: LeafNode): void {
    this.#change(leafNode.encryptionKey, -ENCRYPTION);
    this.#change(leafNode.signatureKey, -SIGNATURE);
  }

  addParent(node: Pick<ParentNode, "encryptionKey">): void {
    this.#change(node.encryptionKey, ENCRYPTION);
  }

  removeParent(node: Pick<ParentNode, "encryptionKey">): void {
    this.#change(node.encryptionKey, -ENCRYPTION);
  }

  finish(): KeyIndex {
    return this.#uses.finish();
  }

  #usesOf(key: Uint8Array): number {
    return this.#uses.get(textOf(key)) ?? 0;
  }

  #change(key: Uint8Array, by: number): void {
    const text = textOf(key);
    const uses = (this.#uses.get(text) ?? 0) + by;
    this.#uses.set(text, uses === 0 ? undefined : uses);
  }
}

/** One character a byte. */
function textOf(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.length).toString("latin1");
}
