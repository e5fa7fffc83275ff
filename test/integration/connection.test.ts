import { createConnection, type Socket } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import type { Limits } from "../../src/config.ts";
import { encodePing, encodePong, encodeRequest } from "../../src/protocol/frames.ts";
import { TOKENS, TransportWorld, APPLICATION } from "../support/transport-world.ts";
import { refusedUpgrade, WireClient } from "../support/wire-client.ts";

const worlds: TransportWorld[] = [];
async function world(limits: Partial<Limits> = {}): Promise<TransportWorld> {
  const fresh = await new TransportWorld(limits).start();
  worlds.push(fresh);
  return fresh;
}
afterEach(async () => {
  await Promise.all(worlds.splice(0).map((each) => each.stop()));
});

describe("the upgrade", () => {
  it("[C1] answers 400 naming the supported subprotocols to every other offer, before the upgrade", async () => {
    const { port } = await world();
    for (const protocols of [[], ["aegis.v2"], ["AEGIS.V1"]]) {
      const refused = await refusedUpgrade(port, { token: TOKENS.all, protocols });
      expect(refused.status).toBe(400);
      expect(refused.body).toMatchObject({ reason: "SUBPROTOCOL_REQUIRED", details: { supported: ["aegis.v1"] } });
    }
    const client = await WireClient.connect(port, TOKENS.all);
    expect(client.socket.protocol).toBe("aegis.v1");
    client.socket.terminate();
  });

  it("[C1] answers 404 elsewhere, and 426 to what is no upgrade", async () => {
    const { port } = await world();
    expect((await refusedUpgrade(port, { token: TOKENS.all, path: "/v2/ws" })).status).toBe(404);
    expect((await fetch(`http://127.0.0.1:${port}/v1/ws`)).status).toBe(426);
    expect((await fetch(`http://127.0.0.1:${port}/`)).status).toBe(404);
  });

  it("[C2] answers 401 to a token that is missing, malformed or unknown, 403 to one that was revoked", async () => {
    const { port } = await world();
    const authorizations = [
      "",
      "Basic YTpi",
      "Bearer",
      "Bearer ",
      "Bearer aegis_a",
      "Bearer aegis_un_known",
      `Bearer ${TOKENS.all} x`,
      `Bearer  ${TOKENS.all}`,
    ];
    for (const authorization of authorizations) {
      const refused = await refusedUpgrade(port, { authorization });
      expect([authorization, refused.status]).toEqual([authorization, 401]);
      expect(refused.headers["www-authenticate"]).toContain("Bearer");
    }
    const revoked = await refusedUpgrade(port, { token: TOKENS.revoked });
    expect([revoked.status, revoked.body["retryable"], revoked.body["retryAfterMs"]]).toEqual([403, false, undefined]);
  });

  it("[C2] answers 429 with Retry-After beyond the handshake rate, and opens again after it", async () => {
    const { port } = await world({ handshakesPerSecond: 2 });
    const clients = [await WireClient.connect(port, TOKENS.all), await WireClient.connect(port, TOKENS.all)];
    const refused = await refusedUpgrade(port, { token: TOKENS.all });
    expect(refused.status).toBe(429);
    expect(Number(refused.headers["retry-after"])).toBeGreaterThanOrEqual(1);
    await clients[0]?.until(() => Date.now() > 0 && refused.body["retryAfterMs"] !== undefined, "the refusal");
    await new Promise((resolve) => {
      setTimeout(resolve, Number(refused.body["retryAfterMs"]));
    });
    clients.push(await WireClient.connect(port, TOKENS.all));
    for (const { socket } of clients) socket.terminate();
  });

  it("[C2] answers 429 beyond the application's quota of sessions, and counts a closed one out", async () => {
    const { port, ...rest } = await world();
    const { server } = rest;
    worlds[0]!.quotasNow = { sessions: 1 };
    const first = await WireClient.connect(port, TOKENS.all);
    const refused = await refusedUpgrade(port, { token: TOKENS.all });
    expect([refused.status, refused.body["reason"], refused.headers["retry-after"]]).toEqual([429, "QUOTA", "1"]);
    first.socket.close();
    await first.closeCode();
    await first.until(() => server.sessionCount === 0, "the session's end");
    (await WireClient.connect(port, TOKENS.all)).socket.terminate();
  });

  it("[C2] answers 503 with Retry-After while it drains, and while the store is away", async () => {
    const away = await world();
    away.storeAway = true;
    const refused = await refusedUpgrade(away.port, { token: TOKENS.all });
    expect([refused.status, refused.body["reason"], refused.headers["retry-after"]]).toEqual([
      503,
      "STORE_UNAVAILABLE",
      "1",
    ]);
    const draining = await world();
    await draining.server.drain(10);
    expect((await refusedUpgrade(draining.port, { token: TOKENS.all })).body["reason"]).toBe("DRAINING");
  });

  it("[C2] closes the sessions of a revoked key 4501 within 2 s, and no others", async () => {
    const { port, revokedKeys } = await world();
    const [app, pool] = [await WireClient.connect(port, TOKENS.all), await WireClient.connect(port, TOKENS.poolOnly)];
    const revokedAt = performance.now();
    revokedKeys.add("app");
    expect(await app.closeCode()).toBe(4501);
    expect(performance.now() - revokedAt).toBeLessThan(2000);
    expect(pool.closed).toBeUndefined();
    pool.socket.terminate();
  });
});

