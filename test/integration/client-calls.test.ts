import { describe, expect, vi } from "vitest";
import { refuse } from "../../src/protocol/errors.ts";
import { encodeError, encodeGoaway, encodePing, encodeResult } from "../../src/protocol/frames.ts";
import { failure, test } from "../support/scripted-client.ts";

const clientId = "01890a5d-ac96-774b-bcce-b302099a8057";
const history = { identities: [{ clientIdentity: Uint8Array.of(1), handle: "alice", from: 5 }] };

describe("calls", () => {
  test("[C3] calls of one tick share a message, answers may come in any order", async ({ server, connected }) => {
    const client = await connected();
    const session = await server.session();
    const calls = [1, 2, 3].map((at) => client.keyPool.list({ clientId: clientId.replace("57", `5${at}`) }));
    const requests = [];
    for (let i = 0; i < 3; i += 1) requests.push(await session.request("keyPool.list"));
    expect(session.messages).toHaveLength(1);
    session.send(...requests.reverse().map(({ id }) => encodeResult(id, { keyPackages: [] })));
    expect(await Promise.all(calls)).toEqual([{ keyPackages: [] }, { keyPackages: [] }, { keyPackages: [] }]);
  });

  test("[T1] a result has its types: epochs are bigints, offsets numbers, nil is absent", async ({
    server,
    connected,
  }) => {
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

  test("[E4] a mutation carries a key of its own, or the caller's; a read carries none", async ({
    server,
    connected,
  }) => {
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

  test("[E5] what is retryable is sent again with the same key and parameters", async ({ server, connected }) => {
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

  test("[G6] what was in flight when the connection broke is sent again in the next session, in order", async ({
    server,
    connected,
  }) => {
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

  test("[E5] [G4] a claim's failure is of unknown outcome where an attempt before it may have been applied", async ({
    server,
    connected,
  }) => {
    const client = await connected();
    const failed = [
      { clientId, reason: "UNAVAILABLE" },
      { clientId, reason: "POOL_EMPTY" },
    ];
    const answer = async (session: Awaited<ReturnType<typeof server.session>>): Promise<void> => {
      session.send(encodeResult((await session.request("keyPool.claim")).id, { claimed: [], failed }));
    };
    const sure = client.keyPool.claim({ targets: [{ clientId }] });
    const first = await server.session();
    await answer(first);
    expect((await sure).failed).toEqual(failed);
    const unsure = client.keyPool.claim({ targets: [{ clientId }] });
    await first.request("keyPool.claim");
    first.socket.terminate();
    await answer(await server.session());
    expect((await unsure).failed.map(({ reason }) => reason)).toEqual(["OUTCOME_UNKNOWN", "POOL_EMPTY"]);
  });

  test("[G6] at the deadline a read is DEADLINE_EXCEEDED, a mutation that was sent OUTCOME_UNKNOWN", async ({
    server,
    connected,
  }) => {
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

  test("[E4] what may have been applied is not sent again once its key may be forgotten", async ({
    server,
    connected,
  }) => {
    const client = await connected();
    const first = await server.session();
    const ttlMs = 3_600_000;
    const write = failure(client.identity.delete({ clientId }, { ttlMs }));
    const read = client.identity.history({ clientId }, { ttlMs });
    await first.request("identity.delete");
    const now = performance.now.bind(performance);
    const clock = vi.spyOn(performance, "now").mockImplementation(() => now() + 600_000);
    first.socket.terminate();
    const second = await server.session();
    const request = await second.request("identity.history");
    second.send(encodeResult(request.id, history));
    await read;
    expect(await write).toMatchObject({ reason: "OUTCOME_UNKNOWN", method: "identity.delete" });
    expect(second.messages.flat()).toEqual([request]);
    clock.mockRestore();
  });

  test("[G6] a mutation that never left is certainly not applied", async ({ server, connected }) => {
    const client = await connected();
    const session = await server.session();
    session.send(encodeGoaway({ reason: "draining", deadlineMs: 1, reconnectMinMs: 5000, reconnectMaxMs: 5000 }));
    await session.closed();
    const error = await failure(client.identity.delete({ clientId }, { ttlMs: 50 }));
    expect(error).toMatchObject({ reason: "DEADLINE_EXCEEDED" });
  });

  test("an aborted call is cancelled at the server", async ({ server, connected }) => {
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

  test("many calls share one signal without a word of Node's", async ({ server, connected }) => {
    const client = await connected();
    const session = await server.session();
    const warnings: string[] = [];
    const listener = ({ name }: Error): number => warnings.push(name);
    process.on("warning", listener);
    const controller = new AbortController();
    const calls = Array.from({ length: 20 }, () =>
      client.identity.history({ clientId }, { signal: controller.signal }),
    );
    await session.request("identity.history");
    controller.abort();
    expect((await Promise.allSettled(calls)).every(({ status }) => status === "rejected")).toBe(true);
    process.off("warning", listener);
    expect(warnings).toEqual([]);
  });

  test("[E2] a method that is not there is refused as the server refuses it", async ({ connected }) => {
    const client = await connected();
    for (const method of ["identity.nothing", "toString"]) {
      const error = await failure(client.submit(method as "identity.get", {}));
      expect(error).toMatchObject({ reason: "UNKNOWN_METHOD", method });
    }
  });

  test("[E2] what the server would take for no frame ends the call, not the session of all the others", async ({
    server,
    connected,
  }) => {
    const client = await connected();
    const session = await server.session();
    const other = client.identity.history({ clientId });
    const request = await session.request("identity.history");
    let nested: unknown[] = [];
    for (let depth = 0; depth < 20; depth += 1) nested = [nested];
    const itself: Record<string, unknown> = {};
    itself["any"] = [itself];
    const odd: object[] = [
      { any: ["\ud83d"] },
      { any: [`${"long enough for another way to write it".repeat(3)}\udc00`] },
      { any: ["a"], ["\ud800"]: 1 },
      { any: nested },
      { any: new Array(700_000).fill("") },
      { any: [new ArrayBuffer(2)] },
      itself,
    ];
    for (const params of odd) {
      expect(await failure(client.submit("identity.find", params))).toMatchObject({ reason: "BAD_PARAMS" });
    }
    const key = failure(client.identity.delete({ clientId }, { key: "\ud800" }));
    expect(await key).toMatchObject({ reason: "BAD_PARAMS", method: "identity.delete" });
    session.send(encodeResult(request.id, history));
    await other;
    expect(session.messages.flat()).toEqual([request]);
    expect(session.closeCode).toBeUndefined();
  });

  test("[C6] keeps within inFlightMax and messageBytesMax, and bounds what waits", async ({ server, connected }) => {
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

  test("close rejects what waits, and says which mutations nobody knows of", async ({ server, connected }) => {
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
