// How often one requester may claim from one pool: windows of an hour, counted in part names, so that a
// claim writes one small part. Pure.
import type { Directory, Effect } from "./effects.ts";

const WINDOW_MS = 3_600_000;
/** Requesters remembered by one pool; beyond it, ended windows go first, then any. */
const REQUESTERS_MAX = 1024;
const EMPTY = new Uint8Array(0);

interface Window {
  readonly name: string;
  readonly since: number;
  readonly claims: number;
}

function windowOf(directory: Directory, requester: string, now: number): Window | undefined {
  const name = directory.first(`rate/${requester}/`);
  if (name === undefined) return undefined;
  const [, , since, claims] = name.split("/");
  const window = { name, since: Number(since), claims: Number(claims) };
  return window.since > now - WINDOW_MS ? window : { ...window, since: now, claims: 0 };
}

export function overRate(directory: Directory, requester: string, now: number, claimsPerHour: number): boolean {
  return (windowOf(directory, requester, now)?.claims ?? 0) >= claimsPerHour;
}

/** The writes that count one claim. */
export function countClaim(directory: Directory, requester: string, now: number): Effect[] {
  const window = windowOf(directory, requester, now);
  const effects: Effect[] =
    window === undefined ? dropSome(directory, now) : [{ type: "deletePart", name: window.name }];
  const { since, claims } = window ?? { since: now, claims: 0 };
  effects.push({ type: "putPart", name: `rate/${requester}/${String(since)}/${String(claims + 1)}`, bytes: EMPTY });
  return effects;
}

function dropSome(directory: Directory, now: number): Effect[] {
  if (directory.count("rate/") < REQUESTERS_MAX) return [];
  const names = directory.list("rate/");
  const ended = names.filter((name) => Number(name.split("/")[2]) <= now - WINDOW_MS);
  return (ended.length > 0 ? ended : names.slice(0, 1)).map((name) => ({ type: "deletePart", name }));
}
