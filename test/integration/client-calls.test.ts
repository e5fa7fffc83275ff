import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { AegisError, connect, type AegisClient, type ConnectOptions } from "../../src/client/client.ts";
import { encodeError, encodeGoaway, encodePing, encodeResult } from "../../src/protocol/frames.ts";
import { refuse } from "../../src/protocol/errors.ts";
import { ScriptedServer } from "../support/scripted-server.ts";

const clientId = "01890a5d-ac96-774b-bcce-b302099a8057";
const history = { identities: [{ clientIdentity: Uint8Array.of(1), handle: "alice", from: 5 }] };

let server: ScriptedServer;
const clients: AegisClient[] = [];

beforeEach(async () => {
  server = await ScriptedServer.start();
});
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.close()));
  await server.stop();
});

async function connected(options: Partial<ConnectOptions> = {}): Promise<AegisClient> {
  const client = await connect({ url: server.url, token: "aegis_k_s", ...options });
  clients.push(client);
  return client;
}

async function failure(promise: Promise<unknown>): Promise<AegisError> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(AegisError);
  return error as AegisError;
}

describe("connecting", () => {
  test("[C1] [C2] asks for the subprotocol with the token in the upgrade request", async () => {
    const client = await connected();
    const { upgrade } = await server.session();
    expect(upgrade.url).toBe("/v1/ws");
    expect(upgrade.headers).toMatchObject({ authorization: "Bearer aegis_k_s", "sec-websocket-protocol": "aegis.v1" });
    expect(upgrade.headers["sec-websocket-extensions"]).toBeUndefined();
    expect(client.welcome?.limits.inFlightMax).toBe(1024);
  });

  test("[C2] gives up at once on 401 and 403, and tries again on 429 and 503 after Retry-After", async () => {
    server.refusals.push({ status: 401 });
    expect(await failure(connected())).toMatchObject({ reason: "KEY_UNKNOWN", code: "UNAUTHENTICATED" });
    server.refusals.push({ status: 403 });
    expect(await failure(connected())).toMatchObject({ reason: "KEY_REVOKED" });
    expect(server.upgrades).toBe(2);
    server.refusals.push({ status: 503 }, { status: 429, retryAfter: 1 });
    const begun = performance.now();
    await connected();
    expect(server.upgrades).toBe(5);
    expect(performance.now() - begun).toBeGreaterThan(990);
  });

  test("gives up when nobody is reached in time", async () => {
    const nobody = "ws://127.0.0.1:1";
    const error = await failure(connected({ url: nobody, connectTimeoutMs: 300 }));
    expect(error).toMatchObject({ reason: "CONNECTION_CLOSED" });
    await connected({ url: [nobody, server.url] });
  });

  test("[C7] connects again after 1012, never after 4501 or 4500", async () => {
    const client = await connected();
    const first = await server.session();
    first.socket.close(1012);
    const second = await server.session();
    const pending = failure(client.identity.history({ clientId }));
    await second.request("identity.history");
    second.socket.close(4501);
    expect(await pending).toMatchObject({ reason: "KEY_REVOKED", method: "identity.history" });
    expect(await client.closed).toMatchObject({ reason: "KEY_REVOKED" });
    expect(await failure(client.identity.history({ clientId }))).toMatchObject({ reason: "KEY_REVOKED" });
    expect(server.upgrades).toBe(2);
  });

  test("closes 4500 on a server that breaks the protocol", async () => {
    for (const greeting of [encodePing(1), Uint8Array.of(0xc1), Uint8Array.of(0x92, 0x05, 0x01)]) {
      server.greeting = greeting;
      expect(await failure(connected())).toMatchObject({ reason: "INTERNAL" });
      expect(await (await server.session()).closed()).toBe(4500);
    }
  });

  test("[C5] answers PING, and gives up a server that is silent", async () => {
    server.limits = { ...server.limits, heartbeatMs: 100 };
    await connected();
    const session = await server.session();
    session.send(encodePing(7n), encodePing("nonce"));
    expect(await session.frame("pong")).toMatchObject({ nonce: 7 });
    expect(await session.frame("pong")).toMatchObject({ nonce: "nonce" });
    session.socket.pause();
    await server.session();
    expect(server.upgrades).toBe(2);
  });

  test("[C7] after GOAWAY finishes what is in flight, sends nothing new, and moves in the window named", async () => {
    const client = await connected();
    const first = await server.session();
    const [one, two] = [client.identity.history({ clientId }), client.identity.history({ clientId })];
    const request = await first.request("identity.history");
    const last = await first.request("identity.history");
    first.send(encodeResult(request.id, history));
    await one;
    const goaway = { reason: "draining", deadlineMs: 5000, reconnectMinMs: 200, reconnectMaxMs: 300 };
    first.send(encodeGoaway(goaway), encodePing(1));
    await first.frame("pong");
    const begun = performance.now();
    const three = client.identity.history({ clientId });
    first.send(encodePing(2), encodeResult(last.id, history));
    await two;
    expect(await first.closed()).toBe(1000);
    const second = await server.session();
    expect(performance.now() - begun).toBeGreaterThan(180);
    second.send(encodeResult((await second.request("identity.history")).id, history));
    await three;
    expect(first.messages.flat().filter(({ type }) => type === "request")).toHaveLength(2);
  });
});

