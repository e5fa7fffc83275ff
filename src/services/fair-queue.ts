// Those who wait for something scarce: the applications take turns, each in the order of its own arrivals, so that one
// that sends much holds up itself (G9). Holds and orders only; must never keep more than it has room for.

export class FairQueue<T> {
  readonly #max: number;
  /** By application, whose turn it is first; none is empty. */
  readonly #lanes = new Map<string, T[]>();
  #size = 0;

  constructor(max: number) {
    this.#max = max;
  }

  get size(): number {
    return this.#size;
  }

  /**
   * Where there is no room, the last that came of whoever has the most gives way, unless the newcomer's own would then
   * be as many.
   * @returns who has to go: nobody, somebody else, or the newcomer
   */
  add(applicationId: string, item: T): T | undefined {
    const lane = this.#lanes.get(applicationId) ?? [];
    let gone: T | undefined;
    if (this.#size >= this.#max) {
      const longest = this.#longest();
      if (longest === undefined || lane.length + 1 >= longest.length) return item;
      gone = longest.pop();
      this.#size -= 1;
    }
    lane.push(item);
    this.#lanes.set(applicationId, lane);
    this.#size += 1;
    return gone;
  }

  /** The next; its application's others wait until all have had their turn. */
  take(): T | undefined {
    const [next] = this.#lanes;
    if (next === undefined) return undefined;
    const [applicationId, lane] = next;
    this.#lanes.delete(applicationId);
    const item = lane.shift();
    if (lane.length > 0) this.#lanes.set(applicationId, lane);
    this.#size -= 1;
    return item;
  }

  #longest(): T[] | undefined {
    let longest: T[] | undefined;
    for (const lane of this.#lanes.values()) if (lane.length > (longest?.length ?? 0)) longest = lane;
    return longest;
  }
}
