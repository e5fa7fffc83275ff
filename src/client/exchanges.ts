// Requests of the present session that wait for their answers, by request id. Bounded by its callers.
import type { ResponseFrame } from "../protocol/frames.ts";

export interface Exchange {
  answered(frame: ResponseFrame): void;
  /** The session ended first: whether the request was applied is not known. */
  lost(): void;
}

export class Exchanges {
  readonly #waiting = new Map<number, Exchange>();
  #next = 0;

  get size(): number {
    return this.#waiting.size;
  }

  /** Ids rise, so that a late answer to a forgotten request is never taken for another's. */
  begin(exchange: Exchange): number {
    do this.#next = (this.#next + 1) >>> 0;
    while (this.#waiting.has(this.#next));
    this.#waiting.set(this.#next, exchange);
    return this.#next;
  }

  forget(id: number): void {
    this.#waiting.delete(id);
  }

  answer(frame: ResponseFrame): void {
    const exchange = this.#waiting.get(frame.id);
    this.#waiting.delete(frame.id);
    exchange?.answered(frame);
  }

  loseAll(): void {
    const lost = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const exchange of lost) exchange.lost();
  }
}