describe("calls", () => {
  test("[C3] calls of one tick share a message, answers may come in any order", async () => {
    const client = await connected();
    const session = await server.session();
    const calls = [1, 2, 3].map((at) => client.keyPool.list({ clientId: clientId.replace("57", `5${at}`) }));
    const requests = [];
    for (let i = 0; i < 3; i += 1) requests.push(await session.request("keyPool.list"));
    expect(session.messages).toHaveLength(1);
    session.send(...requests.reverse().map(({ id }) => encodeResult(id, { keyPackages: [] })));
    expect(await Promise.all(calls)).toEqual([{ keyPackages: [] }, { keyPackages: [] }, { keyPackages: [] }]);
  });

  test("[T1] a result has its types: epochs are bigints, offsets numbers, nil is absent", async () => {
    const client = await connected();
    const session = await server.session();
    const created = client.group.create({ groupInfo: Uint8Array.of(1), tracking: "ordering" });
    const request = await session.request("group.create");
    expect(request.params).toEqual({ groupInfo: Uint8Array.of(1), tracking: "ordering" });
    const result = {
      groupId: Uint8Array.of(9),
      epoch: 3,
      position: { lineage: "l", offset: 1n },
      extra: 1,
      none: null,
    };
    session.send(encodeResult(request.id, result));
    expect(await created).toEqual({ groupId: Uint8Array.of(9), epoch: 3n, position: { lineage: "l", offset: 1 } });
  });

  test("[E4] a mutation carries a key of its own, or the caller's; a read carries none", async () => {
    const client = await connected();
    const session = await server.session();
    const clientIdentity = Uint8Array.of(1);
    const calls = [
      client.identity.create({ clientIdentity }),
      client.identity.create({ clientIdentity }, { key: "mine", ttlMs: 1500, trace: "t" }),
      client.identity.validate({ clientIdentity }, { key: "mine" }),
    ].map(failure);
    const one = await session.request("identity.create");
    const two = await session.request("identity.create");
    const three = await session.request("identity.validate");
    expect(one.meta.key).toMatch(/^s:[0-9a-f-]{36}$/);
    expect(two.meta).toMatchObject({ key: "s:mine", trace: "t" });
    expect(two.meta.ttlMs).toBeGreaterThan(1000);
    expect(two.meta.ttlMs).toBeLessThanOrEqual(1500);
    expect(three.meta.key).toBeUndefined();
    session.send(...[one, two, three].map(({ id }) => encodeError(id, refuse("HANDLE_TAKEN"))));
    for (const error of await Promise.all(calls))
      expect(error).toMatchObject({ reason: "HANDLE_TAKEN", retryable: false });
  });

  test("[E5] what is retryable is sent again with the same key and parameters", async () => {
    const client = await connected();
    const session = await server.session();
    const call = client.identity.delete({ clientId });
    const first = await session.request("identity.delete");
    session.send(encodeError(first.id, refuse("OUTCOME_UNKNOWN")));
    const second = await session.request("identity.delete");
    session.send(encodeError(second.id, refuse("RATE_LIMITED", { retryAfterMs: 120 })));
    const begun = performance.now();
    const third = await session.request("identity.delete");
    expect(performance.now() - begun).toBeGreaterThan(115);
    session.send(encodeResult(third.id, {}));
    expect(await call).toEqual({});
    expect(new Set([first, second, third].map(({ meta }) => meta.key)).size).toBe(1);
    expect(new Set([first, second, third].map(({ id }) => id)).size).toBe(3);
  });

  test("[G6] what was in flight when the connection broke is sent again in the next session, in order", async () => {
    const client = await connected();
    const first = await server.session();
    const calls = [1, 2, 3].map((at) => client.application.delete({ applicationId: clientId.replace("57", `5${at}`) }));
    const lost = [];
    for (let i = 0; i < 3; i += 1) lost.push(await first.request("application.delete"));
    first.socket.terminate();
    const second = await server.session();
    for (const before of lost) {
      const again = await second.request("application.delete");
      expect(again.meta.key).toBe(before.meta.key);
      expect(again.params).toEqual(before.params);
      second.send(encodeResult(again.id, {}));
    }
    await Promise.all(calls);
  });

  test("[G6] at the deadline a read is DEADLINE_EXCEEDED, a mutation that was sent OUTCOME_UNKNOWN", async () => {
    const client = await connected();
    const session = await server.session();
    const read = failure(client.identity.history({ clientId }, { ttlMs: 100 }));
    const write = failure(client.identity.delete({ clientId }, { ttlMs: 100, key: "k" }));
    const sent = await session.request("identity.history");
    expect(await session.frame("cancel")).toEqual({ type: "cancel", id: sent.id });
    await session.frame("cancel");
    expect(await read).toMatchObject({ reason: "DEADLINE_EXCEEDED" });
    expect(await write).toMatchObject({ reason: "OUTCOME_UNKNOWN", key: "k", retryable: true });
    // An answer that comes too late belongs to nobody.
    session.send(encodeResult(sent.id, history));
    const next = client.identity.history({ clientId });
    const request = await session.request("identity.history");
    session.send(encodeResult(request.id, history));
    expect(await next).toEqual(history);
  });

  test("[G6] a mutation that never left is certainly not applied", async () => {
    const client = await connected();
    const session = await server.session();
    session.send(encodeGoaway({ reason: "draining", deadlineMs: 1, reconnectMinMs: 5000, reconnectMaxMs: 5000 }));
    await session.closed();
    const error = await failure(client.identity.delete({ clientId }, { ttlMs: 50 }));
    expect(error).toMatchObject({ reason: "DEADLINE_EXCEEDED" });
  });

  test("an aborted call is cancelled at the server", async () => {
    const client = await connected();
    const session = await server.session();
    const controller = new AbortController();
    const call = client.identity.history({ clientId }, { signal: controller.signal });
    const request = await session.request("identity.history");
    controller.abort(new Error("enough"));
    await expect(call).rejects.toThrow("enough");
    expect(await session.frame("cancel")).toEqual({ type: "cancel", id: request.id });
    await expect(client.identity.history({ clientId }, { signal: AbortSignal.abort() })).rejects.toThrow();
  });

  test("[C6] keeps within inFlightMax and messageBytesMax, and bounds what waits", async () => {
    server.limits = { ...server.limits, inFlightMax: 2, messageBytesMax: 1000 };
    const client = await connected({ waitingMax: 2 });
    const session = await server.session();
    const calls = [1, 2, 3, 4].map(() => client.identity.history({ clientId }));
    const one = await session.request("identity.history");
    await session.request("identity.history");
    session.send(encodePing(1));
    await session.frame("pong");
    session.send(encodeResult(one.id, history));
    await session.request("identity.history");
    expect(session.messages.flat().filter(({ type }) => type === "request")).toHaveLength(3);
    const tooLarge = await connected();
    const error = await failure(tooLarge.identity.validate({ clientIdentity: new Uint8Array(1000) }));
    expect(error).toMatchObject({ reason: "BAD_PARAMS" });
    const settled = Promise.allSettled(calls);
    await client.close();
    expect((await settled).map(({ status }) => status)).toEqual(["fulfilled", "rejected", "rejected", "rejected"]);
    const full = await connected({ waitingMax: 1, inFlightMax: 1 });
    const many = [1, 2, 3].map(() => full.identity.history({ clientId }));
    const all = Promise.allSettled(many);
    expect(await failure(many[2]!)).toMatchObject({ reason: "IN_FLIGHT_LIMIT" });
    await full.close();
    await all;
  });

  test("close rejects what waits, and says which mutations nobody knows of", async () => {
    const client = await connected();
    const session = await server.session();
    const read = failure(client.identity.history({ clientId }));
    const write = failure(client.identity.delete({ clientId }));
    await session.request("identity.history");
    await client.close();
    expect(await read).toMatchObject({ reason: "CANCELLED" });
    expect(await write).toMatchObject({ reason: "OUTCOME_UNKNOWN" });
    expect(await client.closed).toBeUndefined();
    expect(await session.closed()).toBe(1000);
  });
});
