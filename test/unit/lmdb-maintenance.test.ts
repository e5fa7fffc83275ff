// The embedded store's sweep: what expired goes for good, what was put anew stays.
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, test } from "vitest";
import { applyBatch } from "../../src/store/lmdb/batch.ts";
import { Database } from "../../src/store/lmdb/database.ts";
import { expiredRange, markKey, tagKey } from "../../src/store/lmdb/keys.ts";
import { emptySome, rangesOfApplication, sweepExpired } from "../../src/store/lmdb/maintenance.ts";
import { countTag, TAG_TOMBSTONE_MS, writeTags } from "../../src/store/lmdb/tag-index.ts";
import type { Operation } from "../../src/store/store.ts";

const actor = "app/group/1";
let folder: string;
let database: Database;

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "aegis-sweep-"));
  database = new Database({ path: folder, synced: false });
});

afterEach(async () => {
  await database.close();
  await rm(folder, { recursive: true, force: true });
});

const mark = (name: string, expiresAt: number): Operation => ({
  op: "putMark",
  actor,
  name,
  bytes: new Uint8Array(1),
  expiresAt,
});

async function put(...operations: Operation[]): Promise<void> {
  await database.transaction(() => applyBatch(database, 0, operations));
}

test("[P7] the sweep removes expired marks, keeps those put anew, and leaves no trace in its index", async () => {
  await put(mark("a", 100), mark("b", 100), mark("c", 200), mark("d", 100));
  await put(mark("b", 300), { op: "deleteMark", actor, name: "d" });
  assert.equal(await database.transaction(() => sweepExpired(database, 99)), 0);
  assert.equal(await database.transaction(() => sweepExpired(database, 200)), 2);
  const left = ["a", "b", "c", "d"].filter((name) => database.has(markKey(0, actor, name)));
  assert.deepEqual(left, ["b"]);
  assert.equal(await database.transaction(() => sweepExpired(database, 300)), 1);
  assert.deepEqual(database.keys(expiredRange(2 ** 52)), []);
  assert.equal(database.has(markKey(0, actor, "b")), false);
});

test("[P10] the sweep removes a tag's tombstone when no write can be on its way, and never a live entry", async () => {
  const write = { applicationId: "app", clientId: "c" };
  await database.transaction(() => {
    writeTags(database, { ...write, version: 1, tags: ["t"], removed: [] }, 0);
    writeTags(database, { ...write, version: 2, tags: [], removed: ["t"] }, 1000);
    writeTags(database, { ...write, version: 3, tags: ["t"], removed: [] }, 2000);
  });
  await database.transaction(() => sweepExpired(database, 1000 + TAG_TOMBSTONE_MS));
  assert.equal(countTag(database, "app", "t"), 1);
  await database.transaction(() => {
    writeTags(database, { ...write, version: 4, tags: [], removed: ["t"] }, 3000);
    sweepExpired(database, 2999 + TAG_TOMBSTONE_MS);
    writeTags(database, { ...write, version: 3, tags: ["t"], removed: [] }, 3000);
  });
  assert.equal(countTag(database, "app", "t"), 0);
  await database.transaction(() => sweepExpired(database, 3000 + TAG_TOMBSTONE_MS));
  assert.equal(database.has(tagKey("app", "t", "c")), false);
  assert.deepEqual(database.keys(expiredRange(2 ** 52)), []);
});

test("[G9] what expires says nothing of an application that was emptied, and keeps what others have", async () => {
  await put(mark("a", 100), mark("a", 200), { ...mark("b", 100), actor: "other/group/1" } as Operation);
  await database.transaction(() => {
    writeTags(database, { applicationId: "app", clientId: "c", version: 1, tags: ["t"], removed: ["u"] }, 0);
    for (const { shard, range } of rangesOfApplication(1, "app")) emptySome(database, shard, range);
  });
  const left = database.keys(expiredRange(2 ** 52)).map((key) => key.toString("latin1"));
  assert.equal(left.length, 1);
  assert.match(left[0] ?? "", /other/);
});
