// The samples in the README and in docs/IDENTITY.md are programs, and they run.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, it } from "vitest";
import { CertificateWorld } from "../support/certificates.ts";
import { ServerProcess } from "../support/server-process.ts";

const root = path.resolve(import.meta.dirname, "../..");

const samples = [
  { page: "README.md", sample: "examples/quick-start.ts", prints: "identity.updated" },
  { page: "docs/IDENTITY.md", sample: "examples/certificates.ts", prints: "false" },
] as const;

it.each(samples)("$page shows its sample as it is", ({ page, sample }) => {
  const [, ...code] = readFileSync(path.join(root, sample), "utf8").split("\n");
  expect(readFileSync(path.join(root, page), "utf8")).toContain(`\`\`\`ts\n${code.join("\n")}\`\`\``);
});

it.each(samples)(
  "$sample runs and prints what it says",
  async ({ sample, prints }) => {
    const server = await ServerProcess.start();
    const folder = mkdtempSync(path.join(tmpdir(), "aegis-sample-"));
    try {
      const rootFile = path.join(folder, "root.der");
      writeFileSync(rootFile, new CertificateWorld({ root: { ca: true } }, Date.now()).get("root").der);
      const env = {
        ...process.env,
        AEGIS_URL: `ws://127.0.0.1:${server.port}`,
        AEGIS_OPERATOR_KEY: server.operatorToken,
        ROOT_DER: rootFile,
      };
      const program = path.join(root, "scripts/run-program.mjs");
      const done = spawnSync(process.execPath, [program, sample], { env, encoding: "utf8" });
      expect(done.status, `${done.stdout}${done.stderr}`).toBe(0);
      expect(done.stdout.trim().split("\n").at(-1)).toBe(prints);
    } finally {
      rmSync(folder, { recursive: true, force: true });
      await server.dispose();
    }
  },
  300_000,
);
