// `npm run simulate [-- --seeds N] [--from S] [--workers W]`: as many simulated runs of the whole cluster, one seed
// each, by as many processes as there are processors; stops at the first that breaks a promise, or with `--keep-going`
// at none. `--seed S`: that one, with its trace. `--sabotage NAME`: with that fault in the server.
import { spawn } from "node:child_process";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { ensureInstalled } from "./ensure-installed.mjs";
import { root, runCommand } from "./run-command.mjs";

ensureInstalled();
const loader = path.join(root, "test", "support", "typescript-loader.mjs");
const program = path.join(root, "test", "simulation", "simulate-child.ts");
const command = ["--import", loader, program];
const options = {
  seeds: { type: "string", default: "1000" },
  from: { type: "string", default: "1" },
  workers: { type: "string", default: String(os.availableParallelism()) },
  seed: { type: "string" },
};
const given = process.argv.slice(2);
const { values } = parseArgs({ args: given, options, strict: false });
const [seeds, from, workers] = [values.seeds, values.from, values.workers].map(Number);
if (!(seeds > 0 && workers > 0 && Number.isInteger(from))) {
  console.error("--seeds and --workers want numbers from 1 on, --from a whole number.");
  process.exit(2);
}
// These say what one run is; the others say which runs there are.
const mine = new Set(["--seeds", "--from", "--workers"]);
const rest = given.filter((word, n) => !mine.has(word.split("=")[0]) && !(mine.has(given[n - 1]) && n > 0));
if (values.seed !== undefined) process.exit(runCommand(process.execPath, [...command, ...rest]));

const began = performance.now();
const children = Array.from({ length: Math.min(workers, seeds) }, (_, n) => {
  const share = Math.ceil((seeds - n) / workers);
  const its = ["--seeds", share, "--from", from + n, "--stride", workers].map(String);
  return spawn(process.execPath, [...command, ...its, ...rest], { stdio: ["ignore", "inherit", "inherit"] });
});
const ended = children.map((child) => new Promise((resolve) => child.once("exit", (code) => resolve(code ?? 1))));
for (const end of ended) {
  void end.then((code) => {
    if (code !== 0 && !rest.includes("--keep-going")) for (const child of children) child.kill();
  });
}
const codes = await Promise.all(ended);
const seconds = (performance.now() - began) / 1000;
const outcome = codes.every((code) => code === 0) ? "kept what is promised" : "BROKEN";
console.log(`${seeds} seeds, ${children.length} processes: ${outcome}; ${seconds.toFixed(0)} s`);
process.exit(outcome === "BROKEN" ? 1 : 0);
