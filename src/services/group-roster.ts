// Whose the leaves of a followed group are, and where a client stands: the roster of its beginning, and what later
// commits have put beside it, which counts first (decision 14). Reads only (L3).
import { leafPart, memberPart, type GroupContext, type OwnedLeaf } from "../actors/group-state.ts";
import {
  decodeRosterClients,
  decodeRosterPage,
  NO_ROSTER,
  ROSTER_PAGE_LEAVES,
  rosterClientsPart,
  rosterPageOfClient,
  rosterPageOfLeaf,
  rosterPart,
  type Roster,
  type RosterLeaf,
} from "../actors/roster.ts";
import { decode } from "../protocol/codec.ts";
import type { ActorKey, Shard, Store } from "../store/store.ts";

export interface GroupPlace {
  readonly shard: Shard;
  readonly actor: ActorKey;
}

/** A member's leaf, where it is known. */
export interface Standing {
  readonly leaf?: number;
}

/** In `full` tracking with its leaf; a stranger has no client. */
export interface ListedMember {
  readonly leaf?: number;
  readonly clientId?: string;
}

type Head = Pick<GroupContext, "roster">;

const LEAF_PREFIX = "leaf/";
/** Pages read at once while members are listed. */
const PAGES_AT_ONCE = 8;

export class GroupRoster {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  /** The clients of leaves; undefined: a stranger's, or nobody's. */
  async owners(
    place: GroupPlace,
    { roster = NO_ROSTER }: Head,
    leaves: readonly number[],
  ): Promise<(string | undefined)[]> {
    const pages = distinct(leaves.filter((leaf) => leaf < roster.leaves).map(rosterPageOfLeaf));
    const names = [...leaves.map(leafPart), ...pages.map(rosterPart)];
    const parts = await this.#read(place, names);
    const begun = new Map(pages.map((page, n) => [page, pageOf(parts[leaves.length + n])]));
    return leaves.map((leaf, n) => {
      const beside = parts[n];
      if (beside !== undefined) return ownedLeaf(beside)?.clientId;
      return clientOf(begun.get(rosterPageOfLeaf(leaf))?.[leaf % ROSTER_PAGE_LEAVES]);
    });
  }

  /** Where clients stand now; undefined: no member. */
  async standing(
    place: GroupPlace,
    { roster = NO_ROSTER }: Head,
    clients: readonly string[],
  ): Promise<(Standing | undefined)[]> {
    const began = await this.#began(place, roster, clients);
    // In one read: a member that moves to another leaf meanwhile is at one of the two.
    const names = [...clients.map(memberPart), ...began.map((leaf) => leafPart(leaf ?? 0))];
    const parts = await this.#read(place, names);
    return clients.map((_, n) => {
      const beside = parts[n];
      if (beside !== undefined) return decode(beside) as Standing;
      const leaf = began[n];
      return leaf !== undefined && parts[clients.length + n] === undefined ? { leaf } : undefined;
    });
  }

  /** Members behind the one that `after` names (`memberName`), at most `limit`: by leaf in `full` tracking, else by client. */
  async members(
    place: GroupPlace,
    head: Head & Pick<GroupContext, "tracking">,
    after: string,
    limit: number,
  ): Promise<ListedMember[]> {
    if (head.tracking === "full") {
      const leaf = after === "" ? -1 : Number(after);
      return Number.isSafeInteger(leaf) ? this.list(place, head, leaf, limit) : [];
    }
    const prefix = memberPart("");
    const from = after === "" ? {} : { after: `${prefix}${after}` };
    const parts = await this.#store.listParts(place.shard, place.actor, { prefix, limit, ...from });
    return parts.map(({ name }) => ({ clientId: name.slice(prefix.length) }));
  }

