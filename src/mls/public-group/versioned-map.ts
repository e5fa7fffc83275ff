// A map whose versions all stay readable: the newest holds the entries, older ones the differences to it.
// Following commits one after the other costs what a plain map costs; racing commits switch back and forth.

type State<K, V> =
  | { readonly kind: "whole"; readonly entries: Map<K, V> }
  /** What this version has where `nearer` differs; undefined: absent here. */
  | {
      readonly kind: "difference";
      readonly changes: ReadonlyMap<K, V | undefined>;
      readonly nearer: VersionedMap<K, V>;
    };

export class VersionedMap<K, V> {
  #state: State<K, V>;

  constructor(entries: Map<K, V>) {
    this.#state = { kind: "whole", entries };
  }

  get(key: K): V | undefined {
    return this.#entries().get(key);
  }

  get size(): number {
    return this.#entries().size;
  }

  /** All entries of this version; a snapshot. */
  entries(): (readonly [K, V])[] {
    return [...this.#entries()];
  }

  /** A version with `changes` applied (undefined: absent). This version stays as it is. */
  with(changes: ReadonlyMap<K, V | undefined>): VersionedMap<K, V> {
    if (changes.size === 0) return this;
    const entries = this.#entries();
    const next = new VersionedMap(entries);
    this.#state = { kind: "difference", changes: exchange(entries, changes), nearer: next };
    return next;
  }

  #entries(): Map<K, V> {
    return VersionedMap.#hold(this);
  }

  /** Makes `wanted` the version that holds the entries. */
  static #hold<K, V>(wanted: VersionedMap<K, V>): Map<K, V> {
    const chain: VersionedMap<K, V>[] = [];
    let holder = wanted;
    while (holder.#state.kind === "difference") {
      chain.push(holder);
      holder = holder.#state.nearer;
    }
    const { entries } = holder.#state;
    for (let version = chain.pop(); version !== undefined; version = chain.pop()) {
      const { changes } = version.#state as Extract<State<K, V>, { kind: "difference" }>;
      holder.#state = { kind: "difference", changes: exchange(entries, changes), nearer: version };
      version.#state = { kind: "whole", entries };
      holder = version;
    }
    return entries;
  }
}

/** Applies changes and answers what undoes them. */
function exchange<K, V>(entries: Map<K, V>, changes: ReadonlyMap<K, V | undefined>): Map<K, V | undefined> {
  const before = new Map<K, V | undefined>();
  for (const [key, value] of changes) {
    before.set(key, entries.get(key));
    if (value === undefined) entries.delete(key);
    else entries.set(key, value);
  }
  return before;
}

/** Changes being gathered on top of one version, or a first version being built. */
export class MapDraft<K, V> {
  readonly #base: VersionedMap<K, V> | undefined;
  readonly #changes = new Map<K, V | undefined>();

  constructor(base?: VersionedMap<K, V>) {
    this.#base = base;
  }

  get(key: K): V | undefined {
    return this.#changes.has(key) ? this.#changes.get(key) : this.#base?.get(key);
  }

  set(key: K, value: V | undefined): void {
    if (value === undefined && this.#base === undefined) this.#changes.delete(key);
    else this.#changes.set(key, value);
  }

  /** The draft is used up. */
  finish(): VersionedMap<K, V> {
    // What is built from nothing holds no `undefined`, and is not copied: it may be large.
    if (this.#base === undefined) return new VersionedMap(this.#changes as Map<K, V>);
    return this.#base.with(this.#changes);
  }
}
