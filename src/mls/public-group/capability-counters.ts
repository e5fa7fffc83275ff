// How many members list, and use, what: so that "all members support it" is one comparison (PROTOCOL M9).
import type { Extension, RequiredCapabilities } from "../extension.ts";
import type { LeafNode } from "../leaf-node.ts";
import { isDefaultExtension, isDefaultProposal } from "../registries.ts";
import { MapDraft, type VersionedMap } from "./versioned-map.ts";

/** What is counted of a code point: the members that list it, and of credential types those that use it. */
const COUNTED = { extension: 0, proposal: 1, credential: 2, credentialInUse: 3 } as const;

type Counted = keyof typeof COUNTED;

export type CapabilityCounters = VersionedMap<number, number>;

/** Where it is counted: what is counted above the sixteen bits of the code point. */
function counter(counted: Counted, codePoint: number): number {
  return COUNTED[counted] * 0x1_0000 + codePoint;
}

export class CapabilityDraft {
  readonly #counts: MapDraft<number, number>;
  #members: number;
  /** Credential types in use; few, as a provider accepts few. */
  readonly #typesInUse: Set<number>;

  /** @param base absent: the counters of a whole tree are being built */
  constructor(base?: CapabilityCounters, members = 0, typesInUse: readonly number[] = []) {
    this.#counts = new MapDraft(base);
    this.#members = members;
    this.#typesInUse = new Set(typesInUse);
  }

  add(leafNode: LeafNode): void {
    this.#count(leafNode, 1);
  }

  remove(leafNode: LeafNode): void {
    this.#count(leafNode, -1);
  }

  supportsExtension(type: number): boolean {
    return isDefaultExtension(type) || this.#listedByAll("extension", type);
  }

  supportsProposal(type: number): boolean {
    return isDefaultProposal(type) || this.#listedByAll("proposal", type);
  }

  supportsCredentialsInUse(): boolean {
    for (const type of this.#typesInUse) if (!this.#listedByAll("credential", type)) return false;
    return true;
  }

  supportsContext(extensions: readonly Extension[]): boolean {
    return extensions.every(({ type }) => this.supportsExtension(type));
  }

  supportsRequired(required: RequiredCapabilities): boolean {
    return (
      required.extensionTypes.every((type) => this.supportsExtension(type)) &&
      required.proposalTypes.every((type) => this.supportsProposal(type)) &&
      required.credentialTypes.every((type) => this.#listedByAll("credential", type))
    );
  }

  finish(): { readonly counters: CapabilityCounters; readonly typesInUse: readonly number[] } {
    return { counters: this.#counts.finish(), typesInUse: [...this.#typesInUse] };
  }

  #listedByAll(listing: Counted, type: number): boolean {
    return this.#members === 0 || this.#counts.get(counter(listing, type)) === this.#members;
  }

  #count(leafNode: LeafNode, by: 1 | -1): void {
    const { extensions, proposals, credentials } = leafNode.capabilities;
    // A type listed twice counts once.
    for (const type of new Set(extensions)) this.#change(counter("extension", type), by);
    for (const type of new Set(proposals)) this.#change(counter("proposal", type), by);
    for (const type of new Set(credentials)) this.#change(counter("credential", type), by);
    const used = leafNode.credentialType;
    if (this.#change(counter("credentialInUse", used), by) > 0) this.#typesInUse.add(used);
    else this.#typesInUse.delete(used);
    this.#members += by;
  }

  #change(key: number, by: 1 | -1): number {
    const count = (this.#counts.get(key) ?? 0) + by;
    this.#counts.set(key, count === 0 ? undefined : count);
    return count;
  }
}
