// One run of the identities' benchmark on one store: floor, creates, kill -9, restart, everything found again.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { connect } from "aegis-mls/client";
import { startRedis, type RedisServer } from "../test/support/redis-server.ts";
import { ServerProcess } from "../test/support/server-process.ts";
import { createIdentities, findEach, findTeams, validateIdentities, type LoadOptions } from "./identity-load.ts";
import { cpuMicrosOf, diskBytesOf, residentBytesOf } from "./process-figures.ts";
import { measureStore } from "./store-floor.ts";

export type Engine = "lmdb" | "redis";

export interface Measured {
  readonly perSecond: number;
  /** The server's processor time for one call, microseconds. */
  readonly serverMicros: number;
  /** Redis's own, where there is one. */
  readonly storeMicros?: number;
}

export interface IdentityFigures {
  readonly engine: Engine;
  readonly count: number;
  readonly sockets: number;
  readonly inFlight: number;
  readonly storeCommitsPerSecond: number;
  readonly validate: Measured;
  readonly create: Measured;
  readonly readySeconds: number;
  readonly find: Measured;
  readonly pagesSeconds: number;
  readonly diskBytes: number;
  readonly memoryAfterCreating: number;
  readonly memoryAfterRestart: number;
  readonly storeMemory?: number;
}

export interface RunOptions {
  readonly engine: Engine;
  readonly count: number;
  readonly sockets: number;
  readonly inFlight: number;
  readonly floorMs: number;
}

const SHARDS = 256;

export async function runIdentities(options: RunOptions): Promise<IdentityFigures> {
  const floor = await floorOf(options);
  const redis = options.engine === "redis" ? await startRedis({ appendfsync: "always" }) : undefined;
  const server = await ServerProcess.start(redis === undefined ? {} : { redisUrl: redis.url });
  try {
    return { ...options, storeCommitsPerSecond: floor, ...(await measure(options, server, redis)) };
  } finally {
    await server.dispose();
    await redis?.stop();
  }
}

async function measure(
  { count, sockets, inFlight }: RunOptions,
  server: ServerProcess,
  redis: RedisServer | undefined,
) {
  const operator = await connect({ url: server.url, token: server.operatorToken });
  const { key } = await operator.application.create({ name: "bench" });
  await operator.close();
  const load = { url: server.url, token: key.secret, count, sockets, inFlight };
  const timed = <T>(work: () => Promise<T>) => measured(work, load, server.pid, redis?.pid);
  const [validate] = await timed(() => validateIdentities(load));
  const [create, clientIds] = await timed(() => createIdentities(load));
  const memoryAfterCreating = residentBytesOf(server.pid);
  await server.kill9();
  const starting = performance.now();
  await server.restart();
  const readySeconds = (performance.now() - starting) / 1000;
  const memoryAfterRestart = residentBytesOf(server.pid);
  const paging = performance.now();
  await findTeams(load, clientIds);
  const pagesSeconds = (performance.now() - paging) / 1000;
  const [find] = await measured(() => findEach(load, clientIds), load, server.pid, redis?.pid);
  return {
    validate,
    create,
    readySeconds,
    find,
    pagesSeconds,
    memoryAfterCreating,
    memoryAfterRestart,
    diskBytes: diskBytesOf(redis?.dir ?? server.dataFolder),
    ...(redis === undefined ? {} : { storeMemory: residentBytesOf(redis.pid) }),
  };
}

async function measured<T>(
  work: () => Promise<T>,
  { count }: LoadOptions,
  serverPid: number,
  storePid: number | undefined,
): Promise<[Measured, T]> {
  const cpu = (): number[] => [serverPid, ...(storePid === undefined ? [] : [storePid])].map(cpuMicrosOf);
  const [serverBefore = 0, storeBefore = 0] = cpu();
  const began = performance.now();
  const result = await work();
  const perSecond = (count * 1000) / (performance.now() - began);
  const [serverAfter = 0, storeAfter = 0] = cpu();
  const serverMicros = (serverAfter - serverBefore) / count;
  const storeMicros = storePid === undefined ? {} : { storeMicros: (storeAfter - storeBefore) / count };
  return [{ perSecond, serverMicros, ...storeMicros }, result];
}

async function floorOf({ engine, floorMs }: RunOptions): Promise<number> {
  const folder = mkdtempSync(path.join(tmpdir(), "aegis-floor-"));
  const redis = engine === "redis" ? await startRedis({ appendfsync: "always" }) : undefined;
  try {
    return (await measureStore(redis?.url ?? `lmdb:${folder}`, SHARDS, floorMs)).commitsPerSecond;
  } finally {
    await redis?.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}
