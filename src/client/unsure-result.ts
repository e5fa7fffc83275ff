// Results that name failures of their own: what these mean once an earlier attempt may have been applied (PROTOCOL E5).
import type { MethodName, Result } from "../protocol/methods.ts";

/** "Not claimed" is then true of the last attempt only: nobody knows of the one before it. */
export function unsureResult(method: MethodName, result: unknown): unknown {
  if (method !== "keyPool.claim") return result;
  const { claimed, failed } = result as Result<"keyPool.claim">;
  return {
    claimed,
    failed: failed.map(({ clientId, reason }) => ({
      clientId,
      reason: reason === "UNAVAILABLE" ? "OUTCOME_UNKNOWN" : reason,
    })),
  };
}
