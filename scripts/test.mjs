// `npm test [-- VITEST ARGUMENTS]`: installs and builds when needed, then runs the tests.
import path from "node:path";
import { ensureBuilt } from "./ensure-built.mjs";
import { ensureInstalled } from "./ensure-installed.mjs";
import { ensureSystem } from "./ensure-system.mjs";
import { root, runCommand } from "./run-command.mjs";

ensureInstalled();
ensureSystem();
ensureBuilt();
const vitest = path.join(root, "node_modules", "vitest", "vitest.mjs");
process.exit(runCommand(process.execPath, [vitest, "run", ...process.argv.slice(2)]));
