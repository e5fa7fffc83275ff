// What a setting of the server is, and the few kinds that there are: their checks and how they are documented.
import { z } from "zod";

export interface Setting<T = unknown> {
  readonly doc: string;
  readonly unit: string;
  readonly range: string;
  readonly fallback: T;
  readonly schema: z.ZodType<T>;
  /** The command line's name for it, without the dashes. */
  readonly flag?: string;
  /** Never printed, not even when it is wrong. */
  readonly sensitive?: true;
}

type Extra = Pick<Setting, "flag" | "sensitive">;

export function wholeNumber(unit: string, min: number, max: number, fallback: number, doc: string, extra: Extra = {}) {
  const schema = z.preprocess(
    (value) => (typeof value === "string" && /^\d{1,15}$/.test(value) ? Number(value) : value),
    z.int({ error: "must be a whole number" }).min(min, `must be at least ${min}`).max(max, `must be at most ${max}`),
  );
  return { doc, unit, range: `${min} … ${max}`, fallback, schema, ...extra } satisfies Setting<number>;
}

export function oneOf<const T extends string>(values: readonly T[], fallback: T, doc: string, extra: Extra = {}) {
  const schema = z.enum(values as [T, ...T[]], { error: `must be one of ${values.join(", ")}` });
  return { doc, unit: "", range: values.join(" \\| "), fallback, schema, ...extra } satisfies Setting<T>;
}

export function text<T extends string | undefined>(
  pattern: RegExp,
  range: string,
  fallback: T,
  doc: string,
  extra: Extra = {},
) {
  const held = z.string({ error: "must be a string" }).regex(pattern, `must be ${range}`);
  const schema = (fallback === undefined ? held.optional() : held) as unknown as z.ZodType<T | string>;
  return { doc, unit: "", range, fallback: fallback as T | string, schema, ...extra } satisfies Setting<T | string>;
}
