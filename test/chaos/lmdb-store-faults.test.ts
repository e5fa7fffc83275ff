// The embedded store when things go wrong: two processes, kill -9, no sync, a full disk, foreign folders.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openLmdbStore } from "../../src/store/lmdb/lmdb-store.ts";
import { type Store, StoreRefused } from "../../src/store/store.ts";
import { CHILD_ACTOR, CHILD_SHARDS } from "../support/store-child-facts.ts";
import { TypescriptProcess } from "../support/typescript-process.ts";
import { text } from "../contract/store-case.ts";

const child = path.join(import.meta.dirname, "../support/store-child.ts");
const DELAY_MS = 150;

let folder: string;
let started: TypescriptProcess[];

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "aegis-lmdb-faults-"));
  started = [];
});

afterEach(async () => {
  await Promise.all(started.map((each) => each.end()));
  await rm(folder, { recursive: true, force: true });
});

function start(args: readonly string[], wrapper: readonly string[] = []): TypescriptProcess {
  const process = new TypescriptProcess(child, [folder, ...args], wrapper);
  started.push(process);
  return process;
}

function open(shardCount = CHILD_SHARDS, deployment?: string): Promise<Store> {
  const more = deployment === undefined ? {} : { deployment };
  return openLmdbStore({ path: folder, durability: "fsync", shardCount, ...more });
}

test("[F25] a second process is refused and told who holds the folder; a kill -9 frees it at once", async () => {
  const holder = start(["fsync", "hold"]);
  await holder.line("open");
  const refused = start(["fsync", "hold"]);
  assert.equal(await refused.line("StoreRefused"), `StoreRefused the data folder is in use by process ${holder.pid}`);
  await expect(open()).rejects.toThrow(StoreRefused);
  await holder.end("SIGKILL");
  const store = await open();
  await expect(open()).rejects.toThrow(`process ${process.pid}`);
  await store.close();
});

test("[F25] of processes that start at the same moment on a dead one's folder exactly one opens it", async () => {
  const dead = start(["fsync", "hold"]);
  await dead.line("open");
  await dead.end("SIGKILL");
  const racers = Array.from({ length: 4 }, () => start(["fsync", "hold"]));
  const said = await Promise.all(racers.map((each) => each.until(() => each.lines[0])));
  assert.equal(said.filter((line) => line.startsWith("open")).length, 1, said.join(" | "));
  assert.equal(said.filter((line) => line.startsWith("StoreRefused")).length, 3, said.join(" | "));
});

test.each(["fsync", "memory"])(
  "[G3] kill -9 in the middle of writing loses nothing acknowledged (%s)",
  async (level) => {
    for (const acknowledgements of [10, 150]) {
      const writer = start([level, "write"]);
      const from = writer.lines.length;
      await writer.until(() => (writer.lines.length - from >= acknowledgements ? true : undefined));
      await writer.end("SIGKILL");
      const store = await open();
      for (let shard = 0; shard < CHILD_SHARDS; shard += 1)
        await assertWhole(store, shard, lastAcknowledged(writer, shard));
      await store.close();
    }
  },
);

test("[G3] an acknowledgement waits for the disk: a slow fdatasync delays it", async () => {
  assert.ok((await fastestAcknowledgement([])) >= DELAY_MS);
});

test("[G3] syncOff turns red: acknowledgements no longer wait for the disk", async () => {
  assert.ok((await fastestAcknowledgement(["syncOff"])) < DELAY_MS);
});

test("[F14] a disk that is full refuses the batch whole; what was acknowledged stays, reads go on", async () => {
  // The first open sizes the files; then the file may not grow past 3 MB.
  await (await open()).close();
  const writer = start(["fsync", "fill"], ["prlimit", `--fsize=3000000`]);
  await writer.until(
    () => writer.lines.filter((line) => line.startsWith("failed")).length === CHILD_SHARDS || undefined,
  );
  for (const line of writer.lines.filter((each) => each.startsWith("failed"))) {
    const [, shard, sequence, error, last, health] = line.split(" ");
    assert.equal(error, "StoreUnavailable");
    assert.equal(health, "ailing");
    assert.equal(Number(last), Number(sequence) - 1, line);
    assert.equal(lastAcknowledged(writer, Number(shard)), Number(last), line);
  }
  await writer.end();
  const store = await open();
  for (let shard = 0; shard < CHILD_SHARDS; shard += 1)
    await assertWhole(store, shard, lastAcknowledged(writer, shard));
  await store.close();
});

