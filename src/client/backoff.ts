// Pauses between attempts: full jitter under a bound that doubles (PROTOCOL C7). Holds no timer.

export interface BackoffBounds {
  /** Bound of the first pause, milliseconds. */
  readonly min: number;
  /** Bound of every later pause at most, milliseconds. */
  readonly max: number;
}

/** Pause before attempt number `attempt` (0 is the first repetition). */
export function fullJitterMs(attempt: number, bounds: BackoffBounds): number {
  const bound = Math.min(bounds.max, bounds.min * 2 ** Math.min(attempt, 30));
  return Math.round(Math.random() * bound);
}

/** Pauses before a refused request is sent again. */
const retryBackoffMs: BackoffBounds = { min: 50, max: 2000 };

/** Pause before a refused request is sent again: what the server asks for, and no less than the back-off. */
export function retryPauseMs(
  attempt: number,
  { retryAfterMs = 0 }: { readonly retryAfterMs?: number | undefined },
): number {
  return Math.max(retryAfterMs, fullJitterMs(attempt, retryBackoffMs));
}
