// `npm run bench [-- --count 100000 --store lmdb,redis --write]`: identities created over the wire, found by tag and
// read back right after kill -9 and a restart, on both stores. Prints the figures as JSON; --write puts them into
// docs/BENCHMARKS.md. Ends non-zero when an identity is missing or wrong.
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { cpus, loadavg, release, totalmem } from "node:os";
import { parseArgs } from "node:util";
import { benchmarkDocument } from "./benchmark-document.ts";
import { runIdentities, type Engine, type IdentityFigures } from "./identity-run.ts";

const { values } = parseArgs({
  options: {
    count: { type: "string", default: "100000" },
    store: { type: "string", default: "lmdb,redis" },
    write: { type: "boolean", default: false },
  },
});
const count = Number(values.count);
if (!Number.isInteger(count) || count < 1) throw new Error("--count must be a whole number");
const engines = values.store.split(",");
if (!engines.every((name): name is Engine => name === "lmdb" || name === "redis")) {
  throw new Error("--store must be lmdb, redis or lmdb,redis");
}

const load = `${(loadavg()[0] ?? 0).toFixed(1)} on ${String(cpus().length)} processors`;
const runs: IdentityFigures[] = [];
for (const engine of engines) {
  const figures = await runIdentities({ engine, count, sockets: 4, inFlight: 256, floorMs: 5000 });
  console.log(JSON.stringify(figures, undefined, 2));
  runs.push(figures);
}
if (values.write) {
  const gibibytes = (totalmem() / 2 ** 30).toFixed(0);
  const processor = cpus()[0]?.model ?? "unknown";
  const redis = execFileSync("redis-server", ["--version"], { encoding: "utf8" });
  const software = `Linux ${release()}, Node ${process.version}, Redis ${/v=(\S+)/.exec(redis)?.[1] ?? "unknown"}`;
  const document = benchmarkDocument(runs, {
    command: `npm run bench -- --count ${String(count)} --store ${engines.join(",")} --write`,
    machine: `${String(cpus().length)} × ${processor}, ${gibibytes} GiB, ${software}`,
    commit: execFileSync("git", ["rev-parse", "--short=12", "HEAD"], { encoding: "utf8" }).trim(),
    date: new Date().toISOString().slice(0, 10),
    load,
  });
  writeFileSync("docs/BENCHMARKS.md", document);
}
