#!/usr/bin/env node
// The command `aegis`: serve (until a signal or an operator ends it), backup, restore, and what operators ask of a
// running server. Loads what its command needs. Prints no secret.
import { readFileSync } from "node:fs";
import { OPERATOR_USAGE, runOperatorCommand, type OperatorCommand } from "./cli/operator-command.ts";
import { EXIT_REFUSED, EXIT_USAGE, fail } from "./exit.ts";
import { StoreRefused, StoreUnavailable } from "./store/store.ts";

const USAGE = `usage:
  aegis serve [flags]           the server; aegis serve --help lists the flags
  aegis backup FOLDER FILE      copies the embedded store's folder, while it serves or not
  aegis restore FILE FOLDER     makes a folder from a backup: new lineages, no one-time KeyPackages
${OPERATOR_USAGE}`;

/** Both work on the embedded store's folder; a backup may be taken while a server serves from it. */
async function copy(
  run: (source: string, target: string) => Promise<void>,
  [source, target, ...more]: readonly string[],
): Promise<void> {
  if (source === undefined || target === undefined || more.length > 0) return fail(USAGE, EXIT_USAGE);
  try {
    await run(source, target);
  } catch (error) {
    // The system's own, of a file or a disk, say what and where.
    const isOfSystem = error instanceof Error && "syscall" in error;
    if (!(error instanceof StoreRefused || error instanceof StoreUnavailable || isOfSystem)) throw error;
    fail(error.message, EXIT_REFUSED);
  }
}

async function ask(command: OperatorCommand, words: readonly string[]): Promise<void> {
  const sources = { environment: process.env, readFile: (path: string) => readFileSync(path, "utf8") };
  const { code, output, message } = await runOperatorCommand(command, words, sources);
  if (output !== undefined) process.stdout.write(output);
  if (message !== undefined) fail(message, code);
}

async function main([command, ...rest]: readonly string[]): Promise<void> {
  // `serve` has a text of its own.
  const asksForHelp = [command, ...rest].some((word) => word === "--help" || word === "-h");
  if (command === "help" || (command !== "serve" && asksForHelp)) {
    process.stdout.write(`${USAGE}\n`);
    return;
  }
  switch (command) {
    case "serve":
      return (await import("./serve.ts")).runServe(rest);
    case "backup":
      return copy((await import("./store/lmdb/backup.ts")).backupLmdb, rest);
    case "restore":
      return copy((await import("./store/lmdb/backup.ts")).restoreLmdb, rest);
    case "nodes":
    case "shards":
    case "drain":
      return ask(command, rest);
    default:
      fail(USAGE, EXIT_USAGE);
  }
}

await main(process.argv.slice(2));
