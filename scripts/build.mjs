// Compiles src to dist, with the Lua scripts beside their callers. Builds aside and swaps, so that a failed
// build never leaves half a dist. Plain Node; needs the installed packages.
import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { isEntry, root, runCommand } from "./run-command.mjs";

export const stamp = path.join("dist", ".built");

const luaFolder = path.join("store", "redis", "lua");

export function build() {
  const fresh = path.join(root, `.dist-${process.pid}`);
  const startedAt = new Date();
  const tsc = path.join(root, "node_modules", "typescript", "bin", "tsc");
  const code = runCommand(process.execPath, [tsc, "-p", "tsconfig.build.json", "--outDir", fresh]);
  if (code !== 0) {
    rmSync(fresh, { recursive: true, force: true });
    console.error("The build failed.");
    process.exit(code);
  }
  copyLua(fresh);
  chmodSync(path.join(fresh, "main.js"), 0o755);
  writeFileSync(path.join(fresh, path.basename(stamp)), startedAt.toISOString());
  swap(fresh, path.join(root, "dist"));
}

/** @param compiled where the sources were compiled to */
export function copyLua(compiled) {
  const from = path.join(root, "src", luaFolder);
  const to = path.join(compiled, luaFolder);
  if (!existsSync(path.dirname(to))) return; // a program without the store
  mkdirSync(to, { recursive: true });
  for (const name of readdirSync(from)) if (name.endsWith(".lua")) cpSync(path.join(from, name), path.join(to, name));
}

function swap(fresh, dist) {
  const old = `${fresh}-old`;
  if (existsSync(dist)) renameSync(dist, old);
  renameSync(fresh, dist);
  rmSync(old, { recursive: true, force: true });
}

if (isEntry(import.meta.url)) build();
