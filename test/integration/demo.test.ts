// The demo, as `npm run demo` plays it, on both stores.
import { spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { expect, it } from "vitest";
import { startRedis } from "../support/redis-server.ts";

// The demo builds and compiles first when needed.
const patienceMs = 300_000;
const program = path.resolve(import.meta.dirname, "../../scripts/run-program.mjs");

async function play(...args: string[]): Promise<{ code: unknown; said: string }> {
  const child = spawn(process.execPath, [program, "examples/demo/main.ts", ...args], {
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
  "the demo refuses a store that it can't use",
  async () => {
    expect((await play("--store", "postgres://nowhere")).code).toBe(2);
  },
  patienceMs,
);
