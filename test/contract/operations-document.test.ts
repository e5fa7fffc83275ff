// docs/OPERATIONS.md tells operators only of what there is: settings, metrics, requests, commands, files.
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { expect, it } from "vitest";
import { environmentName, SERVER_SETTINGS } from "../../src/config.ts";
import { LIMIT_SETTINGS } from "../../src/limit-settings.ts";
import { createTelemetry } from "../../src/telemetry.ts";
import { startAdminServer } from "../../src/transport/admin-server.ts";

const docs = path.resolve(import.meta.dirname, "../../docs");
const text = readFileSync(path.join(docs, "OPERATIONS.md"), "utf8");
const { metrics } = createTelemetry({ level: "silent", node: "n", version: "0" });

function all(pattern: RegExp): string[] {
  return [...new Set([...text.matchAll(pattern)].map(([whole, first]) => first ?? whole))];
}

it("names settings that there are", () => {
  const there = Object.keys({ ...SERVER_SETTINGS, ...LIMIT_SETTINGS }).map(environmentName);
  const named = all(/\bAEGIS_[A-Z_]+\b/g).filter((name) => name !== "AEGIS_ADMIN_URL");
  expect(named.length).toBeGreaterThan(5);
  expect(named.filter((name) => !there.includes(name))).toEqual([]);
});

it("names metrics that there are", async () => {
  const page = (await metrics()).body;
  const named = all(/`(aegis_[a-z0-9_]+)`/g);
  expect(named.length).toBeGreaterThan(10);
  expect(named.filter((name) => !page.includes(`# TYPE ${name} `))).toEqual([]);
});

it("names requests that the admin port answers", async () => {
  const admin = await startAdminServer({
    host: "127.0.0.1",
    port: 0,
    ready: () => Promise.resolve(true),
    lineagesChanged: () => 0,
    metrics,
    operator: { isOperator: () => false, cluster: undefined as never },
  });
  const rows = [...text.matchAll(/^\| `(GET|POST) (\S+)` +\| (none|operator's) /gm)];
  expect(rows.length).toBe(6);
  for (const [, method = "", url = "", key] of rows) {
    const answer = await fetch(`http://127.0.0.1:${admin.port}${url}`, { method });
    expect(answer.status, url).toBe(key === "none" ? 200 : 401);
  }
  await admin.close();
});

it("links to files that are there", () => {
  for (const target of all(/\]\(([^)#]+)\)/g)) expect(existsSync(path.resolve(docs, target)), target).toBe(true);
});
