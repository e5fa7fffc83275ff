// Builds another revision of this repository in a temporary folder, as it builds itself. Plain Node and git.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { root, runCommand } from "./run-command.mjs";

/**
 * The folder is gone when this process ends.
 * @param revision as git knows it: a tag, a commit
 * @returns what `node` runs: its `dist/main.js`
 */
export function buildRevision(revision) {
  const folder = mkdtempSync(path.join(tmpdir(), "aegis-revision-"));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  const archive = path.join(folder, "archive.tar");
  // `^{commit}` has git refuse what is none; nothing that begins with a dash is taken for an option.
  const asked = spawnSync("git", ["rev-parse", "--verify", "--end-of-options", `${revision}^{commit}`], { cwd: root });
  if (asked.status !== 0) fail(`${revision} is no revision of this repository: ${asked.stderr ?? asked.error}`);
  const commit = String(asked.stdout).trim();
  console.log(`Building ${revision} (${commit.slice(0, 12)})…`);
  perform("git", ["archive", "--output", archive, commit], root);
  perform("tar", ["-xf", archive], folder);
  const lock = "package-lock.json";
  const isSame = readFileSync(path.join(folder, lock)).equals(readFileSync(path.join(root, lock)));
  if (isSame) symlinkSync(path.join(root, "node_modules"), path.join(folder, "node_modules"));
  else perform("npm", ["ci"], folder);
  perform(process.execPath, [path.join(folder, "scripts", "build.mjs")], folder);
  return path.join(folder, "dist", "main.js");
}

function perform(command, args, cwd) {
  const code = runCommand(command, args, { cwd });
  if (code !== 0) fail(`"${command}" ended with ${code}`);
}

function fail(message) {
  console.error(message);
  process.exit(1);
}
