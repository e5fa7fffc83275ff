// A map whose versions all stay readable: the newest holds the entries, older ones the differences to it.
// Following commits one after the other costs what a plain map costs; racing commits switch back and forth.

type State<V> =
  | { readonly kind: "whole"; readonly entries: Map<string, V> }
  /** What this version has where `nearer` differs; undefined: absent here. */
  | {
      readonly kind: "difference";
      readonly changes: ReadonlyMap<string, V | undefined>;
      readonly nearer: VersionedMap<V>;
    };

export class VersionedMap<V> {
  #state: State<V>;

  constructor(entries: Map<string, V>) {
    this.#state = { kind: "whole", entries };
  }

  get(key: string): V | undefined {
    return this.#entries().get(key);
  }

  get size(): number {
    return this.#entries().size;
  }

  /** All entries of this version; a snapshot. */
  entries(): (readonly [string, V])[] {
    return [...this.#entries()];
  }

  /** A version with `changes` applied (undefined: absent). This version stays as it is. */
  with(changes: ReadonlyMap<string, V | undefined>): VersionedMap<V> {
    if (changes.size === 0) return this;
    const entries = this.#entries();
    const next = new VersionedMap(entries);
    this.#state = { kind: "difference", changes: exchange(entries, changes), nearer: next };
    return next;
  }

  #entries(): Map<string, V> {
    return VersionedMap.#hold(this);
  }

  /** Makes `wanted` the version that holds the entries. */
  static #hold<V>(wanted: VersionedMap<V>): Map<string, V> {
    const chain: VersionedMap<V>[] = [];
    let holder = wanted;
    while (holder.#state.kind === "difference") {
      chain.push(holder);
      holder = holder.#state.nearer;
    }
    const { entries } = holder.#state;
    for (let version = chain.pop(); version !== undefined; version = chain.pop()) {
      const { changes } = version.#state as Extract<State<V>, { kind: "difference" }>;
      holder.#state = { kind: "difference", changes: exchange(entries, changes), nearer: version };
      version.#state = { kind: "whole", entries };
      holder = version;
    }
    return entries;
  }
}

/** Applies changes and answers what undoes them. */
function exchange<V>(entries: Map<string, V>, changes: ReadonlyMap<string, V | undefined>): Map<string, V | undefined> {
  const before = new Map<string, V | undefined>();
  for (const [key, value] of changes) {
    before.set(key, entries.get(key));
    if (value === undefined) entries.delete(key);
    else entries.set(key, value);
  }
  return before;
}

/** Changes being gathered on top of one version, or a first version being built. */
export class MapDraft<V> {
  readonly #base: VersionedMap<V> | undefined;
  readonly #changes = new Map<string, V | undefined>();

  constructor(base?: VersionedMap<V>) {
    this.#base = base;
  }

  get(key: string): V | undefined {
    return this.#changes.has(key) ? this.#changes.get(key) : this.#base?.get(key);
  }

  set(key: string, value: V | undefined): void {
    if (value === undefined && this.#base === undefined) this.#changes.delete(key);
    else this.#changes.set(key, value);
  }

  /** The draft is used up. */
  finish(): VersionedMap<V> {
    // What is built from nothing holds no `undefined`, and is not copied: it may be large.
    if (this.#base === undefined) return new VersionedMap(this.#changes as Map<string, V>);
    return this.#base.with(this.#changes);
  }
}
