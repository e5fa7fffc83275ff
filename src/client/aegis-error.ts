// The one error that the SDK rejects with: what the server refused, or what befell the connection.
import { refuse, type Reason, type RefusalExtra } from "../protocol/errors.ts";
import { epochConflict, type EpochConflict } from "../protocol/schemas/group.ts";

/** As in PROTOCOL E1; `code` and `reason` are text, for a newer server may know more of them. */
export interface ErrorFacts {
  readonly code: string;
  readonly reason: string;
  readonly message: string;
  readonly retryable: boolean;
  readonly retryAfterMs?: number;
  readonly details?: Readonly<Record<string, unknown>>;
}

export interface CallFacts {
  readonly method: string;
  /** The idempotency key of the call: with it the same call may be made again. */
  readonly key?: string | Uint8Array;
}

export class AegisError extends Error {
  override readonly name = "AegisError";
  readonly code: string;
  readonly reason: string;
  /** True: certainly not applied (but for OUTCOME_UNKNOWN) and worth another try later. */
  readonly retryable: boolean;
  readonly retryAfterMs: number | undefined;
  readonly details: Readonly<Record<string, unknown>>;
  readonly method: string | undefined;
  readonly key: string | Uint8Array | undefined;

  readonly #facts: ErrorFacts;

  constructor(facts: ErrorFacts, call?: CallFacts) {
    super(`${call === undefined ? "" : `${call.method}: `}${facts.reason}: ${facts.message}`);
    this.#facts = facts;
    this.code = facts.code;
    this.reason = facts.reason;
    this.retryable = facts.retryable;
    this.retryAfterMs = facts.retryAfterMs;
    this.details = facts.details ?? {};
    this.method = call?.method;
    this.key = call?.key;
  }

  /** Of EPOCH_CONFLICT: where the group stands, and who won. */
  get conflict(): EpochConflict | undefined {
    return this.reason === "EPOCH_CONFLICT" ? epochConflict.safeParse(this.details).data : undefined;
  }

  /** The same error, told of one call. */
  of(call: CallFacts): AegisError {
    return new AegisError(this.#facts, call);
  }
}

/** An error that the SDK itself has to report, in the words of the catalogue. */
export function localError(reason: Reason, extra: RefusalExtra, call?: CallFacts): AegisError {
  return new AegisError(refuse(reason, extra), call);
}

/** The connection ended for good. */
export function connectionClosed(message: string, details: Readonly<Record<string, unknown>>): AegisError {
  return new AegisError({ code: "UNAVAILABLE", reason: "CONNECTION_CLOSED", message, retryable: false, details });
}
