// Where results of idempotency keys were written by this node not long ago: a bit for each, so that a call whose key left
// none need not ask the store. Two keys may share a bit, which costs a question; must never lose one before its time.
import type { ActorKey } from "../store/store.ts";
import { spread } from "./actor-address.ts";

/** 8 MiB a generation when all of it is in use: of a call after 3,000,000 others within the time 1 in 22 asks in vain. */
const BITS = 2 ** 26;
const PAGE_BITS = 2 ** 15;
const ACTOR_LETTERS = 16;

type Pages = (Uint8Array | undefined)[];

export class ResultTraces {
  readonly #keptMs: number;
  readonly #nowMs: () => number;
  #current: Pages = [];
  #previous: Pages = [];
  #beganMs: number;

  /** @param keptMs how long a result may be stored @param nowMs a clock that is never set back */
  constructor(keptMs: number, nowMs: () => number = () => performance.now()) {
    this.#keptMs = keptMs;
    this.#nowMs = nowMs;
    this.#beganMs = nowMs();
  }

  /** A result is about to be written. */
  leave(actor: ActorKey, mark: string): void {
    this.#turnOver();
    const bit = bitOf(actor, mark);
    const page = (this.#current[Math.floor(bit / PAGE_BITS)] ??= new Uint8Array(PAGE_BITS / 8));
    const byte = (bit % PAGE_BITS) >>> 3;
    page[byte] = (page[byte] ?? 0) | (1 << (bit & 7));
  }

  /** False: this node has written none within the time. */
  has(actor: ActorKey, mark: string): boolean {
    this.#turnOver();
    const bit = bitOf(actor, mark);
    return isSet(this.#current, bit) || isSet(this.#previous, bit);
  }

  /** Each generation takes traces for as long as one must be kept, and is kept for as long again. */
  #turnOver(): void {
    const nowMs = this.#nowMs();
    const ageMs = nowMs - this.#beganMs;
    if (ageMs < this.#keptMs) return;
    this.#previous = ageMs < 2 * this.#keptMs ? this.#current : [];
    this.#current = [];
    this.#beganMs = nowMs;
  }
}

/** The end of an actor's key is what it does not share with others of its kind. */
function bitOf(actor: ActorKey, mark: string): number {
  return spread(actor.slice(-ACTOR_LETTERS) + mark, BITS);
}

function isSet(pages: Pages, bit: number): boolean {
  const byte = pages[Math.floor(bit / PAGE_BITS)]?.[(bit % PAGE_BITS) >>> 3] ?? 0;
  return (byte & (1 << (bit & 7))) !== 0;
}
