// The digest by which a retry is told from a key used for something else (E4).
import { hash } from "node:crypto";
import { encode } from "./codec.ts";
import type { MethodName } from "./methods.ts";
import { isMap } from "./schemas/primitives.ts";

/**
 * Hex SHA-256 over method and checked parameters; map order and integer formats make no difference. A nil that is still
 * in checked parameters means something (T1), so it does.
 */
export function paramsDigest(method: MethodName, params: unknown): string {
  return hash("sha256", Buffer.concat([Buffer.from(`${method}\0`), encode(canonical(params))]), "hex");
}

function canonical(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(canonical);
  if (!isMap(value)) return value;
  const sorted: Record<string, unknown> = {};
  for (const key of Object.keys(value).sort()) {
    const item = value[key];
    if (item !== undefined) sorted[key] = canonical(item);
  }
  return sorted;
}
