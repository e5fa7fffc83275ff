// `npm run chaos [-- VITEST ARGUMENTS]`: the chaos tests at full length: 50 rounds of each kill (AEGIS_CHAOS_ROUNDS
// says another number), 30 s of standing still, and a death at every moment of every chain. Takes more than an hour.
import path from "node:path";
import { ensureBuilt } from "./ensure-built.mjs";
import { ensureInstalled } from "./ensure-installed.mjs";
import { ensureSystem } from "./ensure-system.mjs";
import { root, runCommand } from "./run-command.mjs";

ensureInstalled();
ensureSystem();
ensureBuilt();
const vitest = path.join(root, "node_modules", "vitest", "vitest.mjs");
const env = {
  AEGIS_CHAOS_ROUNDS: "50",
  AEGIS_ROLLING_ROUNDS: "5",
  AEGIS_FROZEN_MS: "30000",
  AEGIS_CHAOS_FULL: "1",
  ...process.env,
};
const args = [vitest, "run", "test/chaos", ...process.argv.slice(2)];
process.exit(runCommand(process.execPath, args, { env }));