test("[F14] a process whose disk was full goes on when there is room again", async () => {
  await (await open()).close();
  const writer = start(["fsync", "refill"], ["prlimit", "--fsize=3000000:"]);
  const failures = (shard: number): number => writer.lines.filter((line) => line.startsWith(`failed ${shard} `)).length;
  await writer.until(() => (failures(0) >= 3 && failures(1) >= 3) || undefined);
  const full = writer.lines.length;
  const raised = spawnSync("prlimit", ["--pid", String(writer.pid), "--fsize=unlimited:"]);
  assert.equal(raised.status, 0, String(raised.stderr));
  const first = await writer.until(() => writer.lines.slice(full).find((line) => line.startsWith("ack")));
  assert.match(first, / healthy$/);
});

test("[F18] another shard count, or another deployment's folder, is refused", async () => {
  const first = await open(4, "mine");
  await first.close();
  await expect(open(8, "mine")).rejects.toThrow("made with 4 shards; the configuration says 8");
  await expect(open(4, "theirs")).rejects.toThrow("another deployment");
  for (const count of [0, -1, 1.5, 100_000]) await expect(open(count)).rejects.toThrow(StoreRefused);
  const again = await open(4, "mine");
  assert.equal(again.deploymentId, first.deploymentId);
  await again.close();
});

test("[F18] a folder opened without a deployment belongs to the first that is named", async () => {
  await (await open()).close();
  await (await open(CHILD_SHARDS, "mine")).close();
  await expect(open(CHILD_SHARDS, "theirs")).rejects.toThrow("another deployment");
});

test("[G9] nobody but the owner may read the data folder and its files", async () => {
  const store = await open();
  assert.equal((await stat(folder)).mode & 0o777, 0o700);
  for (const name of ["data.mdb", "lock.mdb", "process.lock"]) {
    assert.equal((await stat(path.join(folder, name))).mode & 0o777, 0o600, name);
  }
  await store.close();
});

/** Milliseconds of the fastest of a child's commits when every fdatasync is made to take longer. */
async function fastestAcknowledgement(sabotage: readonly string[]): Promise<number> {
  await (await open()).close();
  const trace = path.join(folder, "trace");
  const inject = [
    "-e",
    "trace=fdatasync,fsync,msync",
    "-e",
    `inject=fdatasync,fsync,msync:delay_exit=${DELAY_MS * 1000}`,
  ];
  const traced = start(["fsync", "few", sabotage.join(",")], ["strace", "-f", "-qq", "-o", trace, ...inject]);
  const done = (): true | undefined =>
    traced.lines.filter((line) => /^ack \d+ 5 /.test(line)).length === CHILD_SHARDS ? true : undefined;
  await traced.until(done);
  const times = traced.lines.filter((line) => line.startsWith("ack")).map((line) => Number(line.split(" ")[3]));
  return Math.min(...times);
}

function lastAcknowledged(writer: TypescriptProcess, shard: number): number {
  const line = writer.lines.findLast((each) => each.startsWith(`ack ${shard} `));
  return line === undefined ? 0 : Number(line.split(" ")[2]);
}

/** At least what was acknowledged, and nothing of a batch without the rest of it. */
async function assertWhole(store: Store, shard: number, acknowledged: number): Promise<void> {
  const sequence = (await store.readOwner(shard))?.sequence ?? 0;
  assert.ok(sequence >= acknowledged, `shard ${shard}: ${sequence} < ${acknowledged}`);
  const { head } = await store.readStreamHead(shard, CHILD_ACTOR);
  assert.equal(head.last, sequence);
  const [snapshot] = await store.readSnapshots([{ shard, actor: CHILD_ACTOR }]);
  assert.equal(text(snapshot), sequence === 0 ? undefined : String(sequence));
  const parts = await store.listParts(shard, CHILD_ACTOR, { prefix: "p/", limit: 1e6, namesOnly: true });
  assert.equal(parts.length, sequence);
}
