import { describe, expect } from "vitest";
import type { StreamItem } from "../../src/client/client.ts";
import { encode } from "../../src/protocol/codec.ts";
import { refuse } from "../../src/protocol/errors.ts";
import { encodeError, encodeEventFrame, encodePing, encodeReset, encodeResult } from "../../src/protocol/frames.ts";
import { test } from "../support/scripted-client.ts";
import type { ScriptedSession } from "../support/scripted-server.ts";

const clientId = "01890a5d-ac96-774b-bcce-b302099a8057";
const groupId = Uint8Array.of(1, 2, 3);
const inbox = { kind: "client", id: clientId } as const;
const log = { kind: "group", id: groupId } as const;

const position = (offset: number, lineage = "l") => ({ lineage, offset });

/** Answers `subscription.open` and one `subscription.add`; returns what was asked. */
async function attach(session: ScriptedSession, subscription: number, ...streams: object[]) {
  const open = await session.request("subscription.open");
  session.send(encodeResult(open.id, { subscription }));
  const add = await session.request("subscription.add");
  session.send(encodeResult(add.id, { streams }));
  return { open: open.params, add: add.params };
}

function messages(subscription: number, stream: number, from: number, to: number): Uint8Array {
  const body = encode({ epoch: 4, message: new Uint8Array(20) });
  const events = Array.from({ length: to - from + 1 }, (_, at) => ({
    offset: from + at,
    time: 1_700_000_000_000,
    type: "application",
    body,
  }));
  return encodeEventFrame(subscription, stream, events);
}

const bodyBytes = encode({ epoch: 4, message: new Uint8Array(20) }).length;

async function take(items: AsyncIterator<StreamItem>, count: number): Promise<StreamItem[]> {
  const taken: StreamItem[] = [];
  while (taken.length < count) {
    const next = await items.next();
    if (next.done === true) throw new Error("the iteration ended early");
    taken.push(next.value);
  }
  return taken;
}

const offsets = (items: readonly StreamItem[]): unknown[] =>
  items.map((item) => (item.kind === "event" ? item.offset : item.reason));

