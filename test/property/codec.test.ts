import fc from "fast-check";
import { Packr } from "msgpackr";
import { describe, expect, test } from "vitest";
import { MalformedMsgpack, decode, decodeValues, encode, encodeStored } from "../../src/protocol/codec.ts";
import { decodeClientFrames, decodeServerFrames } from "../../src/protocol/parse-frames.ts";

const seed = Number(process.env["AEGIS_SEED"] ?? Date.now() % 2 ** 31);
const runs = { seed, numRuns: 500 };
const fromHex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text.replaceAll(" ", ""), "hex"));

/** What a decoded value looks like, given the value encoded. */
function canonical(value: unknown): unknown {
  if (typeof value === "bigint")
    return value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER ? Number(value) : value;
  if (Array.isArray(value)) return value.map(canonical);
  if (value === null || typeof value !== "object" || value instanceof Uint8Array)
    return Object.is(value, -0) ? 0 : value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, canonical(item)]));
}

const key = fc.string({ maxLength: 40, unit: "grapheme" }).filter((text) => text !== "__proto__");
const leaf = fc.oneof(
  fc.string({ maxLength: 300, unit: "grapheme" }),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }),
  fc.maxSafeInteger(),
  fc.integer(),
  fc.boolean(),
  fc.constant(null),
  fc.double({ noNaN: true }),
  fc.uint8Array({ maxLength: 300 }),
);
const { value } = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: "small", maxDepth: 8 },
    leaf,
    fc.array(tie("value"), { maxLength: 20 }),
    fc.dictionary(key, tie("value"), { maxKeys: 20, noNullPrototype: true }),
  ),
}));

