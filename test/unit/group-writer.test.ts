// Group commit: many writes, one transaction; one that fails takes nobody with it.
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, test } from "vitest";
import { Database } from "../../src/store/lmdb/database.ts";
import { GroupWriter } from "../../src/store/lmdb/group-writer.ts";
import { StoreUnavailable } from "../../src/store/store.ts";

let folder: string;
let database: Database;

const key = (text: string): Buffer => Buffer.from(text);

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "aegis-group-"));
  database = new Database({ path: folder, synced: true });
});

afterEach(async () => {
  await database.close();
  await rm(folder, { recursive: true, force: true });
});

test("[P1] a write that throws is rolled back whole; its neighbours of the same group are applied once", async () => {
  const writer = new GroupWriter(database, { jobsMax: 100, groupMs: 10 });
  const outcomes = await Promise.allSettled(
    Array.from({ length: 20 }, (_, index) =>
      writer.write(() => {
        database.put(key(`w/${index}`), key("first"));
        if (index % 7 === 3) throw new Error("no room");
        return index;
      }),
    ),
  );
  for (const [index, outcome] of outcomes.entries()) {
    const failed = index % 7 === 3;
    assert.equal(outcome.status, failed ? "rejected" : "fulfilled");
    if (outcome.status === "rejected") assert.ok(outcome.reason instanceof StoreUnavailable);
    else assert.equal(outcome.value, index);
    assert.equal(database.has(key(`w/${index}`)), !failed);
  }
  await writer.close();
});

test("[G10] writes beyond the limit are turned away at once, and none after the end", async () => {
  const writer = new GroupWriter(database, { jobsMax: 5, groupMs: 10 });
  const outcomes = await Promise.allSettled(Array.from({ length: 8 }, (_, index) => writer.write(() => index)));
  assert.deepEqual(
    outcomes.map(({ status }) => status),
    [...Array.from({ length: 5 }, () => "fulfilled"), ...Array.from({ length: 3 }, () => "rejected")],
  );
  await writer.close();
  await assert.rejects(
    writer.write(() => 1),
    StoreUnavailable,
  );
});

test("[P4] every write asked for before the end is done when the writer has closed", async () => {
  const writer = new GroupWriter(database, { jobsMax: 10_000, groupMs: 1 });
  const writes = Array.from({ length: 5000 }, (_, index) =>
    writer.write(() => database.put(key(`w/${index}`), key("x"))),
  );
  await writer.close();
  assert.equal((await Promise.allSettled(writes)).filter(({ status }) => status === "fulfilled").length, 5000);
});