describe("a subscription", () => {
  test("[S2] [S3] carries typed events of several streams, in order, with their positions", async ({
    server,
    connected,
  }) => {
    const client = await connected();
    const session = await server.session();
    const subscription = client.subscribe();
    const adding = subscription.add([{ ...inbox }, { ...log, after: { epoch: 3 } }]);
    const asked = await attach(
      session,
      7,
      { stream: 1, recovered: true, position: position(0) },
      { stream: 2, recovered: false, position: position(9), reason: "TRIMMED" },
    );
    expect(asked.open).toEqual({ messages: 256, bytes: 1_048_576 });
    expect(asked.add).toEqual({ subscription: 7, streams: [inbox, { ...log, after: { epoch: 3 } }] });
    expect(await adding).toEqual([
      { stream: inbox, recovered: true, position: position(0) },
      { stream: log, recovered: false, position: position(9), reason: "TRIMMED" },
    ]);
    const low = { ciphersuite: 1, label: "", available: 3, target: 100 };
    session.send(
      messages(7, 2, 10, 11),
      encodeEventFrame(7, 1, [{ offset: 1, time: 5, type: "keyPool.low", body: encode(low) }]),
      encodeEventFrame(7, 1, [{ offset: 2, time: 6, type: "of.the.future", body: encode({ x: 1 }) }]),
    );
    const items = await take(subscription[Symbol.asyncIterator](), 4);
    expect(items[0]).toEqual({
      kind: "event",
      stream: log,
      offset: 10,
      time: 1_700_000_000_000,
      type: "application",
      body: { epoch: 4n, message: new Uint8Array(20) },
      position: position(10),
    });
    expect(items[2]).toMatchObject({ stream: inbox, type: "keyPool.low", body: low, position: position(1) });
    expect(items[3]).toMatchObject({ type: "of.the.future", body: { x: 1 } });
  });

  test("[S5] gives credit back as its consumer consumes, and not before", async ({ server, connected }) => {
    const client = await connected();
    const session = await server.session();
    const subscription = client.subscribe({ messages: 10, bytes: 100_000 });
    void subscription.add([log]);
    await attach(session, 1, { stream: 1, recovered: true, position: position(0) });
    session.send(messages(1, 1, 1, 10));
    const items = subscription[Symbol.asyncIterator]();
    expect(offsets(await take(items, 5))).toEqual([1, 2, 3, 4, 5]);
    expect(session.messages.flat().filter(({ type }) => type === "credit")).toEqual([]);
    await take(items, 1);
    expect(await session.frame("credit")).toEqual({
      type: "credit",
      subscription: 1,
      messages: 5,
      bytes: 5 * bodyBytes,
    });
    await take(items, 4);
    session.send(messages(1, 1, 11, 15));
    await take(items, 1);
    expect(await session.frame("credit")).toMatchObject({ messages: 5 });
  });

  test("[S5] what is consumed while a session is set up is given back in it, less what was beyond the window", async ({
    server,
    connected,
  }) => {
    const client = await connected();
    const first = await server.session();
    const window = { messages: 2, bytes: Math.ceil(bodyBytes * 1.5) };
    const subscription = client.subscribe(window);
    void subscription.add([log]);
    await attach(first, 1, { stream: 1, recovered: true, position: position(0) });
    first.send(messages(1, 1, 1, 2), encodePing(1));
    await first.frame("pong");
    first.socket.terminate();
    const second = await server.session();
    const open = await second.request("subscription.open");
    expect(open.params).toEqual({ messages: 0, bytes: 0 });
    const items = subscription[Symbol.asyncIterator]();
    await take(items, 2);
    const waiting = items.next();
    second.send(encodeResult(open.id, { subscription: 5 }));
    expect(await second.frame("credit")).toEqual({ type: "credit", subscription: 5, ...window });
    const add = await second.request("subscription.add");
    second.send(encodeResult(add.id, { streams: [{ stream: 8, recovered: true, position: position(2) }] }));
    second.send(messages(5, 8, 3, 3));
    expect((await waiting).value).toMatchObject({ offset: 3 });
  });

  test("[G5] [F03] goes on in another session where it stood: no gap, nothing twice, what is held keeps its room", async ({
    server,
    connected,
  }) => {
    const client = await connected();
    const first = await server.session();
    const subscription = client.subscribe({ messages: 10, bytes: 10_000 });
    const adding = subscription.add([{ ...log, after: "start" }]);
    await attach(first, 1, { stream: 1, recovered: true, position: position(0) });
    await adding;
    first.send(messages(1, 1, 1, 4));
    const items = subscription[Symbol.asyncIterator]();
    await take(items, 2);
    first.socket.terminate();
    const second = await server.session();
    const asked = await attach(second, 5, { stream: 8, recovered: true, position: position(4) });
    // 1 was consumed; 2 is with the consumer, 3 and 4 are in the queue.
    expect(asked.open).toEqual({ messages: 7, bytes: 10_000 - 3 * bodyBytes });
    expect(asked.add).toEqual({ subscription: 5, streams: [{ ...log, after: position(4) }] });
    second.send(messages(5, 8, 3, 6));
    expect(offsets(await take(items, 4))).toEqual([3, 4, 5, 6]);
  });

  test("[G5] says what broke while it was away, and by RESET", async ({ server, connected }) => {
    const client = await connected();
    const first = await server.session();
    const subscription = client.subscribe();
    void subscription.add([log, inbox]);
    const begun = { recovered: true, position: position(3) };
    await attach(first, 1, { stream: 1, ...begun }, { stream: 2, ...begun });
    first.socket.terminate();
    const second = await server.session();
    await attach(
      second,
      1,
      { stream: 1, recovered: false, position: position(20, "m"), reason: "LINEAGE_CHANGED" },
      { error: refuse("CLIENT_NOT_FOUND") },
    );
    second.send(messages(1, 1, 21, 21), encodeReset(1, 1, { reason: "TRIMMED", position: position(30, "m") }));
    second.send(messages(1, 1, 31, 31), encodeReset(1, 1, { reason: "CLOSED" }), messages(1, 1, 32, 32));
    const items = await take(subscription[Symbol.asyncIterator](), 6);
    expect(items[0]).toMatchObject({
      kind: "reset",
      stream: log,
      reason: "LINEAGE_CHANGED",
      position: position(20, "m"),
    });
    expect(items[1]).toMatchObject({
      kind: "reset",
      stream: inbox,
      reason: "CLOSED",
      error: { reason: "CLIENT_NOT_FOUND" },
    });
    expect(offsets(items)).toEqual(["LINEAGE_CHANGED", "CLOSED", 21, "TRIMMED", 31, "CLOSED"]);
    // The stream has left the subscription: it may be added anew.
    const again = subscription.add([{ ...log, after: "start" }]);
    const add = await second.request("subscription.add");
    second.send(encodeResult(add.id, { streams: [{ stream: 3, recovered: true, position: position(0, "m") }] }));
    expect(await again).toMatchObject([{ recovered: true }]);
  });

  test("an add that fails for now is tried again, one that is refused is told, and one in flight outlives the session", async ({
    server,
    connected,
  }) => {
    const client = await connected();
    const first = await server.session();
    const subscription = client.subscribe();
    const adding = subscription.add([log, inbox]);
    await attach(first, 1, { error: refuse("NOT_OWNER") }, { error: refuse("STREAM_NOT_FOUND") });
    const again = await first.request("subscription.add");
    expect(again.params).toEqual({ subscription: 1, streams: [log] });
    first.send(encodeError(again.id, refuse("STORE_UNAVAILABLE")));
    await first.request("subscription.add");
    first.socket.terminate();
    const second = await server.session();
    await attach(second, 1, { stream: 1, recovered: true, position: position(0) });
    expect(await adding).toMatchObject([{ recovered: true }, { error: { reason: "STREAM_NOT_FOUND" } }]);
    expect(await subscription.add([log])).toMatchObject([{ error: { reason: "BAD_PARAMS" } }]);
  });

  test("[E1] whatever of it is refused for now is asked again after the pause that the server names", async ({
    server,
    connected,
  }) => {
    const client = await connected();
    const session = await server.session();
    const subscription = client.subscribe();
    const later = refuse("RATE_LIMITED", { retryAfterMs: 200 });
    const refusedOnce = async (method: string) => {
      const begun = performance.now();
      session.send(encodeError((await session.request(method)).id, later));
      const again = await session.request(method);
      expect(performance.now() - begun).toBeGreaterThan(190);
      return again;
    };
    const adding = subscription.add([log, inbox]);
    session.send(encodeResult((await refusedOnce("subscription.open")).id, { subscription: 1 }));
    const attached = { stream: 1, recovered: true, position: position(0) };
    const begun = performance.now();
    session.send(encodeResult((await refusedOnce("subscription.add")).id, { streams: [attached, { error: later }] }));
    const add = await session.request("subscription.add");
    expect(performance.now() - begun).toBeGreaterThan(390);
    session.send(encodeResult(add.id, { streams: [{ ...attached, stream: 2 }] }));
    await adding;
    subscription.remove([log]);
    expect((await refusedOnce("subscription.remove")).params).toEqual({ subscription: 1, streams: [1] });
    subscription.close();
    expect((await refusedOnce("subscription.close")).params).toEqual({ subscription: 1 });
  });

  test("[S7] acknowledges an inbox, cumulatively, and again after a reconnect", async ({ server, connected }) => {
    const client = await connected();
    const first = await server.session();
    const subscription = client.subscribe();
    void subscription.add([inbox]);
    await attach(first, 1, { stream: 4, recovered: true, position: position(0) });
    const body = encode({ version: 2 });
    const events = [1, 2, 3].map((offset) => ({ offset, time: 1, type: "identity.updated", body }));
    first.send(encodeEventFrame(1, 4, events));
    const items = await take(subscription[Symbol.asyncIterator](), 3);
    for (const item of items) if (item.kind === "event") subscription.acknowledge(item);
    const ack = { type: "ack", subscription: 1, offsets: [{ stream: 4, offset: 3 }] };
    expect(await first.frame("ack")).toEqual(ack);
    first.socket.terminate();
    const second = await server.session();
    const asked = await attach(second, 1, { stream: 4, recovered: true, position: position(3) });
    expect(asked.add).toMatchObject({ streams: [{ ...inbox, after: position(3) }] });
    expect(await second.frame("ack")).toEqual(ack);
  });

  test("[S4] gives up streams, and ends when it or the client is closed", async ({ server, connected }) => {
    const client = await connected();
    const session = await server.session();
    const subscription = client.subscribe();
    void subscription.add([log]);
    await attach(session, 1, { stream: 1, recovered: true, position: position(0) });
    const items = subscription[Symbol.asyncIterator]();
    session.send(messages(1, 1, 1, 1));
    await take(items, 1);
    subscription.remove([log]);
    expect((await session.request("subscription.remove")).params).toEqual({ subscription: 1, streams: [1] });
    session.send(messages(1, 1, 2, 2));
    subscription.close();
    expect((await session.request("subscription.close")).params).toEqual({ subscription: 1 });
    expect(await items.next()).toEqual({ done: true, value: undefined });
    const other = client.subscribe();
    const adding = other.add([log]);
    const waiting = other[Symbol.asyncIterator]().next();
    await client.close();
    expect(await waiting).toEqual({ done: true, value: undefined });
    expect(await adding).toMatchObject([{ error: { reason: "CANCELLED" } }]);
  });

  test("[E2] a stream that can't be asked for is refused alone: those of the same request never see it", async ({
    server,
    connected,
  }) => {
    const client = await connected();
    const first = await server.session();
    const subscription = client.subscribe();
    void subscription.add([log]);
    await attach(first, 1, { stream: 1, recovered: true, position: position(0) });
    first.socket.terminate();
    const odd = [
      { kind: "client", id: "no uuid" },
      { kind: "group", id: new ArrayBuffer(32) },
      { kind: "group" },
      { kind: "nothing", id: clientId },
      { ...inbox, after: { lineage: "\ud800", offset: 1 } },
    ];
    const added = await subscription.add(odd as never);
    expect(added).toMatchObject(odd.map(() => ({ error: { reason: "BAD_PARAMS" } })));
    expect(added[0]).toMatchObject({ stream: odd[0], error: { details: { path: "streams.0.id" } } });
    void subscription.add([inbox]);
    const { add } = await attach(await server.session(), 1);
    expect(add).toMatchObject({ streams: [log, inbox] });
  });

  test("[S7] what was acknowledged before its stream is removed is acknowledged first", async ({
    server,
    connected,
  }) => {
    const client = await connected();
    const session = await server.session();
    const subscription = client.subscribe();
    void subscription.add([inbox]);
    await attach(session, 1, { stream: 4, recovered: true, position: position(0) });
    const event = { offset: 1, time: 1, type: "identity.updated", body: encode({ version: 2 }) };
    session.send(encodeEventFrame(1, 4, [event]));
    const [item] = await take(subscription[Symbol.asyncIterator](), 1);
    if (item?.kind === "event") subscription.acknowledge(item);
    subscription.remove([inbox]);
    expect(await session.next()).toEqual({ type: "ack", subscription: 1, offsets: [{ stream: 4, offset: 1 }] });
    expect(await session.next()).toMatchObject({ method: "subscription.remove" });
  });

  test("[C6] a bound that holds no stream keeps nobody's event loop: one is asked for at a time", async ({
    server,
    connected,
  }) => {
    server.limits = { ...server.limits, messageBytesMax: 300 };
    const client = await connected();
    const session = await server.session();
    const adding = client.subscribe().add([log, inbox]);
    const { id } = await session.request("subscription.open");
    session.send(encodeResult(id, { subscription: 1 }));
    for (const stream of [log, inbox]) {
      expect((await session.request("subscription.add")).params).toEqual({ subscription: 1, streams: [stream] });
    }
    await client.close();
    await adding;
  });

  test("[C6] asks for as many streams at once, and acknowledges as many, as one message can hold", async ({
    server,
    connected,
  }) => {
    server.limits = { ...server.limits, messageBytesMax: 65_536 };
    const client = await connected();
    const session = await server.session();
    const subscription = client.subscribe({ messages: 100_000 });
    const lineage = "l".repeat(128);
    const after = position(2 ** 53 - 2, lineage);
    const ids = Array.from({ length: 5000 }, (_, at) => clientId.replace("8057", String(1000 + at)));
    const adding = subscription.add(ids.map((id) => ({ kind: "client", id, after })));
    const open = await session.request("subscription.open");
    session.send(encodeResult(open.id, { subscription: 1 }));
    const body = encode({ version: 2 });
    let number = 2 ** 32;
    while (number > 2 ** 32 - ids.length) {
      const { id, params } = await session.request("subscription.add");
      expect(encode(params).length).toBeLessThan(65_000);
      const streams = (params as { streams: unknown[] }).streams.map(() => (number -= 1));
      session.send(
        encodeResult(id, { streams: streams.map((stream) => ({ stream, recovered: true, position: after })) }),
        ...streams.map((stream) =>
          encodeEventFrame(1, stream, [{ offset: after.offset + 1, time: 1, type: "identity.updated", body }]),
        ),
      );
    }
    await adding;
    for (const item of await take(subscription[Symbol.asyncIterator](), ids.length)) {
      if (item.kind === "event") subscription.acknowledge(item);
    }
    const acknowledged = new Set<number>();
    while (acknowledged.size < ids.length) {
      const { offsets } = await session.frame("ack");
      expect(offsets.length * 15).toBeLessThan(65_000);
      for (const { stream } of offsets) acknowledged.add(stream);
    }
  });

  test("ends with the error when the key is revoked", async ({ server, connected }) => {
    const client = await connected();
    const session = await server.session();
    const subscription = client.subscribe();
    const waiting = subscription[Symbol.asyncIterator]().next();
    session.socket.close(4501);
    await expect(waiting).rejects.toMatchObject({ reason: "KEY_REVOKED" });
    await expect(client.subscribe()[Symbol.asyncIterator]().next()).rejects.toMatchObject({ reason: "KEY_REVOKED" });
  });
});
