// `npm run chaos [-- VITEST ARGUMENTS]`: the chaos tests at full length: 50 rounds of each kill (AEGIS_CHAOS_ROUNDS
// says another number), 30 s of standing still, and a death at every moment of every chain. Takes more than an hour.
// `npm run chaos -- --soak MINUTES [--write]`: random faults under load for so long; `--write` puts what it came to
// into docs/RELIABILITY.md.
import path from "node:path";
import { parseArgs } from "node:util";
import { ensureBuilt } from "./ensure-built.mjs";
import { ensureInstalled } from "./ensure-installed.mjs";
import { ensureSystem } from "./ensure-system.mjs";
import { root, runCommand } from "./run-command.mjs";

const options = { soak: { type: "string" }, write: { type: "boolean" } };
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
const [env, args] =
  values.soak === undefined ? [long, ["test/chaos", ...process.argv.slice(2)]] : [soak, ["test/chaos/soak.test.ts"]];
process.exit(runCommand(process.execPath, [vitest, "run", ...args], { env: { ...env, ...process.env } }));
