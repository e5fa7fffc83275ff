// The names of a live actor's parts, sorted: what lets a machine decide over a large state while its
// snapshot stays small (L5). Kept in step with the effects of each turn; never holds a part's bytes.
import type { Directory } from "./effects.ts";

export class SortedDirectory implements Directory {
  readonly #prefixes: readonly string[];
  readonly #names: string[];

  /** @param names part names in byte order, all under one of the prefixes */
  constructor(prefixes: readonly string[], names: readonly string[]) {
    this.#prefixes = prefixes;
    this.#names = [...names];
  }

  has(name: string): boolean {
    return this.#names[this.#position(name)] === name;
  }

  count(prefix: string): number {
    return this.#position(endOf(prefix)) - this.#position(prefix);
  }

  first(prefix: string, from: string = prefix): string | undefined {
    const name = this.#names[this.#position(from < prefix ? prefix : from)];
    return name?.startsWith(prefix) === true ? name : undefined;
  }

  list(prefix: string): readonly string[] {
    return this.#names.slice(this.#position(prefix), this.#position(endOf(prefix)));
  }

  add(name: string): void {
    if (!this.#prefixes.some((prefix) => name.startsWith(prefix))) return;
    const at = this.#position(name);
    if (this.#names[at] !== name) this.#names.splice(at, 0, name);
  }

  delete(name: string): void {
    const at = this.#position(name);
    if (this.#names[at] === name) this.#names.splice(at, 1);
  }

  clear(): void {
    this.#names.length = 0;
  }

  #position(name: string): number {
    let low = 0;
    let high = this.#names.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#names[middle] as string) < name) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** The least string above all that begin with `prefix`; part names are ASCII. */
function endOf(prefix: string): string {
  return `${prefix}\uffff`;
}
