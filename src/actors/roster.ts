// Who is in a group from its beginning, in pages (decision 14): one part for so many leaves, one for so many clients. A
// page is never written again: what a later commit puts beside it, leaf by leaf, counts first. Pure.
import { decode, encode } from "../protocol/codec.ts";
import { spread } from "./actor-address.ts";

/** Leaves of one page. */
export const ROSTER_PAGE_LEAVES = 128;

/** A leaf in a page: its client, `false` for a stranger's, `null` where it is blank. */
export type RosterLeaf = string | false | null;

/** By client, the leaf at which it began. */
export type RosterClients = Readonly<Record<string, number>>;

const EMPTY = new Uint8Array(0);

/** Part with the leaves from `page * ROSTER_PAGE_LEAVES` on. */
export function rosterPart(page: number): string {
  return `roster/${String(page).padStart(8, "0")}`;
}

/** Part with some of the clients and where they stand. */
export function rosterClientsPart(page: number): string {
  return `clients/${String(page).padStart(8, "0")}`;
}

/** What a group's head says of its roster. */
export interface Roster {
  /** Leaves covered. */
  readonly leaves: number;
  /** Pages of clients. */
  readonly clientPages: number;
}

export const NO_ROSTER: Roster = { leaves: 0, clientPages: 0 };

/** @param members how many begin */
export function rosterClientPages(members: number): number {
  return Math.ceil(members / ROSTER_PAGE_LEAVES);
}

export function rosterPageOfLeaf(leaf: number): number {
  return Math.floor(leaf / ROSTER_PAGE_LEAVES);
}

export function rosterPageOfClient(clientId: string, clientPages: number): number {
  return spread(clientId, clientPages);
}

/** Empty where all leaves are blank: such a page is not stored. */
export function encodeRosterPage(page: readonly RosterLeaf[]): Uint8Array {
  return page.length === 0 ? EMPTY : encode(page);
}

export function decodeRosterPage(bytes: Uint8Array): readonly RosterLeaf[] {
  return bytes.length === 0 ? [] : (decode(bytes) as readonly RosterLeaf[]);
}

export function encodeRosterClients(clients: RosterClients): Uint8Array {
  return encode(clients);
}

export function decodeRosterClients(bytes: Uint8Array): RosterClients {
  return decode(bytes) as RosterClients;
}

/** The clients of a page, in the order of their leaves. */
export function clientsOfPage(bytes: Uint8Array): string[] {
  return decodeRosterPage(bytes).filter((leaf) => typeof leaf === "string");
}
