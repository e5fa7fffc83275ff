// The live actors of a node in the order in which they were last called: who leaves memory first. Counts and
// orders only; the host decides when somebody has to go.
import type { LiveActor } from "./live-actor.ts";

export class LiveActors {
  /** A set keeps the order of insertion: whoever is called is put in anew. */
  readonly #order = new Set<LiveActor>();

  get size(): number {
    return this.#order.size;
  }

  /** It was called now, for the first time or again. */
  touch(live: LiveActor): void {
    this.#order.delete(live);
    this.#order.add(live);
  }

  remove(live: LiveActor): void {
    this.#order.delete(live);
  }

  /**
   * At most `max` idle actors, the one called longest ago first.
   * @param lookMax actors looked at; busy ones among them count as called now, so that the next look begins behind
   */
  longestIdle(max: number, lookMax: number): LiveActor[] {
    const found: LiveActor[] = [];
    let looks = Math.min(lookMax, this.#order.size);
    for (const live of this.#order) {
      if (found.length >= max || looks === 0) break;
      looks -= 1;
      if (isIdle(live)) found.push(live);
      else this.touch(live);
    }
    return found;
  }

  /** At most `max` idle actors that nobody has used since then (`performance.now()`). */
  idleSince(monotonicMs: number, max: number): LiveActor[] {
    const found: LiveActor[] = [];
    for (const live of this.#order) {
      if (!isIdle(live)) continue;
      if (live.lastUsedMs > monotonicMs || found.length >= max) break;
      found.push(live);
    }
    return found;
  }

  idleOf(applicationId: string): LiveActor[] {
    return [...this.#order].filter((live) => live.address.applicationId === applicationId && isIdle(live));
  }
}

function isIdle(live: LiveActor): boolean {
  return live.idle && !live.pumping;
}
