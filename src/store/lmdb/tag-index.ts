// The tag index of the embedded store (P10): entries and tombstones carry the client's version, and an
// older version never undoes a newer one. Knows nothing of fences.
import type { TagEntry, TagWrite } from "../store.ts";
import type { Database } from "./database.ts";
import { expiryKey, tagCountKey, tagKey, tagRange } from "./keys.ts";
import { decodeNumber, decodeTag, encodeNumber, encodeTag } from "./records.ts";

/** How long a tombstone outlives any write that could still be on its way. */
export const TAG_TOMBSTONE_MS = 24 * 60 * 60 * 1000;

/** Inside a transaction only. */
export function writeTags(database: Database, write: TagWrite, now: number): void {
  for (const tag of new Set(write.tags)) writeTag(database, write, tag, true, now);
  for (const tag of new Set(write.removed)) {
    if (!write.tags.includes(tag)) writeTag(database, write, tag, false, now);
  }
}

function writeTag(database: Database, write: TagWrite, tag: string, live: boolean, now: number): void {
  const key = tagKey(write.applicationId, tag, write.clientId);
  const stored = database.get(key);
  const before = stored === undefined ? undefined : decodeTag(stored);
  if (before !== undefined && before.version > write.version) return;
  const expiresAt = live ? 0 : now + TAG_TOMBSTONE_MS;
  database.put(key, encodeTag({ version: write.version, live, tags: live ? write.tags : [], expiresAt }));
  if (!live) database.put(expiryKey(expiresAt, key), new Uint8Array(0));
  const change = Number(live) - Number(before?.live ?? false);
  if (change === 0) return;
  const countKey = tagCountKey(write.applicationId, tag);
  database.put(countKey, encodeNumber(decodeNumber(database.get(countKey)) + change));
}

export function readTag(
  database: Database,
  applicationId: string,
  tag: string,
  after: string,
  limit: number,
): TagEntry[] {
  const found: TagEntry[] = [];
  const range = tagRange(applicationId, tag, after);
  // The client id is what the key has beyond the range's own beginning.
  const idAt = tagRange(applicationId, tag, "").start.length;
  for (const { key, value } of database.entries(range)) {
    if (found.length >= limit) break;
    const { live, version, tags } = decodeTag(value);
    if (live) found.push({ clientId: key.toString("latin1", idAt), version, tags });
  }
  return found;
}

export function countTag(database: Database, applicationId: string, tag: string): number {
  return decodeNumber(database.get(tagCountKey(applicationId, tag)));
}
