// What the SDK leaves behind when something of it ends early: nothing that rejects, waits or is held at the server.
import { describe, expect } from "vitest";
import { connect } from "../../src/client/client.ts";
import { encode } from "../../src/protocol/codec.ts";
import { encodeEventFrame, encodeResult } from "../../src/protocol/frames.ts";
import { methods } from "../../src/protocol/methods.ts";
import { test } from "../support/scripted-client.ts";

const inbox = { kind: "client", id: "01890a5d-ac96-774b-bcce-b302099a8057" } as const;
const attached = { stream: 4, recovered: true, position: { lineage: "l", offset: 0 } };

describe("connect", () => {
  test("[C2] options that can't be used are refused at once, and nothing rejects afterwards", async ({ server }) => {
    const later: unknown[] = [];
    const listener = (reason: unknown): number => later.push(reason);
    process.on("unhandledRejection", listener);
    const wrong = [
      { url: server.url, token: "aegis_k_s\n" },
      { url: server.url, token: "aegis_k_s " },
      { url: `${server.url}/#x`, token: "aegis_k_s" },
    ];
    for (const options of wrong) {
      await expect(connect({ ...options, connectTimeoutMs: 20 })).rejects.toThrow(TypeError);
    }
    const begun = performance.now();
    await expect.poll(() => performance.now() - begun > 60).toBe(true);
    process.off("unhandledRejection", listener);
    expect(later).toEqual([]);
    expect(server.upgrades).toBe(0);
  });
});

describe("close", () => {
  test("resolves for each who asks", async ({ connected }) => {
    const client = await connected();
    await Promise.all([client.close(), client.close()]);
    await client.close();
  });

  test("[S7] what was acknowledged before it is told to the server", async ({ server, connected }) => {
    const client = await connected();
    const session = await server.session();
    const subscription = client.subscribe();
    const adding = subscription.add([inbox]);
    session.send(encodeResult((await session.request("subscription.open")).id, { subscription: 1 }));
    session.send(encodeResult((await session.request("subscription.add")).id, { streams: [attached] }));
    await adding;
    session.send(
      encodeEventFrame(1, 4, [{ offset: 1, time: 1, type: "identity.updated", body: encode({ version: 2 }) }]),
    );
    for await (const item of subscription) {
      if (item.kind === "event") subscription.acknowledge(item);
      break;
    }
    await client.close();
    expect(await session.frame("ack")).toMatchObject({ subscription: 1, offsets: [{ stream: 4, offset: 1 }] });
  });
});

describe("a subscription that ends early", () => {
  test("[S4] is closed at the server though it ended before its number came", async ({ server, connected }) => {
    const client = await connected();
    const session = await server.session();
    client.subscribe().close();
    session.send(encodeResult((await session.request("subscription.open")).id, { subscription: 7 }));
    expect((await session.request("subscription.close")).params).toEqual({ subscription: 7 });
  });

  test("[S4] says to an add that its stream was removed meanwhile, and gives the stream back", async ({
    server,
    connected,
  }) => {
    const client = await connected();
    const session = await server.session();
    const subscription = client.subscribe();
    session.send(encodeResult((await session.request("subscription.open")).id, { subscription: 1 }));
    const adding = subscription.add([inbox]);
    const add = await session.request("subscription.add");
    subscription.remove([inbox]);
    expect(await adding).toMatchObject([{ stream: inbox, error: { reason: "CANCELLED" } }]);
    session.send(encodeResult(add.id, { streams: [attached] }));
    expect((await session.request("subscription.remove")).params).toEqual({ subscription: 1, streams: [4] });
  });

  test("[S4] gives back more streams than one request names", async ({ server, connected }) => {
    const client = await connected();
    const session = await server.session();
    const subscription = client.subscribe();
    session.send(encodeResult((await session.request("subscription.open")).id, { subscription: 1 }));
    const logs = Array.from(
      { length: 10_001 },
      (_, at) => ({ kind: "group", id: Uint8Array.of(at >> 8, at) }) as const,
    );
    const adding = subscription.add(logs);
    for (let stream = 1; stream <= logs.length;) {
      const { id, params } = await session.request("subscription.add");
      const streams = (params as { streams: unknown[] }).streams.map(() => ({ ...attached, stream: stream++ }));
      session.send(encodeResult(id, { streams }));
    }
    await adding;
    subscription.remove(logs);
    const removed: unknown[] = [];
    while (removed.length < logs.length) {
      const { params } = await session.request("subscription.remove");
      const { streams } = methods["subscription.remove"].params.parse(params);
      removed.push(...streams);
    }
    expect(removed).toEqual(logs.map((_, at) => at + 1));
  });
});
