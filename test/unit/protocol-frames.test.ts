import { describe, expect, test } from "vitest";
import { encode } from "../../src/protocol/codec.ts";
import { refuse } from "../../src/protocol/errors.ts";
import * as frames from "../../src/protocol/frames.ts";
import { decodeClientFrames, decodeServerFrames } from "../../src/protocol/parse-frames.ts";

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const fromHex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "hex"));

function clientFrames(...pieces: Uint8Array[]): unknown {
  const parsed = decodeClientFrames(frames.concatenate(pieces));
  return parsed.ok ? parsed.frames : parsed.message;
}
function serverFrames(...pieces: Uint8Array[]): unknown {
  const parsed = decodeServerFrames(frames.concatenate(pieces));
  return parsed.ok ? parsed.frames : parsed.message;
}

describe("frames", () => {
  test("[C3] one message holds several frames back to back", () => {
    expect(
      clientFrames(
        frames.encodeRequest(1, "identity.get", { clientIds: [] }),
        frames.encodeAck(2, [{ stream: 3, offset: 5_000_000_000 }]),
        frames.encodeCredit(2, 10, 1000),
        frames.encodeCancel(1),
        frames.encodePing(9),
        frames.encodePong("n"),
      ),
    ).toEqual([
      { type: "request", id: 1, method: "identity.get", params: { clientIds: [] }, meta: {} },
      { type: "ack", subscription: 2, offsets: [{ stream: 3, offset: 5_000_000_000 }] },
      { type: "credit", subscription: 2, messages: 10, bytes: 1000 },
      { type: "cancel", id: 1 },
      { type: "ping", nonce: 9 },
      { type: "pong", nonce: "n" },
    ]);
  });

  test("frames of the server round-trip", () => {
    const limits = {
      messageBytesMax: 4_194_304,
      inFlightMax: 1024,
      streamsMax: 9,
      heartbeatMs: 20_000,
      ttlMsMax: 30_000,
    };
    const welcome = { session: "s", node: "n", version: "0.1.0", protocol: "aegis.v1", limits };
    const goaway = { reason: "draining", deadlineMs: 1, reconnectMinMs: 2, reconnectMaxMs: 3 };
    const reset = { reason: "TRIMMED", position: { lineage: "l", offset: 4 } } as const;
    const refusal = refuse("EPOCH_CONFLICT", { details: { epoch: 3n } });
    expect(
      serverFrames(
        frames.encodeWelcome(welcome),
        frames.encodeResult(7, undefined),
        frames.encodeError(8, refusal),
        frames.encodeGoaway(goaway),
        frames.encodeReset(1, 2, reset),
      ),
    ).toEqual([
      { type: "welcome", ...welcome },
      { type: "response", id: 7, error: undefined, result: {} },
      { type: "response", id: 8, error: { ...refusal, details: { epoch: 3 } }, result: {} },
      { type: "goaway", ...goaway },
      { type: "reset", subscription: 1, stream: 2, ...reset },
    ]);
  });

  test("an event frame splices stored bodies in and equals one encoded whole", () => {
    const body = { epoch: 2n ** 60n, message: Uint8Array.of(1, 2) };
    const event = { offset: 9, time: 1_700_000_000_000, type: "application" };
    for (const number of [0, 1, 15, 16, 70_000]) {
      const events = Array.from({ length: number }, () => ({ ...event, body: encode(body) }));
      const spliced = frames.encodeEventFrame(1, 2, events);
      const whole = encode([3, 1, 2, events.map((one) => [one.offset, one.time, one.type, body])]);
      expect(Buffer.compare(spliced, whole)).toBe(0);
    }
    expect(serverFrames(frames.encodeEventFrame(1, 2, [{ ...event, body: encode(body) }]))).toEqual([
      { type: "event", subscription: 1, stream: 2, events: [{ ...event, body }] },
    ]);
  });

  test("[T1] frames are the bytes of the page", () => {
    expect(hex(frames.encodeRequest(1, "a.b", { x: 300 }, { key: "k" }))).toBe(
      "950001a3612e6281a178cd012c81a36b6579a16b",
    );
    expect(hex(frames.encodeCancel(65_536))).toBe("9206ce00010000");
    expect(hex(frames.encodeResult(2, {}))).toBe("940102c080");
  });

  test("[E4] a str key and a bin key of the same bytes are different keys", () => {
    const request = (key: string | Uint8Array): unknown => clientFrames(frames.encodeRequest(1, "m", {}, { key }));
    expect(request("ab")).toMatchObject([{ meta: { key: "s:ab" } }]);
    expect(request(Uint8Array.of(0x61, 0x62))).toMatchObject([{ meta: { key: "b:6162" } }]);
  });

  test("[E2] a wrong meta is answered, not closed on", () => {
    for (const [meta, path] of [
      [{ ttlMs: -1 }, "meta.ttlMs"],
      [{ trace: "x".repeat(257) }, "meta.trace"],
      [7, "meta"],
    ] as const) {
      expect(clientFrames(encode([0, 1, "m", {}, meta]))).toMatchObject([
        { id: 1, meta: {}, fault: { reason: "BAD_PARAMS", details: { path } } },
      ]);
    }
    for (const key of ["", "x".repeat(65), 5]) {
      // Whether it matters depends on the method (E4).
      expect(clientFrames(encode([0, 1, "m", {}, { key, ttlMs: 7 }]))).toMatchObject([
        { id: 1, meta: { ttlMs: 7 }, keyFault: { reason: "BAD_PARAMS", details: { path: "meta.key" } } },
      ]);
    }
    expect(clientFrames(encode([0, 1, "m", {}, null]))).toEqual([
      { type: "request", id: 1, method: "m", params: {}, meta: {} },
    ]);
    expect(clientFrames(encode([0, 1, "m"]))).toMatchObject([{ type: "request", id: 1 }]);
  });

  test("[T2] numbers of 64 bits are taken where only their size matters, as what a number can hold", () => {
    const endless = 2n ** 64n - 1n;
    const most = Number.MAX_SAFE_INTEGER;
    expect(clientFrames(encode([4, 1, [[1, endless]]]))).toEqual([
      { type: "ack", subscription: 1, offsets: [{ stream: 1, offset: most }] },
    ]);
    expect(clientFrames(encode([5, 1, 2n ** 63n - 1n, endless]))).toEqual([
      { type: "credit", subscription: 1, messages: most, bytes: most },
    ]);
    expect(clientFrames(encode([0, 1, "m", {}, { ttlMs: endless }]))).toMatchObject([{ meta: { ttlMs: most } }]);
  });

  test("[T1] elements beyond those that are named are ignored, also within an acknowledgement", () => {
    const offsets = [{ stream: 1, offset: 2 }];
    expect(clientFrames(encode([4, 1, [[1, 2, "more"]], "more"]))).toEqual([{ type: "ack", subscription: 1, offsets }]);
  });

  test("[E2] bytes that are no frame are refused whole", () => {
    const wrong: Uint8Array[] = [
      new Uint8Array(0),
      encode({}),
      encode([]),
      encode([2]),
      encode([0]),
      encode([0, -1, "m", {}]),
      encode([0, 2 ** 32, "m", {}]),
      encode([0, 1.5, "m", {}]),
      encode([0, 1, 5, {}]),
      encode([4, 1, [[1]]]),
      encode([4, 1]),
      encode([5, 1, -1, 0]),
      encode([6, "1"]),
      encode([7]),
      encode([7, {}]),
      encode([7, "x".repeat(65)]),
      encode(["0", 1, "m", {}]),
      frames.encodeResult(1, {}),
      frames.encodeGoaway({ reason: "r", deadlineMs: 1, reconnectMinMs: 1, reconnectMaxMs: 1 }),
      fromHex("9207"),
      fromHex("9207c1"),
      fromHex("920701ff93"),
    ];
    for (const bytes of wrong) expect(typeof clientFrames(bytes), hex(bytes)).toBe("string");
    expect(typeof serverFrames(frames.encodeCancel(1))).toBe("string");
  });
});
