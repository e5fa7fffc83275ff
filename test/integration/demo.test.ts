// The demo, as `npm run demo` plays it, on both stores.
import { spawnSync } from "node:child_process";
import path from "node:path";
import { expect, it } from "vitest";

const demo = path.resolve(import.meta.dirname, "../../scripts/demo.mjs");

function play(...args: string[]) {
  return spawnSync(process.execPath, [demo, ...args], { encoding: "utf8", timeout: 110_000 });
}

it("[G1] [G3] the demo's members agree in the end, on the embedded store", () => {
  const { status, stdout, stderr } = play();
  expect(status, `${stdout}${stderr}`).toBe(0);
  expect(stdout).toContain("All members agree.");
});

it("the demo refuses a store that it can't use", () => {
  expect(play("--store", "postgres://nowhere").status).toBe(2);
});
