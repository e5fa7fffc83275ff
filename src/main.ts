#!/usr/bin/env node
// The command `aegis`: serve (until a signal or an operator ends it), backup, restore, and what operators ask of a
// running server. Prints no secret.
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { startApp, type App } from "./app.ts";
import { OPERATOR_USAGE, runOperatorCommand, type OperatorCommand } from "./cli/operator-command.ts";
import type { Config } from "./config.ts";
import { loadConfig } from "./load-config.ts";
import { findDeploymentSecrets } from "./services/deployment-secrets.ts";
import { backupLmdb, restoreLmdb } from "./store/lmdb/backup.ts";
import { StoreRefused, StoreUnavailable } from "./store/store.ts";
import { createTelemetry, type Telemetry } from "./telemetry.ts";

const EXIT_USAGE = 2;
const EXIT_REFUSED = 1;
const USAGE = `usage:
  aegis serve [flags]           the server; aegis serve --help lists the flags
  aegis backup FOLDER FILE      copies the embedded store's folder, while it serves or not
  aegis restore FILE FOLDER     makes a folder from a backup: new lineages, no one-time KeyPackages
${OPERATOR_USAGE}`;

function version(): string {
  const file = readFileSync(new URL("../package.json", import.meta.url), "utf8");
  return (JSON.parse(file) as { version: string }).version;
}

async function serve(config: Config): Promise<void> {
  const nodeId = randomUUID();
  const telemetry = createTelemetry({ level: config.logLevel, node: nodeId, version: version() });
  try {
    const secrets = await findDeploymentSecrets({
      dataFolder: config.store.kind === "lmdb" ? config.store.path : undefined,
      secret: config.secret,
      operatorKey: config.operatorKey,
    });
    for (const { what, path } of secrets.made) telemetry.secretKept(what, path);
    const app = await startApp({ config, secrets, telemetry, version: version(), nodeId });
    const { host, durability, store } = config;
    telemetry.serving({ host, port: app.port, adminPort: app.adminPort, store: store.kind, durability });
    endWhenAsked(app, telemetry);
  } catch (error) {
    telemetry.startRefused(error);
    fail(error instanceof Error ? error.message : "could not start", EXIT_REFUSED);
    // Whatever was opened must not keep a server alive that does not serve.
    setTimeout(() => process.exit(EXIT_REFUSED), 1_000).unref();
  }
}

/** A signal, or an operator who drains this node. */
function endWhenAsked(app: App, telemetry: Telemetry): void {
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.on(signal, () => {
      telemetry.stopping(signal);
      // `stopped` hears of a failure.
      app.stop().catch(() => undefined);
    });
  }
  app.stopped.then(
    () => {
      telemetry.stopped();
      process.exit(0);
    },
    (error: unknown) => {
      telemetry.bug("stop", error);
      process.exit(EXIT_REFUSED);
    },
  );
}

async function runServe(flags: readonly string[]): Promise<void> {
  const loaded = loadConfig({ flags, environment: process.env, readFile: (path) => readFileSync(path, "utf8") });
  if (loaded.kind === "help") process.stdout.write(loaded.text);
  else if (loaded.kind === "config") await serve(loaded.config);
  else fail(loaded.message, EXIT_USAGE);
}

/** Both work on the embedded store's folder; a backup may be taken while a server serves from it. */
async function copy(
  run: (source: string, target: string) => Promise<void>,
  [source, target, ...more]: readonly string[],
): Promise<void> {
  if (source === undefined || target === undefined || more.length > 0) return fail(USAGE, EXIT_USAGE);
  try {
    await run(source, target);
  } catch (error) {
    if (!(error instanceof StoreRefused || error instanceof StoreUnavailable)) throw error;
    fail(error.message, EXIT_REFUSED);
  }
}

async function ask(command: OperatorCommand, words: readonly string[]): Promise<void> {
  const sources = { environment: process.env, readFile: (path: string) => readFileSync(path, "utf8") };
  const { code, output, message } = await runOperatorCommand(command, words, sources);
  if (output !== undefined) process.stdout.write(output);
  if (message !== undefined) fail(message, code);
}

function fail(message: string, code: number): void {
  process.stderr.write(`aegis: ${message}\n`);
  process.exitCode = code;
}

async function main([command, ...rest]: readonly string[]): Promise<void> {
  switch (command) {
    case "serve":
      return runServe(rest);
    case "backup":
      return copy(backupLmdb, rest);
    case "restore":
      return copy(restoreLmdb, rest);
    case "nodes":
    case "shards":
    case "drain":
      return ask(command, rest);
    default:
      fail(USAGE, EXIT_USAGE);
  }
}

await main(process.argv.slice(2));
