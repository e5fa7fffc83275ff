// Which keys stand in a group's tree, so that uniqueness (RFC 9420 §7.3) is one look-up a key.
import type { LeafNode } from "../leaf-node.ts";
import type { ParentNode } from "../tree/parent-node.ts";
import { MapDraft, type VersionedMap } from "./versioned-map.ts";

/** Counts by key; a key that stands once counts 1. */
export interface KeyIndex {
  readonly encryption: VersionedMap<number>;
  readonly signature: VersionedMap<number>;
}

export class KeyDraft {
  readonly #encryption: MapDraft<number>;
  readonly #signature: MapDraft<number>;

  /** @param base absent: the index of a whole tree is being built */
  constructor(base?: KeyIndex) {
    this.#encryption = new MapDraft(base?.encryption);
    this.#signature = new MapDraft(base?.signature);
  }

  holdsEncryptionKey(key: Uint8Array): boolean {
    return this.#encryption.get(textOf(key)) !== undefined;
  }

  holdsSignatureKey(key: Uint8Array): boolean {
    return this.#signature.get(textOf(key)) !== undefined;
  }

  addLeaf(leafNode: LeafNode): void {
    change(this.#encryption, leafNode.encryptionKey, 1);
    change(this.#signature, leafNode.signatureKey, 1);
  }

  removeLeaf(leafNode: LeafNode): void {
    change(this.#encryption, leafNode.encryptionKey, -1);
    change(this.#signature, leafNode.signatureKey, -1);
  }

  addParent(node: Pick<ParentNode, "encryptionKey">): void {
    change(this.#encryption, node.encryptionKey, 1);
  }

  removeParent(node: Pick<ParentNode, "encryptionKey">): void {
    change(this.#encryption, node.encryptionKey, -1);
  }

  finish(): KeyIndex {
    return { encryption: this.#encryption.finish(), signature: this.#signature.finish() };
  }
}

function change(keys: MapDraft<number>, key: Uint8Array, by: 1 | -1): void {
  const text = textOf(key);
  const count = (keys.get(text) ?? 0) + by;
  keys.set(text, count === 0 ? undefined : count);
}

/** One character a byte. */
function textOf(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.length).toString("latin1");
}
