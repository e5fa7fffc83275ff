// What is said of a method, once: scope, effect, schemas, reasons. No method is named here.
import type { z } from "zod";
import type { Reason } from "../reasons.ts";

/**
 * `operator`: the operator's key alone. `application`: any application key for its own application,
 * or the operator's for any. `stream`: the scope follows the stream (`group` a group's log, `identity`
 * an inbox). Otherwise an application key that carries that scope; the operator's key has no
 * application, so it gets PERMISSION_DENIED/SCOPE there.
 */
export type MethodScope = "operator" | "application" | "identity" | "keyPool" | "group" | "stream";

export interface MethodEntry {
  readonly scope: MethodScope;
  /** Takes `meta.key` (E4). */
  readonly mutates: boolean;
  /** The result holds a secret: what is remembered for a retry is encrypted. */
  readonly secret?: boolean;
  readonly params: z.ZodType;
  readonly result: z.ZodType;
  /** Reasons beyond the common ones. */
  readonly reasons: readonly Reason[];
  readonly summary: string;
}

export function method<P extends z.ZodType, R extends z.ZodType>(
  schemas: { readonly params: P; readonly result: R },
  entry: Omit<MethodEntry, "params" | "result">,
): MethodEntry & { readonly params: P; readonly result: R } {
  return { ...entry, ...schemas };
}
