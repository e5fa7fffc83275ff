// Lays out who is in a group in the pages in which that is stored (actors/roster.ts), in steps. Keeps nothing.
import {
  encodeRosterClients,
  encodeRosterPage,
  ROSTER_PAGE_LEAVES,
  rosterClientPages,
  rosterPageOfClient,
  rosterPageOfLeaf,
  type RosterLeaf,
} from "../actors/roster.ts";
import { UNITS_PER_STEP, type Work } from "../mls/work.ts";

/** In the order of the leaves; undefined: a stranger. */
type Clients = readonly (string | undefined)[];

/** One behind the other, wherever they stand. */
export function* pagesWork(clients: readonly string[]): Work<Uint8Array[]> {
  const pages: Uint8Array[] = [];
  for (let from = 0; from < clients.length; from += ROSTER_PAGE_LEAVES) {
    yield;
    pages.push(encodeRosterPage(clients.slice(from, from + ROSTER_PAGE_LEAVES)));
  }
  return pages;
}

/** By leaf, from leaf 0 on; of leaves that are all blank there is an empty page. */
export function* leafPagesWork(leaves: Uint32Array, clients: Clients): Work<Uint8Array[]> {
  const pages: Uint8Array[] = [];
  let page: RosterLeaf[] = [];
  for (const [n, leaf] of leaves.entries()) {
    while (pages.length < rosterPageOfLeaf(leaf)) {
      yield;
      pages.push(encodeRosterPage(page));
      page = [];
    }
    while (page.length < leaf % ROSTER_PAGE_LEAVES) page.push(null);
    page.push(clients[n] ?? false);
  }
  if (page.length > 0) pages.push(encodeRosterPage(page));
  return pages;
}

/** Each client in the page where it is looked for, with its leaf. */
export function* clientPagesWork(leaves: Uint32Array, clients: Clients): Work<Uint8Array[]> {
  const count = clients.reduce((sum, clientId) => sum + (clientId === undefined ? 0 : 1), 0);
  const pages = Array.from({ length: rosterClientPages(count) }, (): Record<string, number> => ({}));
  for (const [n, clientId] of clients.entries()) {
    if (n % UNITS_PER_STEP === 0) yield;
    const page = clientId === undefined ? undefined : pages[rosterPageOfClient(clientId, pages.length)];
    if (page !== undefined && clientId !== undefined) page[clientId] = leaves[n] ?? 0;
  }
  const encoded: Uint8Array[] = [];
  for (const page of pages) {
    yield;
    encoded.push(encodeRosterClients(page));
  }
  return encoded;
}
