// Refusals: the values by which Aegis says no. Made here and nowhere else, from the catalogue of
// reasons. Never holds a payload, a secret or a tag.
import { reasons, type GrpcCode, type Reason } from "./reasons.ts";

export type { GrpcCode, Reason } from "./reasons.ts";

export interface Refusal {
  readonly code: GrpcCode;
  readonly reason: Reason;
  readonly message: string;
  readonly retryable: boolean;
  readonly retryAfterMs?: number;
  readonly details?: Readonly<Record<string, unknown>>;
}

export interface RefusalExtra {
  /** Replaces the catalogue's sentence where more can be said. */
  readonly message?: string;
  readonly details?: Readonly<Record<string, unknown>>;
  readonly retryAfterMs?: number;
}

export function refuse(reason: Reason, extra: RefusalExtra = {}): Refusal {
  const { code, retryable, message } = reasons[reason];
  return {
    code,
    reason,
    message: extra.message ?? message,
    retryable,
    ...(extra.retryAfterMs === undefined ? {} : { retryAfterMs: extra.retryAfterMs }),
    ...(extra.details === undefined ? {} : { details: extra.details }),
  };
}

/** HTTP status for a refusal before the upgrade (C2). */
export function httpStatusOf(refusal: Pick<Refusal, "code">): number {
  switch (refusal.code) {
    case "UNAUTHENTICATED":
      return 401;
    case "PERMISSION_DENIED":
      return 403;
    case "NOT_FOUND":
      return 404;
    case "RESOURCE_EXHAUSTED":
      return 429;
    case "UNAVAILABLE":
      return 503;
    case "INTERNAL":
      return 500;
    default:
      return 400;
  }
}
