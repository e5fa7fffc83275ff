// What an answer of the client says about a call, as a history records it (PROTOCOL E4, E5).
import { AegisError } from "../../src/client/client.ts";
import type { Facts, Outcome } from "./history.ts";

/** @throws what is no answer at all */
export async function outcomeOf<T>(call: Promise<T>, factsOf: (result: T) => Facts): Promise<Outcome> {
  try {
    return { kind: "result", facts: factsOf(await call) };
  } catch (error) {
    if (!(error instanceof AegisError)) throw error;
    return refusalOutcome(error);
  }
}

function refusalOutcome({ reason, retryable, details }: AegisError): Outcome {
  if (reason === "OUTCOME_UNKNOWN") return { kind: "unknown" };
  if (retryable) return { kind: "retryable", reason };
  const { epoch, version, position } = details;
  return {
    kind: "refused",
    reason,
    facts: {
      ...(epoch === undefined ? {} : { epoch: Number(epoch) }),
      ...(version === undefined ? {} : { version: Number(version) }),
      ...(position === undefined ? {} : { offset: (position as { offset: number }).offset }),
    },
  };
}
