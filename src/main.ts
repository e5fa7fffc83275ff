#!/usr/bin/env node
// The command `aegis`: reads the settings, starts the server and stops it on a signal. Prints no secret.
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { startApp, type App } from "./app.ts";
import type { Config } from "./config.ts";
import { loadConfig } from "./load-config.ts";
import { findDeploymentSecrets } from "./services/deployment-secrets.ts";
import { createTelemetry, type Telemetry } from "./telemetry.ts";

const EXIT_USAGE = 2;
const EXIT_REFUSED = 1;

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
    stopOnSignals(app, telemetry);
  } catch (error) {
    telemetry.startRefused(error);
    process.stderr.write(`aegis: ${error instanceof Error ? error.message : "could not start"}\n`);
    process.exitCode = EXIT_REFUSED;
    // Whatever was opened must not keep a server alive that does not serve.
    setTimeout(() => process.exit(EXIT_REFUSED), 1_000).unref();
  }
}

function stopOnSignals(app: App, telemetry: Telemetry): void {
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.on(signal, () => {
      telemetry.stopping(signal);
      app.stop().then(
        () => {
          telemetry.stopped();
          process.exit(0);
        },
        (error: unknown) => {
          telemetry.bug("stop", error);
          process.exit(EXIT_REFUSED);
        },
      );
    });
  }
}

async function main(argv: readonly string[]): Promise<void> {
  const [command, ...flags] = argv;
  if (command !== "serve") {
    process.stderr.write("usage: aegis serve [flags]   (aegis serve --help)\n");
    process.exitCode = EXIT_USAGE;
    return;
  }
  const loaded = loadConfig({ flags, environment: process.env, readFile: (path) => readFileSync(path, "utf8") });
  if (loaded.kind === "help") process.stdout.write(loaded.text);
  else if (loaded.kind === "config") await serve(loaded.config);
  else {
    process.stderr.write(`aegis: ${loaded.message}\n`);
    process.exitCode = EXIT_USAGE;
  }
}

await main(process.argv.slice(2));
