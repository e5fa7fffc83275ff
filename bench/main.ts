// `npm run bench [-- NAME …] [--write]`: runs one benchmark and prints its figures; --write puts them into its own
// section of docs/BENCHMARKS.md. Without a name: identities.
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { cpus, loadavg, release, totalmem } from "node:os";
import { withSection, type BenchResult } from "./benchmark-document.ts";
import { cluster } from "./cluster.ts";
import { followCommits } from "./follow-commits.ts";
import { identities } from "./identities.ts";
import { shards } from "./shards.ts";

const BENCHES: Readonly<Record<string, (args: string[]) => Promise<BenchResult>>> = {
  identities,
  "follow-commits": followCommits,
  cluster,
  shards,
};
const DOCUMENT = "docs/BENCHMARKS.md";

const given = process.argv.slice(2);
const name = given[0] === undefined || given[0].startsWith("--") ? "identities" : (given.shift() as string);
const bench = BENCHES[name];
if (bench === undefined) throw new Error(`no benchmark ${name}; there are: ${Object.keys(BENCHES).join(", ")}`);
const load = `${(loadavg()[0] ?? 0).toFixed(1)} on ${String(cpus().length)} processors`;
const result = await bench(given.filter((arg) => arg !== "--write"));
if (given.includes("--write")) {
  const gibibytes = (totalmem() / 2 ** 30).toFixed(0);
  const processor = cpus()[0]?.model ?? "unknown";
  const redis = execFileSync("redis-server", ["--version"], { encoding: "utf8" });
  const software = `Linux ${release()}, Node ${process.version}, Redis ${/v=(\S+)/.exec(redis)?.[1] ?? "unknown"}`;
  const document = withSection(readFileSync(DOCUMENT, "utf8"), result, {
    machine: `${String(cpus().length)} × ${processor}, ${gibibytes} GiB, ${software}`,
    commit: execFileSync("git", ["rev-parse", "--short=12", "HEAD"], { encoding: "utf8" }).trim(),
    date: new Date().toISOString().slice(0, 10),
    load,
  });
  writeFileSync(DOCUMENT, document);
}
