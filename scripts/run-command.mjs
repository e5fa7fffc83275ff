// Runs one command with this terminal's output, from the project's root. Plain Node: works before any install.
import { spawnSync } from "node:child_process";
import path from "node:path";
import { fileURLToPath } from "node:url";

export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "..");

/** @returns the exit code; a command that could not start counts as 127. */
export function runCommand(command, args, options = {}) {
  const done = spawnSync(command, args, { cwd: root, stdio: ["ignore", "inherit", "inherit"], ...options });
  return done.error ? 127 : (done.status ?? 1);
}

/** Whether this module is the one that node was asked to run. */
export function isEntry(moduleUrl) {
  return process.argv[1] !== undefined && path.resolve(process.argv[1]) === fileURLToPath(moduleUrl);
}
