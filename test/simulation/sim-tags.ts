// The tag index of the simulation's store (P10): an older version never undoes a newer one.
import type { TagEntry } from "../../src/store/store.ts";

interface StoredTag {
  readonly version: number;
  readonly live: boolean;
  readonly tags: readonly string[];
}

export class SimTags {
  /** By application and tag, then by client. */
  readonly #tags = new Map<string, Map<string, StoredTag>>();

  write(applicationId: string, tag: string, clientId: string, entry: StoredTag): void {
    const key = `${applicationId}\0${tag}`;
    const clients = this.#tags.get(key) ?? new Map<string, StoredTag>();
    this.#tags.set(key, clients);
    const before = clients.get(clientId);
    if (before === undefined || before.version <= entry.version) clients.set(clientId, entry);
  }

  read(applicationId: string, tag: string, after: string, limit: number): TagEntry[] {
    return [...this.#live(applicationId, tag)]
      .filter(([clientId]) => clientId > after)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .slice(0, limit)
      .map(([clientId, { version, tags }]) => ({ clientId, version, tags }));
  }

  count(applicationId: string, tag: string): number {
    return this.#live(applicationId, tag).length;
  }

  purge(applicationId: string): void {
    for (const key of [...this.#tags.keys()]) if (key.startsWith(`${applicationId}\0`)) this.#tags.delete(key);
  }

  #live(applicationId: string, tag: string): [string, StoredTag][] {
    return [...(this.#tags.get(`${applicationId}\0${tag}`) ?? [])].filter(([, { live }]) => live);
  }
}
