// Backup and restore of the embedded store, while another process writes.
import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { backupLmdb, restoreLmdb } from "../../src/store/lmdb/backup.ts";
import { checkLiveDataFile, checkWholeDataFile } from "../../src/store/lmdb/data-file.ts";
import { Database } from "../../src/store/lmdb/database.ts";
import { openLmdbStore } from "../../src/store/lmdb/lmdb-store.ts";
import { type Store, StoreRefused } from "../../src/store/store.ts";
import { bytes, Owner, text } from "../contract/store-case.ts";
import { CHILD_ACTOR, CHILD_SHARDS } from "../support/store-child-facts.ts";
import { randomFrom, seedOf } from "../support/seed.ts";
import { TypescriptProcess } from "../support/typescript-process.ts";

let base: string;
const at = (name: string): string => path.join(base, name);

beforeEach(async () => {
  base = await mkdtemp(path.join(tmpdir(), "aegis-backup-"));
});

afterEach(() => rm(base, { recursive: true, force: true }));

function open(name: string): Promise<Store> {
  return openLmdbStore({ path: at(name), durability: "fsync", shardCount: CHILD_SHARDS });
}

test("[P11] a restore brings everything back under new lineages, without one-time parts", async () => {
  const store = await open("data");
  const actor = "app/keyPool/1";
  const lineages: string[] = [];
  for (let shard = 0; shard < CHILD_SHARDS; shard += 1) {
    const owner = await Owner.of(store, shard);
    await owner.apply(
      { op: "putSnapshot", actor, bytes: bytes("head") },
      { op: "putPart", actor, name: "once/1", bytes: bytes("K") },
      { op: "putPart", actor, name: "last/1", bytes: bytes("L") },
      { op: "append", actor, entry: { offset: 1, time: 1, type: "t", body: bytes("b") } },
    );
    lineages.push((await store.readOwner(shard))?.lineage ?? "");
  }
  await store.close();
  await backupLmdb(at("data"), at("backup"));
  assert.equal((await stat(at("backup"))).mode & 0o777, 0o600);
  await restoreLmdb(at("backup"), at("restored"));
  assert.deepEqual((await readdir(base)).sort(), ["backup", "data", "restored"]);
  const restored = await open("restored");
  assert.equal(restored.deploymentId, store.deploymentId);
  const fresh = new Set<string>();
  for (let shard = 0; shard < CHILD_SHARDS; shard += 1) {
    const lineage = (await restored.readOwner(shard))?.lineage ?? "";
    assert.ok(!lineages.includes(lineage));
    fresh.add(lineage);
    assert.equal(text((await restored.readSnapshots([{ shard, actor }]))[0]), "head");
    assert.deepEqual(await restored.readParts(shard, actor, ["once/1", "last/1"]), [undefined, bytes("L")]);
    assert.equal((await restored.readStream(shard, actor, { after: 0, limit: 9, bytesMax: 99 })).entries.length, 1);
  }
  assert.equal(fresh.size, CHILD_SHARDS);
  await restored.close();
});

test("[G3] a backup taken while a process writes holds whole batches only", async () => {
  const child = path.join(import.meta.dirname, "../support/store-child.ts");
  const writer = new TypescriptProcess(child, [at("data"), "fsync", "write"]);
  try {
    await writer.until(() => (writer.lines.length > 50 ? true : undefined));
    const acknowledged = writer.lines.filter((line) => line.startsWith("ack 0 ")).length;
    await backupLmdb(at("data"), at("backup"));
    const after = writer.lines.length;
    await writer.until(() => (writer.lines.length > after + 50 ? true : undefined));
    await restoreLmdb(at("backup"), at("restored"));
    const restored = await open("restored");
    const sequence = (await restored.readOwner(0))?.sequence ?? 0;
    assert.ok(sequence >= acknowledged);
    assert.equal((await restored.readStreamHead(0, CHILD_ACTOR)).head.last, sequence);
    assert.equal(text((await restored.readSnapshots([{ shard: 0, actor: CHILD_ACTOR }]))[0]), String(sequence));
    await restored.close();
  } finally {
    await writer.end();
  }
});

