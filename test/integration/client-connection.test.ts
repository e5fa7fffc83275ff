import { describe, expect } from "vitest";
import { encodeGoaway, encodePing, encodeResult } from "../../src/protocol/frames.ts";
import { failure, test } from "../support/scripted-client.ts";
import { ScriptedServer } from "../support/scripted-server.ts";

const clientId = "01890a5d-ac96-774b-bcce-b302099a8057";
const history = { identities: [{ clientIdentity: Uint8Array.of(1), handle: "alice", from: 5 }] };

describe("connecting", () => {
  test("[C1] [C2] asks for the subprotocol with the token in the upgrade request", async ({ server, connected }) => {
    const client = await connected();
    const { upgrade } = await server.session();
    expect(upgrade.url).toBe("/v1/ws");
    expect(upgrade.headers).toMatchObject({ authorization: "Bearer aegis_k_s", "sec-websocket-protocol": "aegis.v1" });
    expect(upgrade.headers["sec-websocket-extensions"]).toBeUndefined();
    expect(client.welcome?.limits.inFlightMax).toBe(1024);
  });

  test("[C2] gives up at once on 401 and 403, and tries again on 429 and 503 after Retry-After", async ({
    server,
    connected,
  }) => {
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

  test("gives up when nobody is reached in time", async ({ server, connected }) => {
    const nobody = "ws://127.0.0.1:1";
    const error = await failure(connected({ url: nobody, connectTimeoutMs: 300 }));
    expect(error).toMatchObject({ reason: "CONNECTION_CLOSED", details: { cause: "ECONNREFUSED" } });
    await connected({ url: [nobody, server.url] });
  });

  test("[C7] connects again after 1012, never after 4501 or 4500", async ({ server, connected }) => {
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

  test("closes 4500 on a server that breaks the protocol", async ({ server, connected }) => {
    for (const greeting of [encodePing(1), Uint8Array.of(0xc1), Uint8Array.of(0x92, 0x05, 0x01)]) {
      server.greeting = greeting;
      expect(await failure(connected())).toMatchObject({ reason: "INTERNAL" });
      expect(await (await server.session()).closed()).toBe(4500);
    }
  });

  test("[C4] does not wait for WELCOME for ever", async ({ server, connected }) => {
    server.greeting = "nothing";
    const connecting = connected({ handshakeTimeoutMs: 200 });
    await server.session();
    server.greeting = undefined;
    await connecting;
    expect(server.upgrades).toBe(2);
  });

  test("[C5] answers PING, and gives up a server that is silent", async ({ server, connected }) => {
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

  test("[C7] after GOAWAY goes on until its time in the window, then finishes what is in flight and moves at once", async ({
    server,
    connected,
  }) => {
    const client = await connected();
    const first = await server.session();
    const one = client.identity.history({ clientId });
    const slow = await first.request("identity.history");
    const begun = performance.now();
    first.send(encodeGoaway({ reason: "draining", deadlineMs: 5000, reconnectMinMs: 200, reconnectMaxMs: 300 }));
    const two = client.identity.history({ clientId });
    first.send(encodeResult((await first.request("identity.history")).id, history));
    await two;
    const leaving = () => performance.now() - begun > 320;
    await expect.poll(leaving, { interval: 5 }).toBe(true);
    const three = client.identity.history({ clientId });
    first.send(encodePing(1));
    await first.frame("pong");
    const answered = performance.now();
    first.send(encodeResult(slow.id, history));
    await one;
    expect(await first.closed()).toBe(1000);
    const second = await server.session();
    expect(performance.now() - answered).toBeLessThan(150);
    second.send(encodeResult((await second.request("identity.history")).id, history));
    await three;
    expect(first.messages.flat().filter(({ type }) => type === "request")).toHaveLength(2);
  });

  test("[C7] a node that ends before the time in its GOAWAY is not connected to anew before that time", async ({
    server,
    connected,
  }) => {
    await connected();
    const first = await server.session();
    const begun = performance.now();
    first.send(encodeGoaway({ reason: "draining", deadlineMs: 50, reconnectMinMs: 300, reconnectMaxMs: 300 }));
    expect(await first.closed()).toBe(1000);
    await server.session();
    expect(performance.now() - begun).toBeGreaterThan(280);
  });

  test("[C7] of several servers, the one that says GOAWAY or ends is not the next", async ({ server, connected }) => {
    const other = await ScriptedServer.start();
    await connected({ url: [server.url, other.url] });
    const servers = server.upgrades > 0 ? [server, other] : [other, server];
    for (let round = 0; round < 4; round += 1) {
      const session = await servers[round % 2]!.session();
      session.send(encodeGoaway({ reason: "draining", deadlineMs: 1000, reconnectMinMs: 1, reconnectMaxMs: 1 }));
      expect(await session.closed()).toBe(1000);
    }
    await servers[0]!.session();
    expect(servers.map(({ upgrades }) => upgrades)).toEqual([3, 2]);
    await other.stop();
  });
});
