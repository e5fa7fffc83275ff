// `npm run simulate [-- --seeds N] [--from S]`: as many simulated runs of the whole cluster, one seed each; stops at
// the first that breaks a promise. `--seed S`: that one, with its trace. `--sabotage NAME`: with that fault in the server.
import path from "node:path";
import { ensureInstalled } from "./ensure-installed.mjs";
import { root, runCommand } from "./run-command.mjs";

ensureInstalled();
const loader = path.join(root, "test", "support", "typescript-loader.mjs");
const program = path.join(root, "test", "simulation", "simulate-child.ts");
process.exit(runCommand(process.execPath, ["--import", loader, program, ...process.argv.slice(2)]));