test("[F18] neither a backup nor a restore overwrites anything, and only a backup is restored", async () => {
  await expect(backupLmdb(at("nothing"), at("backup"))).rejects.toThrow("no data folder");
  const store = await open("data");
  await store.close();
  await backupLmdb(at("data"), at("backup"));
  await expect(backupLmdb(at("data"), at("backup"))).rejects.toThrow(StoreRefused);
  await expect(restoreLmdb(at("backup"), at("data"))).rejects.toThrow("not empty");
  const held = await open("data");
  await expect(restoreLmdb(at("backup"), at("data"))).rejects.toThrow("in use by process");
  await held.close();
  const whole = await readFile(at("backup"));
  await writeFile(at("junk"), Buffer.alloc(9000, 7));
  await writeFile(at("short"), whole.subarray(0, whole.length - 4096));
  await writeFile(at("empty"), "");
  await expect(restoreLmdb(at("junk"), at("other"))).rejects.toThrow("no database");
  await expect(restoreLmdb(at("short"), at("other"))).rejects.toThrow("cut short");
  await expect(restoreLmdb(at("empty"), at("other"))).rejects.toThrow("no database");
  await restoreLmdb(at("backup"), at("other"));
  await (await open("other")).close();
});

test("[F18] a data folder whose file is no database is refused, not crashed on", async () => {
  await mkdir(at("data"));
  await writeFile(at("data/data.mdb"), "no database");
  await expect(open("data")).rejects.toThrow("no database that this version reads");
});

test("[F18] a data folder whose file was cut is refused at the start, not crashed on while it serves", async () => {
  const store = await open("data");
  const owner = await Owner.of(store, 0);
  await owner.apply({ op: "putPart", actor: "app/keyPool/1", name: "last/1", bytes: new Uint8Array(50_000) });
  await store.close();
  const whole = await readFile(at("data/data.mdb"));
  for (const length of [30, 4096, 9000, whole.length >> 1, whole.length - 4096]) {
    await writeFile(at("data/data.mdb"), whole.subarray(0, length));
    await expect(open("data"), String(length)).rejects.toThrow(/cut short|no database that this version reads/);
    await expect(restoreLmdb(at("data/data.mdb"), at("other")), String(length)).rejects.toThrow(StoreRefused);
  }
  await writeFile(at("data/data.mdb"), whole);
  await (await open("data")).close();
});

test("[F18] a data file that lacks free pages at its end is whole: the library never wrote them", async () => {
  await mkdir(at("data"));
  const database = new Database({ path: at("data"), synced: true });
  const random = randomFrom(seedOf("free pages at the end"));
  const key = (): Buffer => Buffer.from(`key ${Math.floor(random() * 30_000)}`);
  let short = 0;
  while (short === 0) {
    database.transactionSync(() => {
      const put = Array.from({ length: 1 + Math.floor(random() * 30) }, key);
      for (const each of put)
        database.put(each, new Uint8Array(Math.floor(random() * (random() < 0.1 ? 60_000 : 1500))));
      for (const each of put) if (random() < 0.8) database.remove(each);
    });
    if ((await stat(at("data/data.mdb"))).size < (await bytesNamed(at("data/data.mdb")))) short += 1;
    checkWholeDataFile(at("data/data.mdb"));
    checkLiveDataFile(at("data/data.mdb"));
  }
  await database.close();
});

/** Bytes of all pages that the newest meta page names. */
async function bytesNamed(file: string): Promise<number> {
  const bytes = await readFile(file);
  const [first, second] = [0, 4096].map((page) => ({
    last: Number(bytes.readBigUInt64LE(page + 144)),
    transaction: Number(bytes.readBigUInt64LE(page + 152)),
  })) as [{ last: number; transaction: number }, { last: number; transaction: number }];
  return 4096 * (1 + (second.transaction > first.transaction ? second : first).last);
}
