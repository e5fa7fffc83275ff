// An acknowledged write is on the disk, not in the page cache: kill -9 can't show that, the order of the system
// calls can. The store's process runs under strace, which also makes each sync slow.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { connect, type AegisClient } from "../../src/client/client.ts";
import { basicCredential } from "../support/app-world.ts";
import { connectOnceKnown } from "../support/known-client.ts";
import { startRedis, type RedisServer } from "../support/redis-server.ts";
import { ServerProcess } from "../support/server-process.ts";
import { flawOfSync, readSystemCalls, straceInto } from "../support/system-calls.ts";

const syncDelayMs = 150;
const writes = 5;
const sabotaged = path.join(import.meta.dirname, "../support/sabotaged-server.mjs");

let folder: string;
let redis: RedisServer | undefined;
let server: ServerProcess | undefined;

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), "aegis-strace-"));
});

afterEach(async () => {
  await server?.dispose();
  await redis?.stop();
  server = redis = undefined;
  rmSync(folder, { recursive: true, force: true });
});

interface Traced {
  readonly flaws: readonly (string | undefined)[];
  /** The quickest acknowledged write. */
  readonly quickestMs: number;
  /** A read, which waits for no disk. */
  readonly readMs: number;
}

/** @param sabotage names of switches; "": the server as it is built */
async function trace(engine: "lmdb" | "redis", sabotage = ""): Promise<Traced> {
  const log = path.join(folder, "calls");
  const wrapper = straceInto(log, { syncDelayMs });
  const entry = sabotage === "" ? {} : { entry: sabotaged };
  const env = { AEGIS_SHARDS: "4", AEGIS_TEST_SABOTAGE: sabotage };
  if (engine === "redis") {
    redis = await startRedis({ appendfsync: sabotage.includes("syncOff") ? "no" : "always", wrapper });
    server = await ServerProcess.start({ redisUrl: redis.url, ...entry, env });
  } else server = await ServerProcess.start({ wrapper, ...entry, env });
  const client = await clientOf(server);
  const { markers, ...timings } = await write(client);
  await client.close();
  const where =
    redis === undefined
      ? { file: "data.mdb", port: server.port, answerMarked: true, header: true }
      : { file: ".aof", port: redis.port, answerMarked: false, header: false };
  await server.stop();
  await redis?.stop();
  const calls = readSystemCalls(log);
  return { ...timings, flaws: markers.map((marker) => flawOfSync(calls, { marker, ...where })) };
}

async function clientOf({ url, operatorToken }: ServerProcess): Promise<AegisClient> {
  const operator = await connect({ url, token: operatorToken });
  const { key } = await operator.application.create({ name: "traced" });
  await operator.close();
  return connectOnceKnown({ url, token: key.secret });
}

/** One write after another, each with a marker that is found again in what was written. */
async function write(client: AegisClient): Promise<{ markers: string[]; quickestMs: number; readMs: number }> {
  const { clientId } = await client.identity.create({ clientIdentity: basicCredential("traced") });
  await expect
    .poll(async () => (await client.identity.get({ clientIds: [clientId] })).clients)
    .toMatchObject([{ clientId }]);
  const markers = Array.from({ length: writes }, (_, n) => `marker-${String(n)}-of-a-traced-write`);
  let quickestMs = Number.POSITIVE_INFINITY;
  for (const marker of markers) {
    const began = performance.now();
    await client.identity.update({ clientId, tags: { set: [marker] } });
    quickestMs = Math.min(quickestMs, performance.now() - began);
  }
  let readMs = Number.POSITIVE_INFINITY;
  for (let n = 0; n < writes; n += 1) {
    const began = performance.now();
    await client.identity.get({ clientIds: [clientId] });
    readMs = Math.min(readMs, performance.now() - began);
  }
  return { markers, quickestMs, readMs };
}

const none = Array.from({ length: writes }, () => undefined);

test.each(["lmdb", "redis"] as const)(
  "[G3] on %s a write is answered only after its sync has returned, however slow the disk is",
  async (engine) => {
    const { flaws, quickestMs, readMs } = await trace(engine);
    console.log(`${engine}: quickest write ${quickestMs.toFixed(0)} ms, quickest read ${readMs.toFixed(0)} ms`);
    expect(flaws).toEqual(none);
    assert.ok(quickestMs >= syncDelayMs, `a write was answered in ${String(quickestMs)} ms`);
    assert.ok(readMs < syncDelayMs, `a read took ${String(readMs)} ms`);
  },
);

test.each([
  ["lmdb", "syncOff"],
  ["redis", "syncOff"],
  ["lmdb", "replyBeforeWrite"],
] as const)("[G3] on %s the same check finds out %s", async (engine, sabotage) => {
  const { flaws } = await trace(engine, sabotage);
  console.log(`${engine}, ${sabotage}: ${flaws.join("; ")}`);
  expect(flaws.filter((flaw) => flaw?.startsWith("it was answered before")).length).toBeGreaterThan(0);
});
