// What stops a start is told in one line that names the setting, with exit code 1; nobody else notices the attempt.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo, type Server } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openRedisStore } from "../../src/store/redis/redis-store.ts";
import { freePort } from "../support/free-port.ts";
import { startRedis } from "../support/redis-server.ts";
import { ServerAuthority } from "../support/server-certificates.ts";

const main = path.join(import.meta.dirname, "../../dist/main.js");
/** An address that is kept for documents: no machine has it. */
const ELSEWHERE = "192.0.2.1";
const SECRETS = { AEGIS_SECRET: "s".repeat(32), AEGIS_OPERATOR_KEY: `aegis_operator_${"k".repeat(32)}` };
const folder = mkdtempSync(path.join(tmpdir(), "aegis-refused-"));
let taken: Server;
let takenPort: string;

beforeAll(async () => {
  taken = createServer().listen(0, "127.0.0.1");
  await once(taken, "listening");
  takenPort = String((taken.address() as AddressInfo).port);
});

afterAll(() => {
  taken.close();
  rmSync(folder, { recursive: true, force: true });
});

interface Refused {
  readonly code: unknown;
  readonly line: string;
  readonly log: string;
}

async function start(env: Readonly<Record<string, string>>): Promise<Refused> {
  const own = mkdtempSync(path.join(folder, "data-"));
  const child = spawn(process.execPath, [main, "serve"], {
    env: { ...process.env, AEGIS_STORE: `lmdb:${own}`, AEGIS_PORT: "0", AEGIS_ADMIN_PORT: "0", ...SECRETS, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const said = { line: "", log: "" };
  child.stderr.setEncoding("utf8").on("data", (text: string) => (said.line += text));
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    said.log += text;
    // It should not have come so far.
    if (text.includes('"msg":"serving"')) child.kill("SIGKILL");
  });
  const [code] = (await once(child, "close")) as [unknown];
  return { code, ...said };
}

function expectRefused({ code, line, log }: Refused, why: string): void {
  expect({ code, line }).toEqual({ code: 1, line: `aegis: ${why}\n` });
  expect(log).toContain('"msg":"refused to start"');
  expect(log).toContain(JSON.stringify(why));
  // Which would call for a look at a defect.
  expect(log).not.toContain('"msg":"bug"');
}

test("a host or a port that can't be listened on is told by its setting", async () => {
  const refused = await Promise.all([
    start({ AEGIS_HOST: ELSEWHERE }),
    start({ AEGIS_PORT: takenPort }),
    start({ AEGIS_ADMIN_HOST: ELSEWHERE }),
    start({ AEGIS_ADMIN_PORT: takenPort }),
  ]);
  const isTaken = `can't be listened on: another process has it (EADDRINUSE at 127.0.0.1:${takenPort})`;
  const isElsewhere = `can't be listened on: no address of this machine (EADDRNOTAVAIL at ${ELSEWHERE}:0)`;
  const why = [`host ${isElsewhere}`, `port ${isTaken}`, `adminHost ${isElsewhere}`, `adminPort ${isTaken}`];
  for (const [n, each] of refused.entries()) expectRefused(each, why[n] ?? "");
});

test("a file that holds no authority's certificate is told by its setting", async () => {
  const { certFile, keyFile } = new ServerAuthority().issue(folder, "aegis.internal");
  const [none, half] = [path.join(folder, "none.pem"), path.join(folder, "half.pem")];
  const authority = new ServerAuthority().certificate;
  writeFileSync(none, "no certificate\n");
  writeFileSync(half, authority + authority.slice(0, authority.length / 2));
  const tls = { AEGIS_TLS_CERT_FILE: certFile, AEGIS_TLS_KEY_FILE: keyFile };
  const refused = await Promise.all([
    start({ ...tls, AEGIS_LINK_CA_FILE: none }),
    start({ ...tls, AEGIS_LINK_CA_FILE: half }),
    start({ AEGIS_STORE: "rediss://127.0.0.1:1", AEGIS_REDIS_CA_FILE: none }),
  ]);
  const why = "holds no certificate, or one that can't be read: it must be PEM";
  for (const [n, each] of refused.entries()) expectRefused(each, `${n < 2 ? "linkCaFile" : "redisCaFile"} ${why}`);
});

test("a node whose admin port is taken does not join first: nobody would miss it before it is expelled", async () => {
  const redis = await startRedis();
  const demand = { url: redis.url, prefix: "aegis", durability: "fsync", shardCount: 256 } as const;
  try {
    expect(await start({ AEGIS_STORE: redis.url, AEGIS_ADMIN_PORT: takenPort })).toMatchObject({ code: 1 });
    const store = await openRedisStore(demand);
    expect(await store.readNodes()).toEqual([]);
    await store.close();
  } finally {
    await redis.stop();
  }
});

test("a Redis that can't be reached, or still loads its data, is told with its address", async () => {
  const loading = createServer((socket) => {
    const info = "loading:1\r\nloading_eta_seconds:60\r\n";
    socket.on("error", () => undefined);
    socket.on("data", () => socket.write(`$${String(info.length)}\r\n${info}\r\n`));
  }).listen(0, "127.0.0.1");
  await once(loading, "listening");
  const [nobody, busy] = [await freePort(), (loading.address() as AddressInfo).port];
  const [away, slow] = await Promise.all([
    start({ AEGIS_STORE: `redis://127.0.0.1:${String(nobody)}` }),
    start({ AEGIS_STORE: `redis://127.0.0.1:${String(busy)}` }),
  ]);
  loading.close();
  expectRefused(away, `redis can't be reached: ECONNREFUSED at 127.0.0.1:${String(nobody)}`);
  expectRefused(slow, "redis can't be reached: connected, but it does not serve yet: it is loading its data, or hangs");
});
