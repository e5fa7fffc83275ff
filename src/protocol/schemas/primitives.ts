// The types of PROTOCOL §0 as schemas: what both sides accept and what TypeScript sees. Each has a
// title (its name in docs/PROTOCOL.md). No schema may put a value into its message.
import { z } from "zod";

const UINT64_MAX = 2n ** 64n - 1n;

export interface MapOptions {
  /** Keys where nil says something of its own ("no limit") and so does not equal absent. */
  readonly nilMeans?: readonly string[];
}

/** A msgpack map with these keys: nil equals absent, unknown keys are ignored (T1). */
export function map<S extends z.ZodRawShape>(
  shape: S,
  options: MapOptions = {},
): z.ZodType<z.output<z.ZodObject<S>>, z.input<z.ZodObject<S>>> {
  return nilIsAbsent(z.object(shape, { error: "expected a map" }), options);
}

/** Drops the nil entries of a map before `schema` (a map or a union of maps) judges it. */
export function nilIsAbsent<T extends z.ZodType>(
  schema: T,
  options: MapOptions = {},
): z.ZodType<z.output<T>, z.input<T>> {
  const kept = new Set(options.nilMeans ?? []);
  const judged: unknown = z.preprocess((value) => withoutNil(value, kept), schema);
  return judged as z.ZodType<z.output<T>, z.input<T>>;
}

function withoutNil(value: unknown, kept: ReadonlySet<string>): unknown {
  if (!isMap(value)) return value instanceof Uint8Array ? undefined : value;
  const present: Record<string, unknown> = {};
  for (const [key, item] of Object.entries(value)) {
    if (item === undefined || (item === null && !kept.has(key))) continue;
    if (key !== "__proto__") present[key] = item;
  }
  return present;
}

export function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array);
}

/** An unsigned integer up to `max` (at most 2^53 - 1) as a number. */
export function uint(max: number = Number.MAX_SAFE_INTEGER, min = 0) {
  const bounds = max === Number.MAX_SAFE_INTEGER ? (min === 0 ? "" : ` (≥ ${min})`) : ` (${min}–${max})`;
  const message = `expected an unsigned integer${bounds}`;
  return z
    .union([z.number(), z.bigint()], { error: message })
    .transform((value, context): number => {
      const number = Number(value);
      if (!Number.isSafeInteger(number) || number < min || number > max) {
        context.addIssue({ code: "custom", message });
        return z.NEVER;
      }
      return number === 0 ? 0 : number;
    })
    .meta({ title: `uint${bounds}` });
}

/**
 * An unsigned 64-bit integer of which only the size matters: what a number can't hold exactly is more than is ever
 * counted, and becomes the greatest that it can.
 */
export const magnitude = z
  .union([z.number(), z.bigint()], { error: "expected an unsigned 64-bit integer" })
  .transform((value, context): number => {
    const isWhole = typeof value === "bigint" ? value <= UINT64_MAX : Number.isSafeInteger(value);
    if (!isWhole || value < 0) {
      context.addIssue({ code: "custom", message: "expected an unsigned 64-bit integer" });
      return z.NEVER;
    }
    // Never the zero that has a sign.
    return Math.min(Number(value), Number.MAX_SAFE_INTEGER) + 0;
  })
  .meta({ title: "uint" });

/** UTF-8 text of `min` to `max` bytes. */
export function text(min: number, max: number) {
  const message = `expected a string of ${min} to ${max} bytes`;
  return z
    .string(message)
    .refine((value) => {
      // A UTF-16 unit is at most three bytes of UTF-8, so most strings need no count.
      if (value.length > max) return false;
      const bytes = value.length * 3 <= max ? value.length : Buffer.byteLength(value, "utf8");
      return bytes >= min && bytes <= max;
    }, message)
    .meta({ title: `string (${min}–${max} bytes)` });
}

export function binary(min: number, max: number = Number.MAX_SAFE_INTEGER) {
  const unbounded = max === Number.MAX_SAFE_INTEGER;
  const bounds = unbounded ? (min === 0 ? "" : ` (≥ ${min} bytes)`) : ` (${min}–${max} bytes)`;
  const message = `expected bin${bounds}`;
  return z
    .custom<Uint8Array>((value) => value instanceof Uint8Array && value.length >= min && value.length <= max, message)
    .meta({ title: `bin${bounds}` });
}

export function list<T extends z.ZodType>(item: T, bounds: { readonly min?: number; readonly max?: number } = {}) {
  const array = z.array(item, { error: "expected an array" });
  const atLeast = bounds.min === undefined ? array : array.min(bounds.min, `expected at least ${bounds.min} elements`);
  return bounds.max === undefined ? atLeast : atLeast.max(bounds.max, `expected at most ${bounds.max} elements`);
}

export const bool = z.boolean("expected a bool").meta({ title: "bool" });

export const epoch = z
  .union([z.number(), z.bigint()], { error: "expected an unsigned 64-bit integer" })
  .transform((value, context): bigint => {
    const whole = typeof value === "bigint" || Number.isSafeInteger(value) ? BigInt(value) : -1n;
    if (whole < 0n || whole > UINT64_MAX) {
      context.addIssue({ code: "custom", message: "expected an unsigned 64-bit integer" });
      return z.NEVER;
    }
    return whole;
  })
  .meta({ title: "epoch" });

export const count = uint().meta({ title: "uint" });
export const uint16 = uint(0xffff).meta({ title: "uint16" });
export const uint32 = uint(0xffffffff).meta({ title: "uint32" });
export const offset = magnitude.meta({ title: "offset" });
export const time = uint().meta({ title: "time" });
export const ciphersuite = uint(0xffff, 1).meta({ title: "ciphersuite" });

export const uuid = z
  .string("expected a lower-case UUID")
  .regex(/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, "expected a lower-case UUID")
  .meta({ title: "uuid" });
export const bin = binary(0).meta({ title: "bin" });
export const mls = binary(0).meta({ title: "mls" });
export const credential = binary(0).meta({ title: "credential" });
export const ratchetTree = binary(0).meta({ title: "ratchetTree" });
export const externalSender = binary(1).meta({ title: "externalSender" });
export const groupId = binary(1, 255).meta({ title: "groupId" });
export const keyPackageRef = binary(1, 64).meta({ title: "keyPackageRef" });
export const proposalRef = binary(1, 64).meta({ title: "proposalRef" });
export const digest = binary(32, 32).meta({ title: "digest" });
export const hash = binary(0, 64).meta({ title: "hash" });
export const tag = text(1, 256).meta({ title: "tag" });
export const label = text(0, 64).meta({ title: "label" });
export const handle = text(0, 65_536).meta({ title: "handle" });
export const cursor = text(1, 2048).meta({ title: "cursor" });
export const keyId = z
  .string("expected a key id")
  .regex(/^[A-Za-z0-9-]{1,64}$/, "expected a key id")
  .meta({ title: "keyId" });

export const position = map({ lineage: text(1, 128), offset }).meta({ title: "position" });
export const member = map({
  type: z.enum(["member", "newMember", "external"], "expected member, newMember or external"),
  leaf: uint32.exactOptional(),
  clientId: uuid.exactOptional(),
}).meta({ title: "member" });

/** E1, as it stands in RES and in the items of results that are judged one by one. */
export const errorRecord = map({
  code: z.string(),
  reason: z.string(),
  message: z.string(),
  retryable: bool,
  retryAfterMs: count.exactOptional(),
  details: z.record(z.string(), z.unknown()).exactOptional(),
}).meta({ title: "error" });

export type Position = z.output<typeof position>;
export type ErrorRecord = z.output<typeof errorRecord>;
