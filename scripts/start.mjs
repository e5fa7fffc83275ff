// `npm start [-- FLAGS]`: installs and builds when needed, then serves in this same process, so that signals
// reach the server.
import path from "node:path";
import { pathToFileURL } from "node:url";
import { ensureBuilt } from "./ensure-built.mjs";
import { ensureInstalled } from "./ensure-installed.mjs";
import { root } from "./run-command.mjs";

ensureInstalled();
ensureBuilt();
const main = path.join(root, "dist", "main.js");
process.argv = [process.execPath, main, "serve", ...process.argv.slice(2)];
await import(pathToFileURL(main).href);
