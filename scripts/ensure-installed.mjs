// Installs the packages of package-lock.json when they are missing or older than it. Plain Node, imports no package.
import { existsSync, statSync } from "node:fs";
import path from "node:path";
import { isEntry, root, runCommand } from "./run-command.mjs";

export function ensureInstalled() {
  const lock = path.join(root, "package-lock.json");
  // npm writes this file at the end of every install.
  const installed = path.join(root, "node_modules", ".package-lock.json");
  if (existsSync(installed) && statSync(installed).mtimeMs >= statSync(lock).mtimeMs) return;
  console.log("Installing packages (npm ci)…");
  const code = runCommand("npm", ["ci"]);
  if (code !== 0) {
    console.error("npm ci failed: the packages could not be installed.");
    process.exit(code);
  }
}

if (isEntry(import.meta.url)) ensureInstalled();
