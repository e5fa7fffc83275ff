// The simulation's only source of order: what happens next, by time and then by the order in which it was planned.

export interface Planned {
  /** Simulated milliseconds. */
  readonly atMs: number;
  readonly order: number;
}

/** A binary heap, and beside it in a row what is to happen at once: a good part of everything. */
export class EventQueue<T extends Planned> {
  readonly #heap: T[] = [];
  #row: T[] = [];
  /** How much of the row is gone. */
  #gone = 0;

  peek(): T | undefined {
    const inRow = this.#row[this.#gone];
    const inHeap = this.#heap[0];
    if (inRow === undefined || inHeap === undefined) return inRow ?? inHeap;
    return isBefore(inHeap, inRow) ? inHeap : inRow;
  }

  /** For what comes behind everything that was pushed this way: at its time or later, and planned later. */
  pushNext(item: T): void {
    this.#row.push(item);
  }

  push(item: T): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(item);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent] as T;
      if (!isBefore(item, above)) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = item;
  }

  pop(): T | undefined {
    const next = this.peek();
    if (next === undefined || next !== this.#row[this.#gone]) return this.#popHeap();
    this.#gone += 1;
    if (this.#gone === this.#row.length) [this.#row, this.#gone] = [[], 0];
    return next;
  }

  #popHeap(): T | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined || heap.length === 0) return first;
    let at = 0;
    for (;;) {
      let child = at * 2 + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1] as T, heap[child] as T)) child += 1;
      const below = heap[child] as T;
      if (!isBefore(below, last)) break;
      heap[at] = below;
      at = child;
    }
    heap[at] = last;
    return first;
  }
}

function isBefore(a: Planned, b: Planned): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}
