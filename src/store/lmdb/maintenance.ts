// What the embedded store does beside batches: sweeping what expired, emptying an application,
// renewing a lineage. Every step is one bounded transaction.
import { ONCE_PREFIX } from "../operation-rules.ts";
import type { ActorKey, Shard } from "../store.ts";
import type { Database } from "./database.ts";
import {
  actorOfPart,
  applicationRanges,
  applicationTagRanges,
  expiredRange,
  expiryKey,
  expiryTarget,
  expiryTime,
  type KeyRange,
  nameOf,
  partsUnder,
  shardPartsRange,
  timerKey,
} from "./keys.ts";
import { decodeNumber, decodeTag } from "./records.ts";

/** Keys removed in one transaction: what the event loop can bear. */
export const SWEEP_KEYS_MAX = 1000;
const MARK = "k".charCodeAt(0);
const TAG = "g".charCodeAt(0);

/** Removes marks and tag tombstones whose time has come; answers how many it looked at. */
export function sweepExpired(database: Database, now: number): number {
  const due = database.keys(expiredRange(now), SWEEP_KEYS_MAX);
  for (const key of due) {
    const target = expiryTarget(key);
    const stored = database.get(target);
    database.remove(key);
    if (stored === undefined) continue;
    const expiresAt = target[0] === MARK ? decodeNumber(stored) : decodeTag(stored).expiresAt;
    // Another time: it was put anew since, and has another place among what expires.
    if (expiresAt === expiryTime(key)) database.remove(target);
  }
  return due.length;
}

/** The ranges to be emptied one after another by `emptySome`. */
export function rangesOfApplication(shardCount: number, applicationId: string): { shard?: Shard; range: KeyRange }[] {
  const ranges: { shard?: Shard; range: KeyRange }[] = [];
  for (let shard = 0; shard < shardCount; shard += 1) {
    for (const range of applicationRanges(shard, applicationId)) ranges.push({ shard, range });
  }
  for (const range of applicationTagRanges(applicationId)) ranges.push({ range });
  return ranges;
}

/** A mark's or tombstone's place among what expires names the application too, for as long as a week. */
function forgetExpiry(database: Database, key: Buffer): void {
  if (key[0] !== MARK && key[0] !== TAG) return;
  const stored = database.get(key);
  const expiresAt = key[0] === MARK ? decodeNumber(stored) : decodeTag(stored as Buffer).expiresAt;
  if (expiresAt > 0) database.remove(expiryKey(expiresAt, key));
}

/** Answers true when nothing is left. */
export function emptySome(database: Database, shard: Shard | undefined, range: KeyRange): boolean {
  const keys = database.keys(range, SWEEP_KEYS_MAX);
  for (const key of keys) {
    if (shard !== undefined && key[0] === "n".charCodeAt(0)) {
      const separator = key.indexOf(0, 3);
      const actor: ActorKey = key.toString("latin1", 3, separator);
      database.remove(timerKey(shard, decodeNumber(database.get(key)), actor, nameOf(key)));
    }
    forgetExpiry(database, key);
    database.remove(key);
  }
  return keys.length < SWEEP_KEYS_MAX;
}

/** Removes every one-time part of a shard (P11). Seeks from actor to actor instead of reading all parts. */
export function destroyOnceParts(database: Database, shard: Shard): void {
  let from: ActorKey | undefined;
  for (;;) {
    const [key] = database.keys(shardPartsRange(shard, from), 1);
    if (key === undefined) return;
    from = actorOfPart(key);
    database.removeRange(partsUnder(shard, from, ONCE_PREFIX));
  }
}
