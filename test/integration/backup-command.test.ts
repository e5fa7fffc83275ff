// `aegis backup` while the server serves, `aegis restore` into another folder: what was acknowledged is there,
// under new lineages, and no one-time KeyPackage is (GUARANTEES rule 10).
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { connect } from "../../src/client/client.ts";
import { createDevice } from "../support/devices.ts";
import { ServerProcess } from "../support/server-process.ts";

const root = path.join(import.meta.dirname, "../..");
const folder = mkdtempSync(path.join(tmpdir(), "aegis-backup-"));
const servers: ServerProcess[] = [];
beforeEach(() => {
  mkdirSync(folder, { recursive: true });
});
afterEach(async () => {
  for (const server of servers) await server.dispose();
  rmSync(folder, { recursive: true, force: true });
});

function aegis(...args: string[]): {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
} {
  const { status, stdout, stderr } = spawnSync(process.execPath, [path.join(root, "dist/main.js"), ...args], {
    encoding: "utf8",
  });
  return { status, stdout, stderr };
}

test("[G2] [G3] a backup taken while serving and restored has every client, new lineages and no one-time package", async () => {
  const server = await ServerProcess.start();
  servers.push(server);
  const operator = await connect({ url: server.url, token: server.operatorToken });
  const { key } = await operator.application.create({ name: "backed-up" });
  const client = await connect({ url: server.url, token: key.secret });
  const { clientId, mls } = await createDevice(client, "alice", { tags: ["kept"] });
  const packages = await Promise.all([mls.createKeyPackage(), mls.createKeyPackage()]);
  const lastResort = await mls.createKeyPackage({ lastResort: true });
  const keyPackages = packages.map(({ message }) => message);
  await client.keyPool.publish({ clientId, keyPackages, lastResort: lastResort.message });
  const before = await client.stream.read({ kind: "client", id: clientId });
  const file = path.join(folder, "backup");
  expect(aegis("backup", server.dataFolder, file)).toMatchObject({ status: 0 });
  await Promise.all([operator.close(), client.close()]);
  await server.stop();

  const restored = path.join(folder, "restored");
  expect(aegis("restore", file, restored)).toMatchObject({ status: 0 });
  expect(aegis("restore", file, restored).stderr).toMatch(/aegis: /);
  // The secrets are the operator's to carry over: without them no key is known.
  const secret = (name: string) => path.join(server.dataFolder, name);
  for (const name of ["secret", "operator-key"]) spawnSync("cp", ["-p", secret(name), path.join(restored, name)]);
  const again = await ServerProcess.start({ env: { AEGIS_STORE: `lmdb:${restored}`, AEGIS_OPERATOR_KEY: "" } });
  servers.push(again);
  const after = await connect({ url: again.url, token: key.secret });
  const found = await after.identity.find({ all: ["kept"] });
  expect(found.clients.map((record) => record.clientId)).toEqual([clientId]);
  const claimed = await after.keyPool.claim({ targets: [{ clientId }] });
  expect(claimed.claimed).toMatchObject([{ lastResort: true }]);
  const stream = await after.stream.read({ kind: "client", id: clientId, after: before.position });
  expect(stream).toMatchObject({ recovered: false, reason: "LINEAGE_CHANGED" });
  expect(stream.position.lineage).not.toBe(before.position.lineage);
  await after.close();
});

test("who asks for help gets it, as an answer and not as a fault", () => {
  for (const words of [["--help"], ["help"], ["nodes", "--help"], ["backup", "-h"]]) {
    const usage = expect.stringMatching(/^usage:/) as string;
    expect(aegis(...words), words.join(" ")).toEqual({ status: 0, stdout: usage, stderr: "" });
  }
});

test("wrong words are answered with the usage", () => {
  expect(aegis("backup", "one")).toMatchObject({ status: 2, stderr: expect.stringContaining("usage") as string });
  expect(aegis("nonsense")).toMatchObject({ status: 2 });
});

test("[F18] what can't be copied, or stands in the place of a folder, is refused in one line that names it", () => {
  const file = path.join(folder, "plain");
  writeFileSync(file, "no database");
  const store = `lmdb:${file}`;
  const missing = path.join(folder, "missing");
  for (const [words, why] of [
    [["restore", missing, path.join(folder, "new")], `no such file or directory, open '${missing}'`],
    [["restore", folder, path.join(folder, "new")], "the data file is no file"],
    [["restore", file, path.join(folder, "new")], "no database that this version reads"],
    [["backup", missing, path.join(folder, "copy")], "no data folder at that path"],
    [["serve", "--store", store, "--port", "0", "--admin-port", "0"], `${file} can't be made a data folder`],
  ] as const) {
    const { status, stderr } = aegis(...words);
    expect({ status, lines: stderr.split("\n").length }, words.join(" ")).toEqual({ status: 1, lines: 2 });
    expect(stderr).toContain(why);
  }
  expect(readdirSync(folder)).toEqual(["plain"]);
});

test("[F18] a data folder whose file was cut is refused a backup in one line, and leaves nothing behind", async () => {
  const server = await ServerProcess.start();
  servers.push(server);
  const operator = await connect({ url: server.url, token: server.operatorToken });
  await operator.application.create({ name: "cut" });
  await operator.close();
  await server.kill9();
  const whole = readFileSync(path.join(server.dataFolder, "data.mdb"));
  const copy = path.join(folder, "copy");
  for (const length of [30, 4096, 9000, whole.length >> 1, whole.length - 4096]) {
    writeFileSync(path.join(server.dataFolder, "data.mdb"), whole.subarray(0, length));
    const { status, stderr } = aegis("backup", server.dataFolder, copy);
    // The pages at its end may be free: the rest is then all there is. In its first three pages no database has room.
    if (length > 9000 && status === 0) {
      rmSync(copy, { recursive: true });
      continue;
    }
    expect(status, String(length)).toBe(1);
    expect(stderr).toMatch(/^aegis: the data file is (cut short|no database that this version reads)\n$/);
  }
  expect(readdirSync(folder)).toEqual([]);
  writeFileSync(path.join(server.dataFolder, "data.mdb"), whole);
  expect(aegis("backup", server.dataFolder, copy)).toMatchObject({ status: 0 });
});
