// Has the batches of all shards that became due in one turn of the event loop leave together, at its end: what they
// write to the store's connections is then one write each.

export class FlushTurn {
  #due: (() => void)[] = [];

  /** @param flush runs at the end of this turn; must not throw */
  add(flush: () => void): void {
    this.#due.push(flush);
    if (this.#due.length === 1) setImmediate(() => this.#flushAll());
  }

  #flushAll(): void {
    for (const flush of this.#due.splice(0)) flush();
  }
}