  /** Members in order of their leaves, those above `after`, at most `limit`. */
  async list(place: GroupPlace, { roster = NO_ROSTER }: Head, after: number, limit: number): Promise<OwnedLeaf[]> {
    const found: OwnedLeaf[] = [];
    let from = after + 1;
    for (;;) {
      const parts = await this.#store.listParts(place.shard, place.actor, {
        prefix: LEAF_PREFIX,
        limit,
        ...(from === 0 ? {} : { after: leafPart(from - 1) }),
      });
      const beside = new Map(parts.map(({ name, bytes }) => [leafOf(name), ownedLeaf(bytes)]));
      const last = parts[limit - 1];
      const known = last === undefined ? Infinity : leafOf(last.name) + 1;
      // Of the roster some pages at a time; behind it there is nothing but what stands by itself.
      const stretch = Math.min(roster.leaves, (rosterPageOfLeaf(from) + PAGES_AT_ONCE) * ROSTER_PAGE_LEAVES);
      const until = from < roster.leaves ? Math.min(known, stretch) : known;
      for (const leaf of await this.#leavesBetween(place, roster, from, until, [...beside.keys()])) {
        const member = beside.has(leaf.leaf) ? beside.get(leaf.leaf) : leaf;
        if (member !== undefined) found.push(member);
        if (found.length === limit) return found;
      }
      if (until === Infinity) return found;
      from = until;
    }
  }

  /** Leaves of the roster and of `beside` in [from, until), in order. */
  async #leavesBetween(
    place: GroupPlace,
    roster: Roster,
    from: number,
    until: number,
    beside: readonly number[],
  ): Promise<OwnedLeaf[]> {
    const leaves = new Map<number, OwnedLeaf>();
    for (const leaf of beside) if (leaf < until) leaves.set(leaf, { leaf });
    if (from < roster.leaves) {
      const firstPage = rosterPageOfLeaf(from);
      const pages = Array.from({ length: rosterPageOfLeaf(until - 1) - firstPage + 1 }, (_, n) => firstPage + n);
      for (const [n, bytes] of (await this.#read(place, pages.map(rosterPart))).entries()) {
        for (const [at, owner] of pageOf(bytes).entries()) {
          const leaf = (firstPage + n) * ROSTER_PAGE_LEAVES + at;
          if (owner === null || leaf < from || leaf >= until) continue;
          const clientId = clientOf(owner);
          leaves.set(leaf, { leaf, ...(clientId === undefined ? {} : { clientId }) });
        }
      }
    }
    return [...leaves.values()].sort((a, b) => a.leaf - b.leaf);
  }

  /** Where clients stood at the beginning. Pages are never written again, so they may be read before the rest. */
  async #began(
    place: GroupPlace,
    { clientPages }: Roster,
    clients: readonly string[],
  ): Promise<(number | undefined)[]> {
    if (clientPages === 0) return clients.map(() => undefined);
    const pages = distinct(clients.map((clientId) => rosterPageOfClient(clientId, clientPages)));
    const parts = await this.#read(place, pages.map(rosterClientsPart));
    const read = new Map(pages.map((page, n) => [page, parts[n] === undefined ? {} : decodeRosterClients(parts[n])]));
    return clients.map((clientId) => {
      const page = read.get(rosterPageOfClient(clientId, clientPages)) ?? {};
      return Object.hasOwn(page, clientId) ? page[clientId] : undefined;
    });
  }

  #read({ shard, actor }: GroupPlace, names: readonly string[]): Promise<(Uint8Array | undefined)[]> {
    return names.length === 0 ? Promise.resolve([]) : this.#store.readParts(shard, actor, names);
  }
}

/** By which the members behind it are asked for. */
export function memberName({ leaf, clientId = "" }: ListedMember): string {
  return leaf === undefined ? clientId : String(leaf);
}

/** undefined: the leaf was left. */
function ownedLeaf(bytes: Uint8Array): OwnedLeaf | undefined {
  return bytes.length === 0 ? undefined : (decode(bytes) as OwnedLeaf);
}

function leafOf(part: string): number {
  return Number(part.slice(LEAF_PREFIX.length));
}

function pageOf(bytes: Uint8Array | undefined): readonly RosterLeaf[] {
  return bytes === undefined ? [] : decodeRosterPage(bytes);
}

function clientOf(leaf: RosterLeaf | undefined): string | undefined {
  return typeof leaf === "string" ? leaf : undefined;
}

function distinct(numbers: readonly number[]): number[] {
  return [...new Set(numbers)];
}
