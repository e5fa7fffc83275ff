import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { encode } from "../../src/protocol/codec.ts";
import { refuse } from "../../src/protocol/errors.ts";
import { encodeCancel, encodeRequest } from "../../src/protocol/frames.ts";
import type { Answer } from "../../src/services/request-port.ts";
import { SessionHarness } from "../support/session-harness.ts";
import { CLIENT, TOKENS } from "../support/transport-world.ts";
import { WireClient } from "../support/wire-client.ts";

const h = new SessionHarness();
beforeEach(() => h.begin());
afterEach(() => h.end());

describe("judging a request", () => {
  it("[E1] answers a refusal as an error with all its fields", async () => {
    const refusal = refuse("RATE_LIMITED", { retryAfterMs: 5, details: { of: "claims" } });
    h.world.answer = () => Promise.resolve({ kind: "refused", refusal });
    expect((await h.client.call("identity.get", { clientIds: [] })).error).toEqual(refusal);
  });

  it("[E2] judges method, then scope, then params", async () => {
    const operatorOnly = await h.client.call("application.delete", { wrong: 1 });
    expect(operatorOnly.error).toMatchObject({ code: "PERMISSION_DENIED", reason: "SCOPE" });
    const unknown = await h.client.call("identity.invent", { wrong: 1 });
    expect(unknown.error).toMatchObject({ code: "UNIMPLEMENTED", reason: "UNKNOWN_METHOD", retryable: false });
    const bad = await h.client.call("identity.get", { clientIds: ["no uuid"] });
    expect(bad.error).toMatchObject({
      code: "INVALID_ARGUMENT",
      reason: "BAD_PARAMS",
      details: { path: "clientIds.0" },
    });
    expect((await h.client.call("__proto__", {})).error).toMatchObject({ reason: "UNKNOWN_METHOD" });
    const wrongKey = h.client.request("identity.delete", { clientId: CLIENT }, { key: "" });
    expect((await h.client.response(wrongKey)).error).toMatchObject({
      reason: "BAD_PARAMS",
      details: { path: "meta.key" },
    });
    expect(h.world.requests).toEqual([]);
  });

  it("[E2] [G9] gives each key its own scopes only, and the operator none of an application's", async () => {
    const pool = await WireClient.connect(h.world.port, TOKENS.poolOnly);
    const operator = await WireClient.connect(h.world.port, TOKENS.operator);
    const position = { lineage: "l", offset: 1 };
    const calls: [WireClient, string, object, string | undefined][] = [
      [pool, "keyPool.status", { clientIds: [] }, undefined],
      [pool, "identity.get", { clientIds: [] }, "identity"],
      [pool, "group.list", { clientId: CLIENT }, "group"],
      [pool, "subscription.open", {}, "stream"],
      [pool, "stream.acknowledge", { id: CLIENT, position }, "stream"],
      [pool, "application.get", {}, undefined],
      [pool, "application.list", {}, "operator"],
      [operator, "application.list", {}, undefined],
      [operator, "identity.get", { clientIds: [] }, "identity"],
      [operator, "stream.read", { kind: "client", id: CLIENT }, "stream"],
    ];
    for (const [who, method, params, scope] of calls) {
      const { error } = await who.call(method, params);
      expect([method, error?.reason, error?.details?.["scope"]]).toEqual([method, scope && "SCOPE", scope]);
    }
    pool.socket.terminate();
    operator.socket.terminate();
  });

  it("hands on what a service needs, the idempotency key only to methods that change something", async () => {
    const before = performance.now();
    await h.client.call("identity.delete", { clientId: CLIENT, unknown: 1 }, { key: "k", ttlMs: 2000, trace: "t" });
    await h.client.call("identity.get", { clientIds: [CLIENT] }, { key: new Uint8Array([1]) });
    const [first, second] = h.world.requests;
    expect(first).toMatchObject({ method: "identity.delete", params: { clientId: CLIENT }, key: "s:k" });
    expect(first?.deadline).toBeGreaterThanOrEqual(before + 2000);
    expect(first?.deadline).toBeLessThan(performance.now() + 2000);
    expect(second).not.toHaveProperty("key");
    const byBytes = h.client.request("identity.delete", { clientId: CLIENT }, { key: Uint8Array.of(0x6b) });
    await h.client.response(byBytes);
    expect(h.world.requests[2]?.key).toBe("b:6b");
  });
});

