import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startApp, type App } from "../../src/app.ts";
import { loadConfig } from "../../src/load-config.ts";
import { encodeBasicCredential } from "../../src/mls/credential.ts";
import { encodeAck, encodeCredit } from "../../src/protocol/frames.ts";
import { findDeploymentSecrets } from "../../src/services/deployment-secrets.ts";
import { createTelemetry } from "../../src/telemetry.ts";
import { refusedUpgrade, WireClient } from "../support/wire-client.ts";

const OPERATOR = "aegis_operator_0123456789abcdef0123456789abcdef";

interface Started {
  readonly app: App;
  readonly folder: string;
}

class Server {
  #started: Started | undefined;

  get port(): number {
    return this.#now().app.port;
  }

  async start(): Promise<void> {
    const folder = await mkdtemp(join(tmpdir(), "aegis-streams-"));
    const environment = {
      AEGIS_PORT: "0",
      AEGIS_ADMIN_PORT: "0",
      AEGIS_STORE: `lmdb:${folder}`,
      AEGIS_DRAIN_MS: "200",
      AEGIS_OPERATOR_KEY: OPERATOR,
    };
    const loaded = loadConfig({ flags: [], environment, readFile: () => "" });
    if (loaded.kind !== "config") throw new Error("no config");
    const { config } = loaded;
    const secrets = await findDeploymentSecrets({
      dataFolder: folder,
      secret: undefined,
      operatorKey: config.operatorKey,
    });
    const telemetry = createTelemetry({ level: "silent", node: "n", version: "0" });
    this.#started = { folder, app: await startApp({ config, secrets, telemetry, version: "0.0.0", nodeId: "n" }) };
  }

  async stop(): Promise<void> {
    const { app, folder } = this.#now();
    await app.stop();
    await rm(folder, { recursive: true });
  }

  #now(): Started {
    if (this.#started === undefined) throw new Error("not started");
    return this.#started;
  }
}

interface Application {
  readonly applicationId: string;
  readonly key: { readonly keyId: string; readonly secret: string };
}

const server = new Server();
beforeAll(() => server.start());
afterAll(() => server.stop());

async function result<T>(client: WireClient, method: string, params: object): Promise<T> {
  const { error, result: value } = await client.call(method, params);
  if (error !== undefined) throw new Error(`${method}: ${error.reason} ${error.message}`);
  return value as T;
}

async function newApplication(): Promise<{ operator: WireClient; application: Application; client: WireClient }> {
  const operator = await WireClient.connect(server.port, OPERATOR);
  const application = await result<Application>(operator, "application.create", { name: "a" });
  return { operator, application, client: await WireClient.connect(server.port, application.key.secret) };
}

function identityOf(name: string): Uint8Array {
  return encodeBasicCredential(new TextEncoder().encode(name));
}

async function newClient(client: WireClient, name: string): Promise<string> {
  return (await result<{ clientId: string }>(client, "identity.create", { clientIdentity: identityOf(name) })).clientId;
}

async function rename(client: WireClient, clientId: string, name: string): Promise<void> {
  await result(client, "identity.update", { clientId, clientIdentity: identityOf(name) });
}

async function attach(
  client: WireClient,
  clientId: string,
  credit: object = {},
): Promise<{ subscription: number; stream: number; offset: number }> {
  const { subscription } = await result<{ subscription: number }>(client, "subscription.open", credit);
  const { streams } = await result<{ streams: { stream: number; position: { offset: number } }[] }>(
    client,
    "subscription.add",
    {
      subscription,
      streams: [{ kind: "client", id: clientId }],
    },
  );
  const [added] = streams;
  if (added?.position === undefined) throw new Error(`not attached: ${JSON.stringify(added)}`);
  return { subscription, stream: added.stream, offset: added.position.offset };
}

describe("an inbox on the whole server", () => {
  it("[S7] keeps what is not acknowledged, and begins after it in the next session", async () => {
    const { client, application, operator } = await newApplication();
    const clientId = await newClient(client, "alice-1");
    const { subscription, stream } = await attach(client, clientId);
    for (const name of ["alice-2", "alice-3", "alice-4"]) await rename(client, clientId, name);
    await client.until(() => client.offsets(stream).length === 3, "three events");
    expect(client.of("event")[0]?.events[0]).toMatchObject({
      offset: 1,
      type: "identity.updated",
      body: { version: 2 },
    });
    client.send(encodeAck(subscription, [{ stream, offset: 2 }]));
    const next = await WireClient.connect(server.port, application.key.secret);
    await client.until(() => client.of("event").length > 0, "events");
    let again = await attach(next, clientId);
    for (let turn = 0; again.offset < 2 && turn < 100; turn += 1) again = await attach(next, clientId);
    expect(again.offset).toBe(2);
    await next.until(() => next.offsets(again.stream).at(-1) === 3, "the third event");
    expect(next.offsets(again.stream)).toEqual([3]);
    for (const { socket } of [client, next, operator]) socket.terminate();
  });

  it("[S5] waits in the store for credit", async () => {
    const { client, operator } = await newApplication();
    const clientId = await newClient(client, "bob-1");
    const { subscription, stream } = await attach(client, clientId, { messages: 1, bytes: 100_000 });
    for (let round = 2; round < 12; round += 1) await rename(client, clientId, `bob-${String(round)}`);
    expect(client.offsets(stream)).toEqual([1]);
    client.send(encodeCredit(subscription, 100, 0));
    await client.until(() => client.offsets(stream).at(-1) === 10, "the rest");
    expect(client.offsets(stream)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    for (const { socket } of [client, operator]) socket.terminate();
  });

  it("[G5] says CLOSED when its client is deleted", async () => {
    const { client, operator } = await newApplication();
    const clientId = await newClient(client, "carol");
    const { stream } = await attach(client, clientId);
    await result(client, "identity.delete", { clientId });
    const reset = await client.until(() => client.of("reset")[0], "the reset");
    expect(reset).toMatchObject({ stream, reason: "CLOSED" });
    for (const { socket } of [client, operator]) socket.terminate();
  });
});

describe("a key on the whole server", () => {
  it("[C2] stops working when it is revoked, and its sessions close 4501 within 2 s", async () => {
    const { client, operator, application } = await newApplication();
    const { applicationId, key } = application;
    await result(operator, "application.revokeKey", { applicationId, keyId: key.keyId });
    const revokedAt = performance.now();
    expect(await client.closeCode()).toBe(4501);
    expect(performance.now() - revokedAt).toBeLessThan(2000);
    expect((await refusedUpgrade(server.port, { token: key.secret })).status).toBe(403);
    expect((await refusedUpgrade(server.port, { token: `${key.secret}0` })).status).toBe(401);
    operator.socket.terminate();
  });

  it("[C2] goes with its application", async () => {
    const { client, operator, application } = await newApplication();
    await result(operator, "application.delete", { applicationId: application.applicationId });
    expect(await client.closeCode()).toBe(4501);
    operator.socket.terminate();
  });
});
