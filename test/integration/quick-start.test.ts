// The sample in the README is a program, and it runs.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";
import { expect, it } from "vitest";
import { ServerProcess } from "../support/server-process.ts";

const root = path.resolve(import.meta.dirname, "../..");
const sample = "examples/quick-start.ts";

it("the README shows the sample as it is", () => {
  const [, ...code] = readFileSync(path.join(root, sample), "utf8").split("\n");
  expect(readFileSync(path.join(root, "README.md"), "utf8")).toContain(`\`\`\`ts\n${code.join("\n")}\`\`\``);
});

it("the sample runs and prints what it says", async () => {
  const server = await ServerProcess.start();
  try {
    const env = {
      ...process.env,
      AEGIS_URL: `ws://127.0.0.1:${server.port}`,
      AEGIS_OPERATOR_KEY: server.operatorToken,
    };
    const program = path.join(root, "scripts/run-program.mjs");
    const done = spawnSync(process.execPath, [program, sample], { env, encoding: "utf8" });
    expect(done.status, `${done.stdout}${done.stderr}`).toBe(0);
    expect(done.stdout.trim().split("\n").at(-1)).toBe("identity.updated");
  } finally {
    await server.dispose();
  }
}, 300_000);
