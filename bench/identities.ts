// `npm run bench [-- --count 100000] [--store redis://…]`: identities with three tags each created over the wire, the
// server restarted, every one found by tag and read back right. Prints the figures; ends non-zero if one is wrong.
import { randomBytes } from "node:crypto";
import { readdirSync, readFileSync, statSync } from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import { connect, type AegisClient } from "aegis-mls/client";
import { ServerProcess } from "../test/support/server-process.ts";

const inFlight = 256;
const pageSize = 1000;
const teams = 100;

const { values } = parseArgs({
  options: { count: { type: "string", default: "100000" }, store: { type: "string" } },
});
const count = Number(values.count);
const prefix = { AEGIS_PREFIX: `bench-${randomBytes(4).toString("hex")}` };
const server = await ServerProcess.start({
  ...(values.store !== undefined && { redisUrl: values.store, env: prefix }),
});
try {
  await run();
} finally {
  await server.dispose();
}

async function run(): Promise<void> {
  const operator = await connect({ url: server.url, token: server.operatorToken });
  const { key, applicationId } = await operator.application.create({ name: "bench" });
  let client = await connect({ url: server.url, token: key.secret, inFlightMax: inFlight, ttlMs: 30_000 });

  const creating = performance.now();
  await inTurns(count, async (index) => {
    const record = await client.identity.create({ clientIdentity: credential(nameOf(index)), tags: tagsOf(index) });
    if (record.handle !== nameOf(index)) throw new Error(`created ${record.handle} for ${nameOf(index)}`);
  });
  const createSeconds = seconds(creating);
  const residentBytes = residentBytesOf(server.pid);
  await Promise.all([client.close(), operator.close()]);
  await server.stop();

  const starting = performance.now();
  await server.restart();
  const readySeconds = seconds(starting);
  client = await connect({ url: server.url, token: key.secret });
  const reading = performance.now();
  const found = await readAllBack(client);
  const readSeconds = seconds(reading);
  await client.close();

  print("identities with 3 tags", count.toString());
  print("created", `${(count / createSeconds).toFixed(0)} a second, ${inFlight} in flight on one connection`);
  print("from start to ready", `${readySeconds.toFixed(2)} s`);
  print("found by tag and read back", `${found} in ${readSeconds.toFixed(1)} s, ${pageSize} a page`);
  print("server's memory after creating", `${megabytes(residentBytes)} MB resident`);
  print("server's memory after reading", `${megabytes(residentBytesOf(server.pid))} MB resident`);
  if (values.store === undefined) print("on disk", `${megabytes(diskBytesOf(server.dataFolder))} MB`);
  const end = await connect({ url: server.url, token: server.operatorToken });
  if (values.store !== undefined) await end.application.delete({ applicationId }, { ttlMs: 30_000 });
  await end.close();
  if (found !== count) throw new Error(`${count - found} identities are missing`);
}

/** Every identity by the tags of its team, a page at a time; each must be as it was created. */
async function readAllBack(client: AegisClient): Promise<number> {
  const seen = new Set<number>();
  for (let team = 0; team < teams; team += 1) {
    let cursor: string | undefined;
    do {
      const page = await client.identity.find({
        all: [`team:${team}`],
        limit: pageSize,
        ...(cursor !== undefined && { cursor }),
      });
      for (const { handle, tags } of page.clients) {
        const index = Number(handle.slice("person-".length));
        if (handle !== nameOf(index) || [...tags].sort().join() !== tagsOf(index).sort().join()) {
          throw new Error(`${handle} is not as it was created`);
        }
        seen.add(index);
      }
      cursor = page.cursor;
    } while (cursor !== undefined);
  }
  return seen.size;
}

/** Runs `work` for 0 … total-1, a bounded number at once. */
async function inTurns(total: number, work: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < total) {
      next += 1;
      await work(next - 1);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, worker));
}

function nameOf(index: number): string {
  return `person-${index}`;
}

function tagsOf(index: number): string[] {
  return [`account:${Math.floor(index / 2)}`, `team:${index % teams}`, "person"];
}

function credential(name: string): Uint8Array {
  const identity = new TextEncoder().encode(name);
  return Uint8Array.of(0, 1, identity.length, ...identity);
}

function residentBytesOf(pid: number): number {
  const pages = readFileSync(`/proc/${pid}/statm`, "utf8").split(" ")[1];
  return Number(pages) * 4096;
}

function diskBytesOf(folder: string): number {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .map((name) => statSync(path.join(folder, name)))
    .reduce((bytes, found) => bytes + (found.isFile() ? found.blocks * 512 : 0), 0);
}

function seconds(since: number): number {
  return (performance.now() - since) / 1000;
}

function megabytes(bytes: number): string {
  return (bytes / 1_000_000).toFixed(0);
}

function print(what: string, figure: string): void {
  console.log(`${what.padEnd(32)} ${figure}`);
}
