import { afterEach, describe, expect, it } from "vitest";
import { createTelemetry } from "../../src/telemetry.ts";
import { startAdminServer, type AdminServer } from "../../src/transport/admin-server.ts";

describe("the admin port", () => {
  const started: AdminServer[] = [];
  afterEach(async () => {
    await Promise.all(started.splice(0).map((server) => server.close()));
  });

  async function start(ready: () => Promise<boolean>): Promise<string> {
    const { metrics } = createTelemetry({ level: "silent", node: "n", version: "0" });
    const server = await startAdminServer({ host: "127.0.0.1", port: 0, ready, metrics });
    started.push(server);
    return `http://127.0.0.1:${String(server.port)}`;
  }

  it("says that the process lives, whether it is ready, and what it counts", async () => {
    let isReady = true;
    const base = await start(() => Promise.resolve(isReady));
    expect((await fetch(`${base}/healthz`)).status).toBe(200);
    expect((await fetch(`${base}/readyz?verbose`)).status).toBe(200);
    isReady = false;
    expect((await fetch(`${base}/readyz`)).status).toBe(503);
    expect((await fetch(`${base}/healthz`)).status).toBe(200);
    const metrics = await fetch(`${base}/metrics`);
    expect(metrics.headers.get("content-type")).toContain("text/plain");
    expect(await metrics.text()).toContain("aegis_sessions 0");
  });

  it("is not ready when it can't be told", async () => {
    const base = await start(() => Promise.reject(new Error("the store is away")));
    expect((await fetch(`${base}/readyz`)).status).toBe(503);
    const hanging = await start(() => new Promise(() => undefined));
    expect((await fetch(`${hanging}/readyz`)).status).toBe(503);
  });

  it("has nothing else", async () => {
    const base = await start(() => Promise.resolve(true));
    expect((await fetch(`${base}/`)).status).toBe(404);
    expect((await fetch(`${base}/healthz`, { method: "POST" })).status).toBe(405);
  });
});
