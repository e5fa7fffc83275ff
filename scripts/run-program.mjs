// Installs, builds and compiles when needed, then runs a program that stands outside src: the demo, the benchmarks.
import path from "node:path";
import { copyLua } from "./build.mjs";
import { ensureBuilt } from "./ensure-built.mjs";
import { ensureInstalled } from "./ensure-installed.mjs";
import { isEntry, root, runCommand } from "./run-command.mjs";

/** As the server is run, so that what is measured in the program's own process is measured alike. */
const NODE_FLAGS = ["--max-semi-space-size=64"];

/** @param program its source from the root, as `examples/demo/main.ts`; its first folder has a tsconfig.json */
export function runProgram(program, args) {
  ensureInstalled();
  ensureBuilt();
  const folder = program.split("/")[0];
  const tsc = path.join(root, "node_modules", "typescript", "bin", "tsc");
  const compiled = runCommand(process.execPath, [tsc, "-p", path.join(folder, "tsconfig.json")]);
  if (compiled !== 0) return compiled;
  copyLua(path.join(root, folder, "dist", "src"));
  const compiledFile = path.join(root, folder, "dist", program.replace(/\.ts$/, ".js"));
  return runCommand(process.execPath, [...NODE_FLAGS, compiledFile, ...args]);
}

if (isEntry(import.meta.url)) process.exit(runProgram(process.argv[2], process.argv.slice(3)));
