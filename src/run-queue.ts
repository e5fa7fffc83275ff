// Shares the event loop among those who have much to do at once: frames that came in, calls that waited. Some is done
// in each turn of the loop, lane after lane; the rest lets timers, heartbeats and answers through first (F19). Must never
// drop or reorder what one lane has to do.

/** Work of one kind or of one socket, done in its order. */
export interface Lane {
  /** Pieces in a row when it is its turn. */
  readonly share: number;
  /** Does a piece of it, and never throws. False: that was all. */
  step(): boolean;
}

/** Pieces in a row before what they began (promises, writes gathered for one send) goes on. */
const STRETCH_PIECES = 16;
/** Stretches of one turn of the event loop: pieces so small that the time does not count. */
const STRETCHES_MAX = 16;

export class RunQueue {
  readonly #turnMs: number;
  /** A set keeps its order: whoever had its turn is put in anew, behind the others. */
  readonly #ready = new Set<Lane>();
  readonly #waiting: (() => void)[] = [];
  readonly #waitingLane: Lane = {
    share: 1,
    step: () => {
      this.#waiting.shift()?.();
      return this.#waiting.length > 0;
    },
  };
  /** When this turn of the event loop began to work here. */
  #beganMs: number | undefined;
  /** Pieces of this turn that did not wait for their stretch. */
  #atOnce = 0;
  #scheduled = 0;
  #working = false;

  /** @param turnMs for so long the lanes may hold one turn of the event loop, a piece more at most */
  constructor({ turnMs }: { readonly turnMs: number }) {
    this.#turnMs = turnMs;
  }

  /** The lane has something to do. Where nobody waits and there is time left, it begins at once. */
  add(lane: Lane): void {
    const isAlone = this.#ready.size === 0 && !this.#working;
    this.#ready.add(lane);
    if (isAlone && this.#hasTime() && this.#atOnce < STRETCH_PIECES) this.#atOnce += this.#stretch();
    else if (!this.#working) this.#schedule(1);
  }

  /** Nothing of it is done any more. */
  remove(lane: Lane): void {
    this.#ready.delete(lane);
  }

  /** Resolves when the caller may go on: at once, or in its turn after those who asked before. */
  turn(): Promise<void> {
    if (this.#ready.size === 0 && this.#hasTime() && this.#atOnce < STRETCH_PIECES) {
      this.#atOnce += 1;
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.add(this.#waitingLane);
    });
  }

  #hasTime(): boolean {
    if (this.#beganMs === undefined) {
      this.#beganMs = performance.now();
      this.#schedule(1);
    }
    return performance.now() - this.#beganMs < this.#turnMs;
  }

  /** @returns how many pieces it did */
  #stretch(): number {
    let pieces = 0;
    this.#working = true;
    try {
      while (pieces < STRETCH_PIECES) {
        const [lane] = this.#ready;
        if (lane === undefined) break;
        this.#ready.delete(lane);
        const until = Math.min(pieces + lane.share, STRETCH_PIECES);
        let isMore = true;
        for (; isMore && pieces < until; pieces += 1) isMore = lane.step();
        if (isMore) this.#ready.add(lane);
        if (!this.#hasTime()) break;
      }
    } finally {
      this.#working = false;
    }
    if (this.#ready.size > 0) this.#schedule(1);
    return pieces;
  }

  /** Each stretch is a callback of its own: what it began goes on before the next one, and counts as its time. */
  #schedule(stretches: number): void {
    if (this.#scheduled > 0) return;
    this.#scheduled = stretches;
    for (let n = 0; n < stretches; n += 1) setImmediate(() => this.#turn(n === 0));
  }

  #turn(isFirst: boolean): void {
    this.#scheduled -= 1;
    if (isFirst) [this.#beganMs, this.#atOnce] = [performance.now(), 0];
    if (this.#ready.size > 0 && this.#hasTime()) this.#stretch();
    if (this.#scheduled > 0) return;
    if (this.#ready.size > 0) this.#schedule(STRETCHES_MAX);
    else [this.#beganMs, this.#atOnce] = [undefined, 0];
  }
}
