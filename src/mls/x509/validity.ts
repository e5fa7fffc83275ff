// When a credential is valid: while all certificates of one of its paths are (RFC 5280 §6.1.3 (a) (2)). There are
// several where an authority renewed its certificate and both are anchors: the one takes over from the other.
// Pure: reads no clock and verifies nothing.
import type { Certificate } from "./certificate.ts";

/** Unix milliseconds, both included. */
export interface Stretch {
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

/** In the order of their beginnings; none overlaps the next. */
export type Validity = readonly Stretch[];

export function validityOf(paths: readonly (readonly Certificate[])[]): Validity {
  const stretches = paths
    .map((path) => ({
      notBeforeMs: Math.max(...path.map(({ notBeforeMs }) => notBeforeMs)),
      notAfterMs: Math.min(...path.map(({ notAfterMs }) => notAfterMs)),
    }))
    .sort((a, b) => a.notBeforeMs - b.notBeforeMs);
  const joined: Stretch[] = [];
  for (const stretch of stretches) {
    const before = joined.at(-1);
    if (before === undefined || stretch.notBeforeMs > before.notAfterMs) joined.push(stretch);
    else joined[joined.length - 1] = { ...before, notAfterMs: Math.max(before.notAfterMs, stretch.notAfterMs) };
  }
  return joined;
}

export function stretchAt(validity: Validity, nowMs: number): Stretch | undefined {
  return validity.find(({ notBeforeMs, notAfterMs }) => notBeforeMs <= nowMs && nowMs <= notAfterMs);
}

/** Why it is not valid at that instant: what is over is told first. */
export function causeOutside(validity: Validity, nowMs: number): "expired" | "not_yet_valid" {
  return validity.some(({ notAfterMs }) => nowMs > notAfterMs) ? "expired" : "not_yet_valid";
}
