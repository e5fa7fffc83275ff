// Which keys stand in a group's tree, so that uniqueness (RFC 9420 §7.3) is one look-up a key.
import type { LeafNode } from "../leaf-node.ts";
import type { ParentNode } from "../tree/parent-node.ts";
import { MapDraft, VersionedMap } from "./versioned-map.ts";

/** Counts by key; a key that stands once counts 1. Encryption and signature keys are told apart by a prefix. */
export type KeyIndex = VersionedMap<number>;

export function emptyKeyIndex(): KeyIndex {
  return new VersionedMap<number>(new Map());
}

export class KeyDraft {
  readonly #keys: MapDraft<number>;

  constructor(base: KeyIndex) {
    this.#keys = new MapDraft(base);
  }

  holdsEncryptionKey(key: Uint8Array): boolean {
    return this.#keys.get(encryptionEntry(key)) !== undefined;
  }

  holdsSignatureKey(key: Uint8Array): boolean {
    return this.#keys.get(signatureEntry(key)) !== undefined;
  }

  addLeaf(leafNode: LeafNode): void {
    this.#change(encryptionEntry(leafNode.encryptionKey), 1);
    this.#change(signatureEntry(leafNode.signatureKey), 1);
  }

  removeLeaf(leafNode: LeafNode): void {
    this.#change(encryptionEntry(leafNode.encryptionKey), -1);
    this.#change(signatureEntry(leafNode.signatureKey), -1);
  }

  addParent(node: Pick<ParentNode, "encryptionKey">): void {
    this.#change(encryptionEntry(node.encryptionKey), 1);
  }

  removeParent(node: Pick<ParentNode, "encryptionKey">): void {
    this.#change(encryptionEntry(node.encryptionKey), -1);
  }

  finish(): KeyIndex {
    return this.#keys.finish();
  }

  #change(entry: string, by: 1 | -1): void {
    const count = (this.#keys.get(entry) ?? 0) + by;
    this.#keys.set(entry, count === 0 ? undefined : count);
  }
}

function encryptionEntry(key: Uint8Array): string {
  return `e${textOf(key)}`;
}

function signatureEntry(key: Uint8Array): string {
  return `s${textOf(key)}`;
}

function textOf(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.length).toString("latin1");
}
