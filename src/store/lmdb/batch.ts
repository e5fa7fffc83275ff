// Validates and applies one batch inside a write transaction. Must not write anything before the
// whole batch is known to be good (P1).
import type { ActorKey, Operation, Shard, StreamHead } from "../store.ts";
import type { Database } from "./database.ts";
import {
  entriesRange,
  entryKey,
  expiryKey,
  headKey,
  markKey,
  outboxKey,
  partKey,
  partsRange,
  snapshotKey,
  timerKey,
  timerNameKey,
} from "./keys.ts";
import { decodeHead, decodeNumber, encodeEntry, encodeHead, encodeMark, encodeNumber } from "./records.ts";

/** Why the batch can't be applied to what is stored, or undefined. Reads only. */
export function flawAgainstStore(
  database: Database,
  shard: Shard,
  operations: readonly Operation[],
): string | undefined {
  // What the batch itself changed so far, on top of what is stored.
  const parts = new Map<string, boolean>();
  const taken = new Set<string>();
  const purged = new Set<ActorKey>();
  const heads = new Map<ActorKey, number>();
  const present = (actor: ActorKey, name: string): boolean =>
    parts.get(partId(actor, name)) ?? (!purged.has(actor) && database.has(partKey(shard, actor, name)));
  for (const [index, operation] of operations.entries()) {
    const where = `operation ${index} (${operation.op})`;
    switch (operation.op) {
      case "putPart":
        parts.set(partId(operation.actor, operation.name), true);
        break;
      case "deletePart":
        parts.set(partId(operation.actor, operation.name), false);
        break;
      case "takePart": {
        if (!present(operation.actor, operation.name)) return `${where}: no such part`;
        if (operation.keep !== true) parts.set(partId(operation.actor, operation.name), false);
        taken.add(partId(operation.actor, operation.name));
        break;
      }
      case "append": {
        const last = heads.get(operation.actor) ?? readHead(database, shard, operation.actor).last;
        if (operation.entry.offset !== last + 1) return `${where}: the next offset is ${last + 1}`;
        heads.set(operation.actor, last + 1);
        break;
      }
      case "purge":
        purged.add(operation.actor);
        for (const id of parts.keys()) if (id.startsWith(`${operation.actor}\x00`)) parts.delete(id);
        break;
      case "putMark":
        for (const name of operation.takes ?? []) {
          if (!taken.has(partId(operation.actor, name))) return `${where}: names a part that was not taken`;
        }
        break;
      default:
    }
  }
  return undefined;
}

/** Applies a batch that `flawAgainstStore` found good; answers the bytes that it took. */
export function applyBatch(database: Database, shard: Shard, operations: readonly Operation[]): Uint8Array[] {
  const taken: Uint8Array[] = [];
  const takenById = new Map<string, Uint8Array>();
  for (const operation of operations) {
    if (operation.op === "takePart") {
      const key = partKey(shard, operation.actor, operation.name);
      const bytes = database.getBytes(key);
      if (bytes === undefined) throw new Error("a part that was there is gone");
      taken.push(bytes);
      takenById.set(partId(operation.actor, operation.name), bytes);
      if (operation.keep !== true) database.remove(key);
    } else {
      apply(database, shard, operation, takenById);
    }
  }
  return taken;
}

function apply(
  database: Database,
  shard: Shard,
  operation: Exclude<Operation, { readonly op: "takePart" }>,
  takenById: ReadonlyMap<string, Uint8Array>,
): void {
  switch (operation.op) {
    case "putSnapshot":
      database.put(snapshotKey(shard, operation.actor), operation.bytes);
      break;
    case "putPart":
      database.put(partKey(shard, operation.actor, operation.name), operation.bytes);
      break;
    case "deletePart":
      database.remove(partKey(shard, operation.actor, operation.name));
      break;
    case "append": {
      const { first } = readHead(database, shard, operation.actor);
      const { offset } = operation.entry;
      database.put(entryKey(shard, operation.actor, offset), encodeEntry(operation.entry));
      database.put(headKey(shard, operation.actor), encodeHead({ first, last: offset }));
      break;
    }
    case "trim":
      trim(database, shard, operation.actor, operation.before);
      break;
    case "purge": {
      const { actor } = operation;
      database.removeRange(partsRange(shard, actor));
      trim(database, shard, actor, Number.MAX_SAFE_INTEGER);
      database.put(headKey(shard, actor), encodeHead({ ...readHead(database, shard, actor), purged: true }));
      break;
    }
    case "putMark":
      putMark(database, shard, operation, takenById);
      break;
    case "deleteMark":
      removeMark(database, markKey(shard, operation.actor, operation.name));
      break;
    case "putOutbox":
      database.put(outboxKey(shard, operation.id), operation.bytes);
      break;
    case "deleteOutbox":
      database.remove(outboxKey(shard, operation.id));
      break;
    case "putTimer":
      removeTimer(database, shard, operation.actor, operation.name);
      database.put(timerKey(shard, operation.at, operation.actor, operation.name), new Uint8Array(0));
      database.put(timerNameKey(shard, operation.actor, operation.name), encodeNumber(operation.at));
      break;
    case "deleteTimer":
      removeTimer(database, shard, operation.actor, operation.name);
      break;
  }
}

/** The head outlives the entries: offsets go on where they were (P6). */
function trim(database: Database, shard: Shard, actor: ActorKey, before: number): void {
  const { first, last } = readHead(database, shard, actor);
  const kept = Math.min(before, last + 1);
  if (kept <= first) return;
  database.removeRange(entriesRange(shard, actor, first, kept));
  database.put(headKey(shard, actor), encodeHead({ first: kept, last }));
}

function putMark(
  database: Database,
  shard: Shard,
  operation: Extract<Operation, { readonly op: "putMark" }>,
  takenById: ReadonlyMap<string, Uint8Array>,
): void {
  const key = markKey(shard, operation.actor, operation.name);
  removeMark(database, key);
  const taken = (operation.takes ?? []).map((name) => takenById.get(partId(operation.actor, name)) as Uint8Array);
  const { bytes, expiresAt } = operation;
  database.put(key, encodeMark({ bytes, taken, expiresAt }));
  database.put(expiryKey(expiresAt, key), new Uint8Array(0));
}

/** With its place among what expires, so that the sweep never meets a mark that was put anew. */
function removeMark(database: Database, key: Buffer): void {
  const stored = database.get(key);
  if (stored === undefined) return;
  database.remove(expiryKey(decodeNumber(stored), key));
  database.remove(key);
}

function removeTimer(database: Database, shard: Shard, actor: ActorKey, name: string): void {
  const nameKey = timerNameKey(shard, actor, name);
  const stored = database.get(nameKey);
  if (stored === undefined) return;
  database.remove(timerKey(shard, decodeNumber(stored), actor, name));
  database.remove(nameKey);
}

function partId(actor: ActorKey, name: string): string {
  return `${actor}\x00${name}`;
}

export function readHead(database: Database, shard: Shard, actor: ActorKey): StreamHead {
  return decodeHead(database.get(headKey(shard, actor)));
}
