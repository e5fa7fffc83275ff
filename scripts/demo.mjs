// `npm run demo [-- --store redis://HOST:PORT]`: installs and builds when needed, compiles the demo, plays it.
import path from "node:path";
import { ensureBuilt } from "./ensure-built.mjs";
import { ensureInstalled } from "./ensure-installed.mjs";
import { root, runCommand } from "./run-command.mjs";

ensureInstalled();
ensureBuilt();
const tsc = path.join(root, "node_modules", "typescript", "bin", "tsc");
const compiled = runCommand(process.execPath, [tsc, "-p", "examples/tsconfig.json"]);
if (compiled !== 0) process.exit(compiled);
const demo = path.join(root, "examples", "dist", "examples", "demo", "main.js");
process.exit(runCommand(process.execPath, [demo, ...process.argv.slice(2)]));
