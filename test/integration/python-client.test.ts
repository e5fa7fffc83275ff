// A client in another language, written from docs/PROTOCOL.md alone, does steps 1 to 4 against the real server.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Device } from "../../examples/demo/device.ts";
import { ServerProcess } from "../support/server-process.ts";

const script = path.join(import.meta.dirname, "python/steps_one_to_four.py");
const handles = ["alice/phone", "bob/phone", "carol/phone"];
const packagesEach = 4;

let server: ServerProcess;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), "aegis-python-"));
  server = await ServerProcess.start();
}, 90_000);

afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  await server.dispose();
});

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

it("a client in Python defines an application, manages identities and key pools, and fetches keys", async () => {
  const keyPackages: Record<string, string[]> = {};
  const lastResort: Record<string, string> = {};
  for (const handle of handles) {
    const [last, ...oneTime] = await (await Device.create(handle)).makeKeyPackages(1 + packagesEach);
    keyPackages[handle] = oneTime.map(hex);
    lastResort[handle] = hex(last!);
  }
  const given = path.join(folder, "given.json");
  const { url, operatorToken } = server;
  writeFileSync(given, JSON.stringify({ url, operatorToken, keyPackages, lastResort }), { mode: 0o600 });

  // Debian's own python3, for Debian's websockets and msgpack: `npm test` installs them or says what to install.
  const done = spawnSync("/usr/bin/python3", ["-B", script, given], { encoding: "utf8", timeout: 60_000 });
  expect(done.error).toBeUndefined();
  expect(done.status, `${done.stdout}${done.stderr}\n${server.output}`).toBe(0);
  expect(done.stdout.trim().split("\n")).toHaveLength(4);
});
