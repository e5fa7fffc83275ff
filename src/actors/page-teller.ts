// Tells a page's clients what their group owes them (decision 14): a few pages and a few clients of each at once, so that
// a large group's beginning leaves everybody else their turns. Keeps nothing: the outbox keeps the pages.
import type { ActorAddress } from "./actor-port.ts";
import { clientsOfPage } from "./roster.ts";

/** Pages on their way at once on this node; the others wait in the order of their arrival. */
const PAGES_AT_ONCE = 2;
/** Clients of one page that are told at once: their turns follow one another without a pause. */
const CLIENTS_AT_ONCE = 16;

export class PageTeller {
  #sending = 0;
  readonly #waiting: (() => void)[] = [];

  /**
   * @param tell rejects when the client must be told again
   * @throws what `tell` did; told again, a client that has it says so
   */
  async tellAll(applicationId: string, page: Uint8Array, tell: (to: ActorAddress) => Promise<void>): Promise<void> {
    if (this.#sending >= PAGES_AT_ONCE) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#sending += 1;
    try {
      const clients = clientsOfPage(page);
      for (let from = 0; from < clients.length; from += CLIENTS_AT_ONCE) {
        const some = clients.slice(from, from + CLIENTS_AT_ONCE);
        await Promise.all(some.map((id) => tell({ applicationId, kind: "identity", id })));
      }
    } finally {
      // The place goes on to who waits longest.
      const next = this.#waiting.shift();
      if (next === undefined) this.#sending -= 1;
      else next();
    }
  }
}
