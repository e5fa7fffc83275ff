import { once } from "node:events";
import { connect } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { createTelemetry } from "../../src/telemetry.ts";
import { startAdminServer, type AdminServer } from "../../src/transport/admin-server.ts";
import type { ClusterOversight } from "../../src/transport/operator-pages.ts";

const OPERATOR = `aegis_operator_${"k".repeat(32)}`;
const APPLICATION = `aegis_application_${"k".repeat(32)}`;

describe("the admin port", () => {
  const started: AdminServer[] = [];
  afterEach(async () => {
    await Promise.all(started.splice(0).map((server) => server.close()));
  });

  async function start(ready: () => Promise<boolean>, lineagesChanged = () => 0): Promise<string> {
    const { metrics } = createTelemetry({ level: "silent", node: "n", version: "0" });
    const cluster: ClusterOversight = {
      nodes: () => Promise.resolve({ answeredBy: "n", shardCount: 1, unowned: 1, nodes: [] }),
      shards: () => Promise.reject(new Error("the store is away")),
      drain: (nodeId) => Promise.resolve(nodeId === "n" ? "lastNode" : "unknownNode"),
    };
    const operator = { isOperator: (token: string) => token === OPERATOR, cluster };
    const server = await startAdminServer({ host: "127.0.0.1", port: 0, ready, lineagesChanged, metrics, operator });
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

  it("[F17] serves on after a loss of history, and says so to whoever probes", async () => {
    let changed = 0;
    const base = await start(
      () => Promise.resolve(true),
      () => changed,
    );
    expect(await (await fetch(`${base}/readyz`)).text()).toBe("ready\n");
    changed = 3;
    const probe = await fetch(`${base}/readyz`);
    expect([probe.status, await probe.text()]).toEqual([200, expect.stringMatching(/^ready; .*lost.*: 3\n$/)]);
  });

  it("[G10] lets go of who never ends its headers: enough of them keep every probe out", async () => {
    const base = await start(() => Promise.resolve(true));
    const slow = connect(Number(new URL(base).port), "127.0.0.1").resume();
    await once(slow, "connect");
    slow.write("GET /healthz HTTP/1.1\r\n");
    await once(slow, "close", { signal: AbortSignal.timeout(12_000) });
  }, 15_000);

  it("has nothing else", async () => {
    const base = await start(() => Promise.resolve(true));
    expect((await fetch(`${base}/`)).status).toBe(404);
    expect((await fetch(`${base}/healthz`, { method: "POST" })).status).toBe(405);
  });

  it("tells of the nodes, and drains one, for the operator's key alone", async () => {
    const base = await start(() => Promise.resolve(true));
    const ask = async (method: string, path: string, token?: string) => {
      const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
      const answer = await fetch(`${base}${path}`, { method, headers });
      return { status: answer.status, body: (await answer.json()) as object };
    };
    for (const [method, path] of [
      ["GET", "/v1/nodes"],
      ["GET", "/v1/shards"],
      ["POST", "/v1/nodes/n/drain"],
    ] as const) {
      for (const token of [undefined, APPLICATION, `${OPERATOR}x`, "operator"]) {
        const { status, body } = await ask(method, path, token);
        expect(status).toBe(401);
        expect(body).toMatchObject({ error: { reason: "UNAUTHORIZED" } });
      }
    }
    expect(await ask("GET", "/v1/nodes", OPERATOR)).toMatchObject({ status: 200, body: { answeredBy: "n" } });
    expect(await ask("GET", "/v1/shards", OPERATOR)).toMatchObject({ status: 503 });
    expect(await ask("POST", "/v1/nodes", OPERATOR)).toMatchObject({ status: 405 });
    expect(await ask("GET", "/v1/nodes/n/drain", OPERATOR)).toMatchObject({ status: 405 });
    const last = await ask("POST", "/v1/nodes/n/drain", OPERATOR);
    expect(last).toMatchObject({ status: 409, body: { error: { reason: "LAST_NODE" } } });
    const unknown = await ask("POST", "/v1/nodes/m/drain", OPERATOR);
    expect(unknown).toMatchObject({ status: 404, body: { error: { reason: "NODE_NOT_FOUND" } } });
  });
});
