// How services and other rooms speak to actors: addresses, calls and their outcomes.
// Types only; the host (one node) and the router (many nodes) stand behind `ActorPort`.
import type { Refusal } from "../protocol/errors.ts";

export type ActorKind = "registry" | "application" | "identity" | "handle" | "keyPool" | "group";

/** Names one actor. `id` is ASCII: a UUID, or hex of a hash or of a group id. */
export interface ActorAddress {
  readonly applicationId: string;
  readonly kind: ActorKind;
  readonly id: string;
}

/** A command to a machine: imperative type, plain data that the codec can carry. */
export interface Command {
  readonly type: string;
}

/** The caller's idempotency key and the digest of method and params (PROTOCOL E4). */
export interface IdempotencyKey {
  readonly key: string;
  readonly digest: string;
  /** The result holds a secret: what is remembered is encrypted. */
  readonly secret?: boolean;
}

export interface Call {
  readonly to: ActorAddress;
  readonly command: Command;
  readonly key?: IdempotencyKey;
  /** Only what is remembered under the key is asked for: without it this is the answer, and nothing runs. */
  readonly otherwise?: Refusal;
  /** Set for messages from another actor's outbox: applied once (G8). */
  readonly origin?: { readonly mark: string; readonly number: number };
  /** Monotonic milliseconds (`performance.now()`) after which nobody waits. */
  readonly deadline: number;
  /** Looked at just before the turn: what nobody wants any more does not run. Stays on the node where it was made. */
  readonly cancellation?: Cancellation;
}

export interface Cancellation {
  /** Never false again once it was true. */
  readonly cancelled: boolean;
}

export interface Applied {
  readonly kind: "applied";
  readonly value: unknown;
  /** Bytes of the parts that this turn took, in order. */
  readonly taken: readonly Uint8Array[];
  readonly lineage: string;
  /** True when this is a remembered result. */
  readonly repeated: boolean;
  /**
   * True once everything that the actor owed others when the reply was released has arrived there; false when
   * this can't be seen from here any more: asked again under its key, the new owner of the shard tells.
   */
  readonly settled: Promise<boolean>;
}

export interface Refused {
  readonly kind: "refused";
  readonly refusal: Refusal;
}

export type Outcome = Applied | Refused;

export interface ActorPort {
  /** Never rejects: outages become retryable refusals (GUARANTEES G6). */
  call(call: Call): Promise<Outcome>;
}