describe(`codec (seed ${seed})`, () => {
  test("[T1] every plain value survives a round trip", () => {
    fc.assert(
      fc.property(value, (one) => {
        expect(decode(encode(one))).toEqual(canonical(one));
      }),
      runs,
    );
  });

  test("[T1] whole numbers leave in the shortest integer format, never as floats", () => {
    const whole = fc.oneof(fc.maxSafeInteger(), fc.integer(), fc.integer({ min: -300, max: 300 }));
    fc.assert(
      fc.property(whole, (number) => {
        const bytes = encode(number);
        expect(bytes).toEqual(encode(BigInt(number)));
        expect([0xca, 0xcb]).not.toContain(bytes[0]);
        const width =
          number >= -32 && number < 128
            ? 1
            : number >= -128 && number < 256
              ? 2
              : number >= -32_768 && number < 65_536
                ? 3
                : number >= -(2 ** 31) && number < 2 ** 32
                  ? 5
                  : 9;
        expect(bytes.length).toBe(width);
        expect(decode(bytes)).toBe(number === 0 ? 0 : number);
      }),
      runs,
    );
  });

  test("[T1] [T2] 2^53 as an integer is no float: it stays what it is among all others", () => {
    for (const edge of [2n ** 53n, -(2n ** 53n)]) {
      const body = { epoch: edge, beside: [2n ** 53n - 1n, 2n ** 53n + 1n, 7, new Uint8Array([1]), null, { n: edge }] };
      expect(decode(encode(body))).toEqual({ ...body, beside: [2 ** 53 - 1, ...body.beside.slice(1)] });
      expect(encode(decode(encode(body)))).toEqual(encode(body));
      expect(decodeValues(Buffer.concat([encode(1), encode(edge), encode(2n ** 40n)]))).toEqual([1, edge, 2 ** 40]);
    }
    expect(decode(fromHex("d3 0020000000000000"))).toBe(2n ** 53n);
    expect(decode(fromHex("cb 4340000000000000"))).toBe(2 ** 53);
  });

  test("[T1] floats of a client are read; undefined entries are left out", () => {
    expect(decode(fromHex("cb 41f2a05f20000000"))).toBe(5_000_000_000);
    expect(decode(fromHex("ca 40400000"))).toBe(3);
    expect(encode({ a: undefined, b: 1 })).toEqual(fromHex("81 a162 01"));
    expect(encode(new Uint8Array([1, 2]))).toEqual(fromHex("c4 02 0102"));
    expect(encode(Buffer.from([1, 2]))).toEqual(fromHex("c4 02 0102"));
    for (const odd of [
      new Date(0),
      new Map(),
      new Set(),
      /x/,
      () => 0,
      Symbol("s"),
      2n ** 64n,
      "\ud800",
      { "\udc00": 1 },
    ]) {
      expect(() => encode({ odd })).toThrow(TypeError);
    }
  });

  test("[F22] bin is a copy: neither the input nor a neighbour shows through", () => {
    const bytes = encode([new Uint8Array([1, 2, 3]), new Uint8Array([4])]);
    const [first] = decode(bytes) as [Uint8Array];
    bytes.fill(0xee);
    expect(first).toEqual(new Uint8Array([1, 2, 3]));
    expect(Object.getPrototypeOf(first)).toBe(Uint8Array.prototype);
    expect(first.buffer.byteLength).toBe(3);
    const whole = encode({ a: 1 });
    expect(whole.buffer.byteLength).toBe(whole.length);
    expect(decode(Buffer.from("xx\x81\xa1a\x01", "latin1").subarray(2))).toEqual({ a: 1 });
  });

  test("[F22] what was encoded stays as it was, whatever is encoded after it; a small one behind a large one has no large buffer", () => {
    const sizes = fc.array(fc.oneof(fc.nat(300), fc.nat(20_000)), { minLength: 1, maxLength: 60 });
    fc.assert(
      fc.property(sizes, (lengths) => {
        const values = lengths.map((length, n) => new Uint8Array(length).fill(n));
        for (const encoded of [values.map(encode), values.map(encodeStored)]) {
          expect(encoded.map((bytes) => decode(bytes))).toEqual(values);
        }
        encodeStored(new Uint8Array(100_000));
        expect(encodeStored(1).buffer.byteLength).toBeLessThanOrEqual(8192);
        expect(encode(1).buffer.byteLength).toBe(1);
      }),
      { ...runs, numRuns: 50 },
    );
  });

  test("[F22] anything but plain, whole, string-keyed msgpack is refused without a word of it", () => {
    const typed = new Packr({ useRecords: false, moreTypes: true, structuredClone: true });
    const refused = [
      fromHex("c1"),
      fromHex("d4 01 00"),
      fromHex("d6 ff 00000000"),
      fromHex("c7 01 05 00"),
      fromHex("c8 0001 05 00"),
      fromHex("c9 00000001 05 00"),
      fromHex("81 01 02"),
      fromHex("81 c4 01 61 02"),
      fromHex("a1 ff"),
      fromHex("a2 c3 28"),
      fromHex("a3 ed a0 80"),
      fromHex("d9 05 61"),
      fromHex("dd ffffffff"),
      fromHex("df ffffffff"),
      fromHex("c6 ffffffff 00"),
      fromHex("db ffffffff 00"),
      fromHex("92 01"),
      fromHex("01 02"),
      new Uint8Array(0),
      new Uint8Array(typed.pack(new Set([1]))),
      new Uint8Array(typed.pack(/secret/)),
      new Uint8Array(typed.pack(new Date())),
      new Uint8Array(typed.pack(new Error("secret"))),
      new Uint8Array(typed.pack(new Float64Array(3))),
    ];
    for (const bytes of refused) {
      expect(() => decode(bytes), Buffer.from(bytes).toString("hex")).toThrow(MalformedMsgpack);
      try {
        decode(bytes);
      } catch (error) {
        expect(String(error)).not.toContain("secret");
      }
    }
  });

  test("[F22] depth and elements are bounded before anything is allocated", () => {
    const nested = (depth: number): Uint8Array => new Uint8Array([...new Array<number>(depth).fill(0x91), 0xc0]);
    expect(decode(nested(16))).toBeDefined();
    expect(() => decode(nested(17))).toThrow("nested too deeply");
    expect(() => decode(nested(1_000_000))).toThrow("nested too deeply");
    const maps = new Uint8Array(1_000_003).fill(0x80);
    maps.set([0xdd, 0x00, 0x0f, 0x42, 0x3e]);
    const before = process.memoryUsage().heapUsed;
    expect(() => decode(maps)).toThrow("too many elements");
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(8_000_000);
    expect(() => decodeValues(new Uint8Array(700_001).fill(0x01))).toThrow("too many elements");
    expect(() => decodeValues(new Uint8Array(100), { depthMax: 4, elementsMax: 99 })).toThrow("too many elements");
  });

  test("[S7] one ACK names every inbox of a session with all its streams", () => {
    const ack = [4, 1, Array.from({ length: 200_000 }, (_, stream) => [stream, 1 + stream])];
    expect(decode(encode(ack))).toEqual(ack);
  });

  test("[F22] keys that name a prototype are harmless", () => {
    const decoded = decode(fromHex("82 a9 5f5f70726f746f5f5f 81 a161 01 ab 636f6e7374727563746f72 01")) as object;
    expect(Object.getPrototypeOf(decoded)).toBe(Object.prototype);
    expect(({} as { a?: number }).a).toBeUndefined();
  });

  test("[F22] random, cut and flipped bytes are refused or read, never anything else", () => {
    const parse = (bytes: Uint8Array): void => {
      for (const parsed of [decodeClientFrames(bytes), decodeServerFrames(bytes)])
        expect(typeof parsed.ok).toBe("boolean");
    };
    fc.assert(fc.property(fc.uint8Array({ maxLength: 400 }), parse), runs);
    const frame = fc.tuple(fc.integer({ min: 0, max: 11 }), value, value, value, value);
    fc.assert(
      fc.property(frame, fc.nat(), fc.nat(), (whole, at, bit) => {
        const bytes = encode(whole);
        parse(bytes);
        parse(bytes.subarray(0, at % bytes.length));
        const flipped = bytes.slice();
        flipped[at % bytes.length] = (flipped[at % bytes.length] as number) ^ (1 << (bit % 8));
        parse(flipped);
      }),
      runs,
    );
  });
});
