// The real server with faults switched on by name (AEGIS_TEST_SABOTAGE, names with commas between), for tests that
// show that they would notice. SIGUSR2 blocks its event loop for AEGIS_TEST_BLOCK_MS; AEGIS_TEST_STRETCHES=1 has it say
// for how long it blocked the loop itself. Never part of a build: the command `aegis` can't switch anything on.
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { ActorHost } from "../../dist/actors/actor-host.js";
import { startApp } from "../../dist/app.js";
import { loadConfig } from "../../dist/load-config.js";
import { findDeploymentSecrets } from "../../dist/services/deployment-secrets.js";
import { createTelemetry } from "../../dist/telemetry.js";

const loaded = loadConfig({ flags: [], environment: process.env, readFile: () => "{}" });
if (loaded.kind !== "config") throw new Error(`the test's settings are wrong: ${loaded.message ?? ""}`);
const { config } = loaded;
const nodeId = randomUUID();
const secrets = await findDeploymentSecrets({
  dataFolder: config.store.kind === "lmdb" ? config.store.path : undefined,
  secret: config.secret,
  operatorKey: config.operatorKey,
});
const telemetry = createTelemetry({ level: config.logLevel, node: nodeId, version: "0" });
const sabotage = new Set((process.env["AEGIS_TEST_SABOTAGE"] ?? "").split(",").filter((name) => name !== ""));
// An owner that is asked for a shard and does nothing of the kind, nor ever answers.
if (sabotage.has("handOverIgnored")) ActorHost.prototype.release = () => new Promise(() => undefined);
const app = await startApp({ config, secrets, telemetry, version: "0", nodeId, sabotage });
process.on("SIGTERM", () => {
  app.stop().then(() => process.exit(0));
});
process.on("SIGUSR2", () => {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, Number(process.env["AEGIS_TEST_BLOCK_MS"]));
});

const STRETCH_LOOK_MS = 5;
const STRETCH_SAID_MS = 20;
if (process.env["AEGIS_TEST_STRETCHES"] === "1") {
  // Processor time of this thread, in nanoseconds: what a busy machine does to it does not count.
  const threadMs = () => Number(readFileSync("/proc/thread-self/schedstat", "latin1").split(" ")[0]) / 1e6;
  let before = threadMs();
  setInterval(() => {
    const now = threadMs();
    if (now - before > STRETCH_SAID_MS) console.log(`stretch of ${(now - before).toFixed(0)} ms`);
    before = now;
  }, STRETCH_LOOK_MS).unref();
}