describe("time", () => {
  it("[E3] gives the default time, lowers what is above the maximum, and runs nothing that has expired", async () => {
    await h.client.call("identity.get", { clientIds: [] });
    await h.client.call("identity.get", { clientIds: [] }, { ttlMs: 3_600_000 });
    const expired = await h.client.call("identity.get", { clientIds: [] }, { ttlMs: 0 });
    expect(expired.error).toMatchObject({ code: "DEADLINE_EXCEEDED", reason: "DEADLINE_EXCEEDED", retryable: true });
    expect(h.world.requests).toHaveLength(2);
    const left = h.world.requests.map(({ deadline }) => deadline - performance.now());
    expect(left[0]).toBeLessThanOrEqual(10_000);
    expect(left[1]).toBeGreaterThan(25_000);
    expect(left[1]).toBeLessThanOrEqual(30_000);
  });

  it("[G6] answers by the deadline whatever the service does, and says what is unknown", async () => {
    h.world.answer = () => new Promise<Answer>(() => undefined);
    const [read, write] = [
      h.client.request("identity.get", { clientIds: [] }, { ttlMs: 50 }),
      h.client.request("identity.delete", { clientId: CLIENT }, { ttlMs: 50 }),
    ];
    expect((await h.client.response(read)).error).toMatchObject({ reason: "DEADLINE_EXCEEDED" });
    expect((await h.client.response(write)).error).toMatchObject({ reason: "OUTCOME_UNKNOWN", retryable: true });
    expect(h.world.requests.every(({ cancellation }) => cancellation?.cancelled)).toBe(true);
  });

  it("[G6] answers once, even when the service is late", async () => {
    let late: ((answer: Answer) => void) | undefined;
    h.world.answer = () => new Promise((resolve) => (late = resolve));
    const id = h.client.request("identity.get", { clientIds: [] }, { ttlMs: 20 });
    await h.client.response(id);
    late?.({ kind: "done", result: {} });
    h.world.answer = () => Promise.resolve({ kind: "done", result: {} });
    await h.client.call("identity.get", { clientIds: [] });
    expect(h.client.of("response").filter((frame) => frame.id === id)).toHaveLength(1);
  });

  it("[G6] turns a service's defect into INTERNAL and goes on", async () => {
    h.world.answer = () => Promise.reject(new Error("hush"));
    expect((await h.client.call("identity.get", { clientIds: [] })).error).toMatchObject({
      code: "INTERNAL",
      reason: "INTERNAL",
    });
    h.world.answer = () => Promise.resolve({ kind: "done", result: { wrong: () => undefined } });
    expect((await h.client.call("identity.get", { clientIds: [] })).error).toMatchObject({ reason: "INTERNAL" });
    expect(h.world.log.join("")).not.toContain("hush");
    expect(h.world.log).toHaveLength(2);
  });

  it("[E4] judges an idempotency key only where it matters", async () => {
    for (const key of ["", "k".repeat(65)]) {
      expect((await h.client.call("identity.get", { clientIds: [CLIENT] }, { key })).error).toBeUndefined();
      expect((await h.client.call("identity.delete", { clientId: CLIENT }, { key })).error).toMatchObject({
        reason: "BAD_PARAMS",
        details: { path: "meta.key" },
      });
    }
  });

  it("passes CANCEL on and still answers", async () => {
    let answer: ((answer: Answer) => void) | undefined;
    h.world.answer = () => new Promise((resolve) => (answer = resolve));
    const id = h.client.request("identity.get", { clientIds: [] });
    await h.client.until(() => h.world.requests.length === 1, "the request");
    expect(h.world.requests[0]?.cancellation?.cancelled).toBe(false);
    h.client.send(encodeCancel(id), encodeCancel(999));
    await h.client.until(() => h.world.requests[0]?.cancellation?.cancelled, "the cancellation");
    answer?.({ kind: "refused", refusal: refuse("CANCELLED") });
    expect((await h.client.response(id)).error).toMatchObject({ reason: "CANCELLED" });
  });

  it("aborts what is in flight when the session goes", async () => {
    h.world.answer = () => new Promise<Answer>(() => undefined);
    h.client.request("identity.get", { clientIds: [] });
    await h.client.until(() => h.world.requests.length === 1, "the request");
    h.client.socket.terminate();
    await h.client.until(() => h.world.requests[0]?.cancellation?.cancelled, "the abort");
  });
});

