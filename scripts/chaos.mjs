// `npm run chaos [-- VITEST ARGUMENTS]`: the chaos tests at full length: 50 rounds of each kill (AEGIS_CHAOS_ROUNDS
// says another number), 30 s of standing still, and a death at every moment of every chain. Takes more than an hour.
// `npm run chaos -- --soak MINUTES [--write]`: random faults under load for so long; `--write` puts what it came to
// into docs/RELIABILITY.md.
// `npm run chaos -- --older REVISION`: a rolling upgrade from that revision to this one under load (F23). Takes minutes.
import path from "node:path";
import { parseArgs } from "node:util";
import { buildRevision } from "./build-revision.mjs";
import { ensureBuilt } from "./ensure-built.mjs";
import { ensureInstalled } from "./ensure-installed.mjs";
import { ensureSystem } from "./ensure-system.mjs";
import { root, runCommand } from "./run-command.mjs";

const options = { soak: { type: "string" }, write: { type: "boolean" }, older: { type: "string" } };
const { values } = parseArgs({ options, strict: false });
if (values.soak !== undefined && !(Number(values.soak) > 0)) {
  console.error("--soak wants a number of minutes.");
  process.exit(2);
}

ensureInstalled();
ensureSystem();
ensureBuilt();
const vitest = path.join(root, "node_modules", "vitest", "vitest.mjs");
const long = {
  AEGIS_CHAOS_ROUNDS: "50",
  AEGIS_ROLLING_ROUNDS: "5",
  AEGIS_FROZEN_MS: "30000",
  AEGIS_PAUSED_MS: "10000",
  AEGIS_CHAOS_FULL: "1",
};
const soak = { AEGIS_SOAK_MINUTES: values.soak, ...(values.write ? { AEGIS_SOAK_WRITE: "1" } : {}) };
process.exit(runCommand(process.execPath, [vitest, "run", ...args()], { env: { ...env(), ...process.env } }));

function args() {
  if (values.older !== undefined) return ["test/chaos/two-versions.test.ts"];
  return values.soak === undefined ? ["test/chaos", ...process.argv.slice(2)] : ["test/chaos/soak.test.ts"];
}

function env() {
  if (values.older !== undefined) return { AEGIS_OLDER_BUILD: buildRevision(values.older) };
  return values.soak === undefined ? long : soak;
}
