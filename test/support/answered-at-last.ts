// Makes what a load is about to use, however often its server dies meanwhile: asks under one idempotency key until it
// is known what came of it. Gives up early only what was certainly not applied and leaves nothing half made.
import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { AegisError } from "../../src/client/client.ts";

/** A server that is killed again and again may each time be up for too short a time for a long call. */
const WITHIN_MS = 120_000;
const AGAIN_MS = 20;

/**
 * @param begun something was made before that is of no use without this
 * @throws AegisError the refusal; `OUTCOME_UNKNOWN` when nothing was known for too long
 */
export async function answeredAtLast<T>(
  ask: (options: { readonly key: string }) => Promise<T>,
  begun = false,
): Promise<T> {
  const key = randomUUID();
  const until = performance.now() + WITHIN_MS;
  for (let mustEnd = begun; ; await delay(AGAIN_MS)) {
    try {
      return await ask({ key });
    } catch (error) {
      if (!(error instanceof AegisError) || !error.retryable || performance.now() > until) throw error;
      mustEnd ||= error.reason === "OUTCOME_UNKNOWN";
      if (!mustEnd) throw error;
    }
  }
}
