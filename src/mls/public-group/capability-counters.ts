// How many members list, and use, what: so that "all members support it" is one comparison (PROTOCOL M9).
import type { Extension, RequiredCapabilities } from "../extension.ts";
import type { LeafNode } from "../leaf-node.ts";
import { isDefaultExtension, isDefaultProposal } from "../registries.ts";
import { MapDraft, type VersionedMap } from "./versioned-map.ts";

type Listing = "extension" | "proposal" | "credential";

/** Keys: what is listed, or "uses" for credential types in use, and the code point. */
export type CapabilityCounters = VersionedMap<number>;

export class CapabilityDraft {
  readonly #counts: MapDraft<number>;
  #members: number;
  /** Credential types in use; few, as a provider accepts few. */
  readonly #typesInUse: Set<number>;

  /** @param base absent: the counters of a whole tree are being built */
  constructor(base?: CapabilityCounters, members = 0, typesInUse: ReadonlySet<number> = new Set()) {
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

  finish(): { readonly counters: CapabilityCounters; readonly typesInUse: ReadonlySet<number> } {
    return { counters: this.#counts.finish(), typesInUse: this.#typesInUse };
  }

  #listedByAll(listing: Listing, type: number): boolean {
    return this.#members === 0 || this.#counts.get(`${listing} ${type}`) === this.#members;
  }

  #count(leafNode: LeafNode, by: 1 | -1): void {
    const { extensions, proposals, credentials } = leafNode.capabilities;
    // A type listed twice counts once.
    for (const type of new Set(extensions)) this.#change(`extension ${type}`, by);
    for (const type of new Set(proposals)) this.#change(`proposal ${type}`, by);
    for (const type of new Set(credentials)) this.#change(`credential ${type}`, by);
    const used = leafNode.credentialType;
    if (this.#change(`uses ${used}`, by) > 0) this.#typesInUse.add(used);
    else this.#typesInUse.delete(used);
    this.#members += by;
  }

  #change(key: string, by: 1 | -1): number {
    const count = (this.#counts.get(key) ?? 0) + by;
    this.#counts.set(key, count === 0 ? undefined : count);
    return count;
  }
}
