// The plain reads of the embedded store: any time, no fence, straight from what is committed (P9).
// Must never write.
import {
  type ActorKey,
  type Mark,
  type NodeRecord,
  type Shard,
  StoreUnavailable,
  type StreamEntry,
  type StreamHead,
  type TagEntry,
} from "../store.ts";
import { readHead } from "./batch.ts";
import type { Database } from "./database.ts";
import { entriesRange, markKey, nameOf, nodesRange, offsetOfEntry, partKey, partsUnder, snapshotKey } from "./keys.ts";
import { readOwner } from "./ownership.ts";
import { decodeEntry, decodeMark, decodeNode } from "./records.ts";
import { countTag, readTag } from "./tag-index.ts";

export class LmdbReader {
  protected readonly database: Database;
  protected closed = false;

  constructor(database: Database) {
    this.database = database;
  }

  async readSnapshots(
    actors: readonly { readonly shard: Shard; readonly actor: ActorKey }[],
  ): Promise<(Uint8Array | undefined)[]> {
    const database = this.reading();
    return actors.map(({ shard, actor }) => database.getBytes(snapshotKey(shard, actor)));
  }

  async readParts(shard: Shard, actor: ActorKey, names: readonly string[]): Promise<(Uint8Array | undefined)[]> {
    const database = this.reading();
    return names.map((name) => database.getBytes(partKey(shard, actor, name)));
  }

  async listParts(
    shard: Shard,
    actor: ActorKey,
    query: { readonly prefix: string; readonly after?: string; readonly limit: number; readonly namesOnly?: boolean },
  ): Promise<{ readonly name: string; readonly bytes: Uint8Array }[]> {
    const database = this.reading();
    const range = partsUnder(shard, actor, query.prefix, query.after);
    if (query.namesOnly === true) {
      return database.keys(range, query.limit).map((key) => ({ name: nameOf(key), bytes: new Uint8Array(0) }));
    }
    const found = database.entries(range, query.limit);
    return Array.from(found, ({ key, value }) => ({ name: nameOf(key), bytes: new Uint8Array(value) }));
  }

  async readMarks(shard: Shard, actor: ActorKey, names: readonly string[]): Promise<(Mark | undefined)[]> {
    return readMarksOf(this.reading(), shard, actor, names);
  }

  async readStream(
    shard: Shard,
    actor: ActorKey,
    query: { readonly after: number; readonly limit: number; readonly bytesMax: number },
  ): Promise<{ readonly entries: StreamEntry[]; readonly head: StreamHead; readonly lineage: string }> {
    const database = this.reading();
    const entries: StreamEntry[] = [];
    let bytes = 0;
    for (const { key, value } of database.entries(entriesRange(shard, actor, query.after + 1), query.limit)) {
      if (entries.length > 0 && bytes + value.length > query.bytesMax) break;
      bytes += value.length;
      entries.push(decodeEntry(offsetOfEntry(key), value));
    }
    return { entries, ...this.#headOf(shard, actor) };
  }

  async readStreamHead(
    shard: Shard,
    actor: ActorKey,
  ): Promise<{ readonly head: StreamHead; readonly lineage: string }> {
    return this.#headOf(shard, actor);
  }

  async readTag(applicationId: string, tag: string, after: string, limit: number): Promise<TagEntry[]> {
    return readTag(this.reading(), applicationId, tag, after, limit);
  }

  async countTag(applicationId: string, tag: string): Promise<number> {
    return countTag(this.reading(), applicationId, tag);
  }

  async readNodes(): Promise<NodeRecord[]> {
    return Array.from(this.reading().entries(nodesRange()), ({ value }) => decodeNode(value));
  }

  protected reading(): Database {
    if (this.closed) throw new StoreUnavailable("the store is closed");
    return this.database;
  }

  #headOf(shard: Shard, actor: ActorKey): { readonly head: StreamHead; readonly lineage: string } {
    const database = this.reading();
    return { head: readHead(database, shard, actor), lineage: readOwner(database, shard)?.record.lineage ?? "" };
  }
}

export function readMarksOf(
  database: Database,
  shard: Shard,
  actor: ActorKey,
  names: readonly string[],
): (Mark | undefined)[] {
  const now = Date.now();
  return names.map((name) => {
    const bytes = database.get(markKey(shard, actor, name));
    const mark = bytes === undefined ? undefined : decodeMark(bytes);
    return mark !== undefined && mark.expiresAt > now ? mark : undefined;
  });
}