describe("a connection", () => {
  it("[C3] takes one to many frames in a message, and batches the answers", async () => {
    const { port } = await world();
    const client = await WireClient.connect(port, TOKENS.all);
    client.send(...Array.from({ length: 50 }, (_, at) => encodeRequest(at, "identity.get", { clientIds: [] })));
    for (let id = 0; id < 50; id += 1) await client.response(id);
    expect(Math.max(...client.messages)).toBeGreaterThan(10);
    client.socket.terminate();
  });

  it("[C3] closes 4500 on text, on bytes that are no frame and on a server's frame", async () => {
    const { port } = await world();
    const wrongs: (string | Uint8Array)[] = [
      "[0,1]",
      Uint8Array.of(0xc1),
      new Uint8Array(0),
      Uint8Array.of(0x93, 1, 1, 1),
      Uint8Array.of(0x91, 99),
    ];
    for (const wrong of wrongs) {
      const client = await WireClient.connect(port, TOKENS.all);
      client.socket.send(wrong);
      expect(await client.closeCode()).toBe(4500);
    }
  });

  it("[C3] offers no compression", async () => {
    const { port } = await world();
    const client = await WireClient.connect(port, TOKENS.all, { perMessageDeflate: true });
    expect(client.socket.extensions).toBe("");
    client.socket.terminate();
  });

  it("[C4] [C6] says WELCOME first, with its limits, and answers what was sent before it", async () => {
    const { port } = await world({ streamsMax: 77 });
    const client = await WireClient.connect(port, TOKENS.all);
    await client.call("identity.get", { clientIds: [] });
    expect(client.frames[0]).toMatchObject({
      type: "welcome",
      node: "node-1",
      version: "1.2.3",
      protocol: "aegis.v1",
      applicationId: APPLICATION,
      limits: { messageBytesMax: 4194304, inFlightMax: 1024, streamsMax: 77, heartbeatMs: 20000, ttlMsMax: 30000 },
    });
    const operator = await WireClient.connect(port, TOKENS.operator);
    const welcome = await operator.until(() => operator.of("welcome")[0], "WELCOME");
    expect(welcome).not.toHaveProperty("applicationId");
    client.socket.terminate();
    operator.socket.terminate();
  });

  it("[C5] keeps a session that answers pings, and closes 4012 one that does not", async () => {
    const { port } = await world({ heartbeatMs: 100, pongTimeoutMs: 150 });
    const [alive, dead] = [
      await WireClient.connect(port, TOKENS.all),
      await WireClient.connect(port, TOKENS.all, { autoPong: false }),
    ];
    let pings = 0;
    alive.socket.on("ping", () => (pings += 1));
    expect(await dead.closeCode()).toBe(4012);
    await alive.until(() => pings >= 5, "five pings");
    expect(alive.closed).toBeUndefined();
    alive.socket.terminate();
  });

  it("[C5] sends PING frames too, and takes PONG for an answer, but none that nobody asked for", async () => {
    const { port } = await world({ heartbeatMs: 100, pongTimeoutMs: 150 });
    const [alive, wrong] = [
      await WireClient.connect(port, TOKENS.all, { autoPong: false }),
      await WireClient.connect(port, TOKENS.all, { autoPong: false }),
    ];
    for (const [client, answer] of [[alive, encodePong] as const, [wrong, () => encodePong("another")] as const]) {
      let answered = 0;
      client.socket.on("message", () => {
        const pings = client.of("ping");
        for (; answered < pings.length; answered += 1) client.send(answer(pings[answered]?.nonce ?? 0));
      });
    }
    expect(await wrong.closeCode()).toBe(4012);
    await alive.until(() => alive.of("ping").length >= 5, "five PINGs");
    expect(alive.closed).toBeUndefined();
    alive.socket.terminate();
  });

  it("[C6] closes 1009 on a message above messageBytesMax", async () => {
    const { port, telemetry } = await world({ messageBytesMax: 65_536 });
    const client = await WireClient.connect(port, TOKENS.all);
    client.socket.send(new Uint8Array(65_537));
    expect(await client.closeCode()).toBe(1009);
    expect((await telemetry.metrics()).body).toContain('aegis_sessions_closed_total{code="1009"} 1');
  });

  it("answers PING with its nonce", async () => {
    const { port } = await world();
    const client = await WireClient.connect(port, TOKENS.all);
    client.send(encodePing(7), encodePing("x"));
    await client.until(() => client.of("pong").length === 2, "two pongs");
    expect(client.of("pong").map(({ nonce }) => nonce)).toEqual([7, "x"]);
    client.socket.terminate();
  });

  it("[C7] says GOAWAY when it drains, then closes what stays with a code to reconnect on", async () => {
    const { port, server } = await world();
    const [leaves, stays] = [await WireClient.connect(port, TOKENS.all), await WireClient.connect(port, TOKENS.all)];
    const drained = server.drain(400);
    const goaway = await leaves.until(() => leaves.of("goaway")[0], "GOAWAY");
    expect(goaway).toMatchObject({ reason: "DRAINING", deadlineMs: 400, reconnectMinMs: 100, reconnectMaxMs: 200 });
    expect((await stays.call("identity.get", { clientIds: [] })).error).toBeUndefined();
    leaves.socket.close(1000);
    await drained;
    expect(await stays.closeCode()).toBe(4000);
    expect(server.sessionCount).toBe(0);
  });

  it("[F22] survives sockets that send anything but HTTP, or nothing", async () => {
    const { port } = await world({ handshakeTimeoutMs: 300 });
    const sockets = [
      "\x16\x03\x01",
      "GET /v1/ws HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
      "GET /v1/ws HTTP/1.1\r\n",
      "",
    ].map((bytes) =>
      createConnection(port, "127.0.0.1", function (this: Socket) {
        this.write(bytes);
      }),
    );
    await Promise.all(
      sockets.map(
        (socket) =>
          new Promise((resolve) => {
            socket
              .on("close", resolve)
              .on("error", () => undefined)
              .resume();
          }),
      ),
    );
    (await WireClient.connect(port, TOKENS.all)).socket.terminate();
  });
});
