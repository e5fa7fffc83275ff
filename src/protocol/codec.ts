// msgpack, standard formats only (T1): values to bytes and back. What is decoded is plain, bounded
// and shares no memory with the input; what is encoded for the wire has integers in integer formats. Must never hand out
// bytes that a later value overwrites, nor keep for itself what one large value needed.
import { Packr, RESET_BUFFER_MODE, Unpackr } from "msgpackr";
import { MalformedMsgpack, defaultDecodeLimits, scanValues, type DecodeLimits } from "./msgpack-scan.ts";

export { MalformedMsgpack, type DecodeLimits } from "./msgpack-scan.ts";

const INT64_MIN = -(2n ** 63n);
const UINT64_MAX = 2n ** 64n - 1n;

const standard = { useRecords: false, variableMapSize: true } as const;
const packer = new Packr(standard);
const poolPacker = new Packr(standard);
/** What `poolPacker` fills, value behind value, before it takes a new one; a larger value has it grow. */
const POOL_BYTES = 8192;
/** A buffer that `packer` has grown to more is let go. */
const KEPT_BYTES_MAX = 1024 * 1024;

/**
 * `undefined` entries of maps are left out; Uint8Array becomes bin; integers take the shortest
 * integer format, whether they are number or bigint.
 * @throws TypeError for what is not plain data: a bug of the caller
 */
export function encode(value: unknown): Uint8Array {
  // A copy stands alone and may be kept; what was packed is overwritten by the next.
  const packed = packer.pack(plain(value, true), RESET_BUFFER_MODE);
  if (packed.buffer.byteLength > KEPT_BYTES_MAX) packer.useBuffer(Buffer.allocUnsafeSlow(POOL_BYTES));
  return new Uint8Array(packed);
}

/**
 * As `encode`, for what the store keeps and `decode` alone reads again: numbers beyond 32 bits are floats, which spares
 * copying all that holds one. To be let go once it is written: small values share a buffer, which the last would keep whole.
 */
export function encodeStored(value: unknown): Uint8Array {
  const packed = poolPacker.pack(plain(value, false));
  const { buffer, byteOffset, length } = packed;
  if (buffer.byteLength > POOL_BYTES) poolPacker.useBuffer(Buffer.allocUnsafeSlow(POOL_BYTES));
  return new Uint8Array(buffer, byteOffset, length);
}

/** @throws MalformedMsgpack unless `bytes` are exactly one plain value within the limits */
export function decode(bytes: Uint8Array, limits: DecodeLimits = defaultDecodeLimits): unknown {
  const values = decodeValues(bytes, limits);
  if (values.length !== 1) throw new MalformedMsgpack("expected one value");
  return values[0];
}

/** Values that stand back to back. @throws MalformedMsgpack */
export function decodeValues(bytes: Uint8Array, limits: DecodeLimits = defaultDecodeLimits): unknown[] {
  let start = 0;
  return scanValues(bytes, limits).map(({ end, holdsEdge }): unknown => {
    const source = new Uint8Array(bytes.buffer, bytes.byteOffset + start, end - start);
    start = end;
    return holdsEdge ? narrowed(exactUnpacker.unpack(source)) : unpacker.unpack(source);
  });
}

// `copyBuffers`: bin is a copy, and plain Uint8Array because the source is one.
const plainData = { useRecords: false, mapsAsObjects: true, copyBuffers: true } as const;
// "auto": a number up to 2^53, that one included, which then looks like a float that is none of ours (T1); else a bigint.
const unpacker = new Unpackr({ ...plainData, int64AsType: "auto" as "bigint" });
const exactUnpacker = new Unpackr({ ...plainData, int64AsType: "bigint" });

/** Numbers in place of the bigints that they hold exactly. */
function narrowed(value: unknown): unknown {
  if (typeof value === "bigint") return Number.isSafeInteger(Number(value)) ? Number(value) : value;
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return value;
  const items = value as Record<string, unknown>;
  for (const key of Object.keys(items)) items[key] = narrowed(items[key]);
  return value;
}

/** @param exact whole numbers beyond 32 bits are to be integers (T1) */
function plain(value: unknown, exact: boolean): unknown {
  switch (typeof value) {
    case "string":
      return text(value);
    case "boolean":
      return value;
    case "number":
      return exact && Number.isSafeInteger(value) ? integer(value) : value;
    case "bigint":
      return integer(value);
    case "object":
      return value === null ? null : plainObject(value, exact);
    case "undefined":
      return null;
    default:
      throw new TypeError(`a ${typeof value} can't be encoded`);
  }
}

/** Half a surrogate pair has no UTF-8: msgpackr packs it as bytes that are none, or as another character. */
function text(value: string): string {
  if (!value.isWellFormed()) throw new TypeError("a string with half a surrogate pair can't be encoded");
  return value;
}

/** msgpackr packs numbers beyond 32 bits as floats and bigints in eight bytes: neither is wanted. */
function integer(value: number | bigint): number | bigint {
  if (value >= -0x80000000 && value <= 0xffffffff) return Number(value);
  if (typeof value === "number") return BigInt(value);
  if (value < INT64_MIN || value > UINT64_MAX) throw new TypeError("an integer is beyond 64 bits");
  return value;
}

/** The value itself where nothing in it has to be written differently: most have nothing. */
function plainObject(value: object, exact: boolean): unknown {
  if (value instanceof Uint8Array) return value;
  if (Array.isArray(value)) return plainArray(value, exact);
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) throw new TypeError("only plain objects can be encoded");
  const given = value as Record<string, unknown>;
  let copy: Record<string, unknown> | undefined = prototype === null ? {} : undefined;
  // Of such an object all that is enumerable is its own; a list of its keys would cost more than the look at them.
  for (const key in given) {
    text(key);
    const item = given[key];
    const written = item === undefined ? undefined : plain(item, exact);
    if (copy === undefined) {
      if (item !== undefined && written === item) continue;
      copy = entriesBefore(key, given);
    }
    if (item !== undefined) copy[key] = written;
  }
  return copy ?? value;
}

function entriesBefore(end: string, given: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const entries: Record<string, unknown> = {};
  for (const key in given) {
    if (key === end) break;
    entries[key] = given[key];
  }
  return entries;
}

function plainArray(values: readonly unknown[], exact: boolean): readonly unknown[] {
  let copy: unknown[] | undefined;
  for (let n = 0; n < values.length; n += 1) {
    const written = plain(values[n], exact);
    if (copy === undefined && written !== values[n]) copy = values.slice(0, n);
    copy?.push(written);
  }
  return copy ?? values;
}
