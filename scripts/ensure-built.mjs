// Builds when dist is missing or older than what it is built from. Plain Node; needs the installed packages.
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import path from "node:path";
import { build, stamp } from "./build.mjs";
import { isEntry, root } from "./run-command.mjs";

const sources = ["src", "tsconfig.json", "tsconfig.build.json", "package-lock.json"];

export function ensureBuilt() {
  if (isFresh()) return;
  console.log("Building…");
  build();
}

function isFresh() {
  const file = path.join(root, stamp);
  if (!existsSync(file)) return false;
  const builtAt = Date.parse(readFileSync(file, "utf8"));
  return sources.every((source) => newestMs(path.join(root, source)) <= builtAt);
}

function newestMs(entry) {
  const found = statSync(entry);
  if (!found.isDirectory()) return found.mtimeMs;
  // The folder's own time counts too: it moves when a file in it is removed.
  return Math.max(found.mtimeMs, ...readdirSync(entry).map((name) => newestMs(path.join(entry, name))));
}

if (isEntry(import.meta.url)) ensureBuilt();
