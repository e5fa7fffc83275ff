// What an HTTP answer to the upgrade request means: try later, or never (PROTOCOL C2).
import { connectionClosed, localError, type AegisError } from "./aegis-error.ts";

export type HandshakeFailure =
  { readonly kind: "later"; readonly retryAfterMs: number } | { readonly kind: "fatal"; readonly error: AegisError };

/** Longest pause that a server may ask for. */
const RETRY_AFTER_MS_MAX = 300_000;

export function handshakeFailure(status: number, retryAfter: string | undefined): HandshakeFailure {
  if (status === 429 || status >= 500) {
    const seconds = Number(retryAfter);
    const retryAfterMs = Number.isFinite(seconds) && seconds > 0 ? seconds * 1000 : 0;
    // Spread, so that everybody who was sent away does not come back at once.
    return { kind: "later", retryAfterMs: Math.min(RETRY_AFTER_MS_MAX, retryAfterMs * (1 + Math.random() / 4)) };
  }
  const details = { status };
  switch (status) {
    case 401:
      return { kind: "fatal", error: localError("KEY_UNKNOWN", { details }) };
    case 403:
      return {
        kind: "fatal",
        error: localError("KEY_REVOKED", { details }),
      };
    default:
      return { kind: "fatal", error: connectionClosed(`the upgrade was answered with HTTP ${status}`, details) };
  }
}
