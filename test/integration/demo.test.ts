// The demo, as `npm run demo` plays it: on both stores, on one node and several, and on a deployment that is there.
import { spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { expect, it } from "vitest";
import { startRedis } from "../support/redis-server.ts";
import { SentinelDeployment } from "../support/sentinel-deployment.ts";
import { ServerProcess } from "../support/server-process.ts";

// The demo builds and compiles first when needed.
const patienceMs = 300_000;
const program = path.resolve(import.meta.dirname, "../../scripts/run-program.mjs");

interface Played {
  readonly code: unknown;
  readonly said: string;
}

function play(...args: string[]): Promise<Played> {
  return playWith({}, ...args);
}

async function playWith(env: Readonly<Record<string, string>>, ...args: string[]): Promise<Played> {
  const child = spawn(process.execPath, [program, "examples/demo/main.ts", ...args], {
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let said = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (text: Buffer) => (said += text.toString()));
  const [code] = (await once(child, "close")) as [unknown];
  return { code, said };
}

it(
  "[G1] [G3] [M2] the demo's members agree in the end, a broken commit refused on the way, on the embedded store",
  async () => {
    const { code, said } = await play();
    expect(code, said).toBe(0);
    expect(said).toContain("COMMIT_INVALID, rule PATH_PARENT_HASH, RFC 9420 §7.9.2");
    expect(said).toContain("All members agree.");
  },
  patienceMs,
);

it(
  "[G1] [G3] the demo's members agree in the end, on Redis",
  async () => {
    const redis = await startRedis();
    try {
      const { code, said } = await play("--store", redis.url);
      expect(code, said).toBe(0);
      expect(said).toContain("All members agree.");
    } finally {
      await redis.stop();
    }
  },
  patienceMs,
);

it(
  "[F02] [F03] [G3] the demo's members agree in the end, on three nodes of which one is killed in the middle",
  async () => {
    const redis = await startRedis();
    try {
      const { code, said } = await play("--store", redis.url, "--nodes", "3");
      expect(code, said).toBe(0);
      expect(said).toContain("is killed (kill -9)");
      expect(said).toMatch(/took over what it owned: epoch \d+ begins without it/);
      expect(said).toContain("All members agree.");
    } finally {
      await redis.stop();
    }
  },
  patienceMs,
);

it(
  "[G1] [G3] the demo's members agree in the end, on a Redis that Sentinel knows",
  async () => {
    const deployment = await SentinelDeployment.start();
    try {
      const { code, said } = await play("--store", deployment.url, "--nodes", "3");
      expect(code, said).toBe(0);
      expect(said).toContain("All members agree.");
    } finally {
      await deployment.stop();
    }
  },
  patienceMs,
);

it(
  "the demo runs on a deployment that is there already",
  async () => {
    const server = await ServerProcess.start();
    try {
      const { code, said } = await playWith({ AEGIS_OPERATOR_KEY: server.operatorToken }, "--url", server.url);
      expect(code, said).toBe(0);
      expect(said).toContain("All members agree.");
      expect(said).not.toContain("kill");
    } finally {
      await server.dispose();
    }
  },
  patienceMs,
);

it(
  "the demo refuses what it can't use",
  async () => {
    expect((await play("--store", "postgres://nowhere")).code).toBe(2);
    expect((await play("--nodes", "3")).code).toBe(2);
    expect((await playWith({ AEGIS_OPERATOR_KEY: "" }, "--url", "ws://127.0.0.1:1")).code).toBe(2);
  },
  patienceMs,
);
