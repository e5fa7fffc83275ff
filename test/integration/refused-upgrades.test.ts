// Whoever is turned away before the upgrade costs the server nothing afterwards, however it behaves.
import { once } from "node:events";
import { createConnection, type Socket } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import type { Limits } from "../../src/config.ts";
import { encodePing } from "../../src/protocol/frames.ts";
import { TOKENS, TransportWorld } from "../support/transport-world.ts";
import { WireClient } from "../support/wire-client.ts";

/** More connections than a server takes that is set to one session and one handshake at once. */
const STRANGERS = 70;
const WAIT_MS = 10_000;

describe("a refused upgrade", () => {
  let world: TransportWorld;
  const strangers: Socket[] = [];
  async function start(limits: Partial<Limits> = {}): Promise<void> {
    world = await new TransportWorld(limits).start();
  }
  afterEach(async () => {
    for (const stranger of strangers.splice(0)) stranger.destroy();
    await world.stop();
  });

  /** Asks without a token, never closes by itself, and resolves with the answer's status. */
  async function ask(more: (stranger: Socket) => void = () => undefined): Promise<string> {
    const stranger = createConnection({ port: world.port, host: "127.0.0.1", allowHalfOpen: true });
    strangers.push(stranger);
    stranger.on("error", () => undefined);
    stranger.write(
      "GET /v1/ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: aegis.v1\r\n\r\n",
    );
    const answers: string[] = [];
    stranger.on("data", (answer) => answers.push(answer.toString()));
    await Promise.race(["data", "end", "close"].map((event) => once(stranger, event)));
    more(stranger);
    return answers[0]?.slice(9, 12) ?? "cut";
  }

  async function connects(): Promise<void> {
    const deadline = Date.now() + WAIT_MS;
    for (;;) {
      const client = await WireClient.connect(world.port, TOKENS.all).catch((error: unknown) => error);
      if (client instanceof WireClient) return client.socket.terminate();
      if (Date.now() > deadline) throw client;
    }
  }

  it.each<[string, (stranger: Socket) => void]>([
    ["that the other side never closes", () => undefined],
    ["behind which frames were sent, as C4 allows", (stranger) => stranger.end(encodePing(1))],
  ])("[G10] lets go of a connection %s", async (_, more) => {
    await start({ sessionsMax: 1, handshakesPendingMax: 1 });
    for (let n = 0; n < STRANGERS; n += 1) {
      expect(["401", "429", "cut"]).toContain(await ask(more));
    }
    await connects();
  });

  it("[G10] keeps no server from ending", async () => {
    await start();
    expect(await ask((stranger) => stranger.write(encodePing(1)))).toBe("401");
    await world.server.close();
  });
});
