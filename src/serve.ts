// `aegis serve`: reads the settings, starts the node and ends it when a signal or an operator says so. Loaded only for
// that command: what operators ask of a running server answers sooner without it.
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { startApp, type App } from "./app.ts";
import type { Config } from "./config.ts";
import { EXIT_REFUSED, EXIT_USAGE, fail } from "./exit.ts";
import { loadConfig } from "./load-config.ts";
import { findDeploymentSecrets } from "./services/deployment-secrets.ts";
import { makeFolder } from "./store/lmdb/folder-lock.ts";
import { createTelemetry, type Telemetry } from "./telemetry.ts";

export async function runServe(flags: readonly string[]): Promise<void> {
  const loaded = loadConfig({ flags, environment: process.env, readFile: (path) => readFileSync(path, "utf8") });
  if (loaded.kind === "help") process.stdout.write(loaded.text);
  else if (loaded.kind === "config") await serve(loaded.config);
  else fail(loaded.message, EXIT_USAGE);
}

function version(): string {
  const file = readFileSync(new URL("../package.json", import.meta.url), "utf8");
  return (JSON.parse(file) as { version: string }).version;
}

async function serve(config: Config): Promise<void> {
  const nodeId = randomUUID();
  const telemetry = createTelemetry({ level: config.logLevel, node: nodeId, version: version() });
  try {
    if (config.store.kind === "lmdb") makeFolder(config.store.path);
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