describe("bounds", () => {
  it("[C6] refuses more than inFlightMax requests in flight, and answers the others", async () => {
    await h.restart({ inFlightMax: 4 });
    const waiting: ((answer: Answer) => void)[] = [];
    h.world.answer = () => new Promise((resolve) => waiting.push(resolve));
    const ids = Array.from({ length: 6 }, () => h.client.request("identity.get", { clientIds: [] }));
    for (const id of ids.slice(4)) {
      const { error } = await h.client.response(id);
      expect(error).toMatchObject({ code: "RESOURCE_EXHAUSTED", reason: "IN_FLIGHT_LIMIT", retryable: true });
    }
    for (const resolve of waiting) resolve({ kind: "done", result: {} });
    for (const id of ids.slice(0, 4)) expect((await h.client.response(id)).error).toBeUndefined();
  });

  it("[C3] closes 4500 on an id that is still in flight, and allows it again afterwards", async () => {
    const again = encodeRequest(5, "identity.get", { clientIds: [] });
    h.client.send(again);
    await h.client.response(5);
    h.world.answer = () => new Promise<Answer>(() => undefined);
    h.client.send(again);
    h.client.send(again);
    expect(await h.client.closeCode()).toBe(4500);
  });

  it("keeps an application to its requests per second", async () => {
    h.client.socket.terminate();
    await h.client.closeCode();
    await h.client.until(() => h.world.server.sessionCount === 0, "the session's end");
    h.world.quotasNow = { requestsPerSecond: 3 };
    await h.connect();
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => h.client.call("identity.get", { clientIds: [] })),
    );
    const refused = answers.filter(({ error }) => error !== undefined);
    expect(refused.length).toBeGreaterThanOrEqual(4);
    expect(refused[0]?.error).toMatchObject({ reason: "RATE_LIMITED", retryable: true });
    expect(refused[0]?.error?.retryAfterMs).toBeGreaterThan(0);
  });

  it("counts requests by method and code, and lets no caller make up a label", async () => {
    await h.client.call("identity.get", { clientIds: [] });
    await h.client.call("made.up.by.caller", {});
    const { body } = await h.world.telemetry.metrics();
    expect(body).toContain('aegis_requests_total{method="identity.get",code="OK"} 1');
    expect(body).toContain('aegis_requests_total{method="unknown",code="UNIMPLEMENTED"} 1');
    expect(body).not.toContain("made.up");
  });

  it("[L6] counts a session that its client ended with a code of its own under no code, the server's neither", async () => {
    for (const code of [1000, 3777, 4501]) {
      const client = await WireClient.connect(h.world.port, TOKENS.all);
      client.socket.close(code);
      await client.closeCode();
    }
    const { body } = await h.world.telemetry.metrics();
    const counted = body.match(/^aegis_sessions_closed_total.*$/gm);
    expect(counted).toEqual([
      'aegis_sessions_closed_total{code="1000"} 1',
      'aegis_sessions_closed_total{code="other"} 2',
    ]);
  });
});

describe("hostile bytes", () => {
  it("[F22] [G10] closes 4500, keeps serving others and stays small whatever comes", async () => {
    const seed = Number(process.env["AEGIS_SEED"] ?? Date.now() % 1_000_000);
    console.log(`seed ${seed}`);
    const random = randomBytesFrom(seed);
    const valid = encodeRequest(1, "identity.get", { clientIds: [CLIENT] });
    const deep = new Uint8Array(100_000).fill(0x91);
    const hugeLengths = Uint8Array.of(0xdd, 0xff, 0xff, 0xff, 0xff, 0xdf, 0xff, 0xff, 0xff, 0xff);
    const emptyMaps = new Uint8Array(4_000_000).fill(0x80);
    const attacks: Uint8Array[] = [
      deep,
      hugeLengths,
      emptyMaps,
      encode([0, 1, "identity.get", "no map"]),
      encode([0, -1, "x", {}]),
    ];
    for (let round = 0; round < 150; round += 1) {
      const flipped = Uint8Array.from(valid);
      const at = Math.floor(random() * flipped.length);
      flipped[at] = (flipped[at] ?? 0) ^ (1 << Math.floor(random() * 8));
      attacks.push(flipped, valid.subarray(0, Math.floor(random() * valid.length)));
      attacks.push(Uint8Array.from({ length: 1 + Math.floor(random() * 300) }, () => Math.floor(random() * 256)));
    }
    const before = process.memoryUsage().heapUsed;
    for (const attack of attacks) {
      const attacker = await WireClient.connect(h.world.port, TOKENS.all);
      attacker.socket.send(attack);
      attacker.request("identity.get", { clientIds: [] });
      await attacker.until(() => attacker.closed ?? attacker.of("response").length > 0, "an answer or a close");
      if (attacker.closed !== undefined) expect(attacker.closed.code).toBe(4500);
      attacker.socket.terminate();
    }
    expect((await h.client.call("identity.get", { clientIds: [] })).error).toBeUndefined();
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(200 * 1024 * 1024);
  }, 60_000);
});

/** Mulberry32: small, seeded, good enough to make noise. */
function randomBytesFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
