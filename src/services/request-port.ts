// What transport asks of the services: who is it, and what is the answer. Types only.
import type { Cancellation } from "../actors/actor-port.ts";
import type { MethodName } from "../protocol/methods.ts";
import type { Refusal } from "../protocol/errors.ts";

export type Scope = "identity" | "keyPool" | "group";

/** Who asks. An application's key carries the application; nothing in a request can name another (G9). */
export type Principal =
  | { readonly kind: "operator" }
  | {
      readonly kind: "application";
      readonly applicationId: string;
      readonly keyId: string;
      readonly scopes: readonly Scope[];
    };

export interface Request {
  readonly method: MethodName;
  /** As the method's schema gives them out. */
  readonly params: unknown;
  readonly principal: Principal;
  /** Names the session, for limits that count by session. */
  readonly session: string;
  /** Idempotency key, in the text form that protocol/frames.ts gives it. Only where the method mutates. */
  readonly key?: string;
  /** Monotonic milliseconds (`performance.now()`) after which nobody waits. */
  readonly deadline: number;
  /** By CANCEL, at the deadline and when the session is gone. Absent: it has begun and goes on. */
  readonly cancellation?: Cancellation;
}

export type Answer =
  { readonly kind: "done"; readonly result: object } | { readonly kind: "refused"; readonly refusal: Refusal };

/** Never rejects: outages are retryable refusals (GUARANTEES G6). */
export type Dispatch = (request: Request) => Promise<Answer>;

export type Authentication =
  | { readonly kind: "ok"; readonly principal: Principal }
  /** No such key, or its secret differs: 401. */
  | { readonly kind: "unknown" }
  /** Revoked or expired: 403. */
  | { readonly kind: "forbidden" };

/** An application's quotas for sessions; absent: none. */
export interface SessionQuotas {
  readonly sessions?: number;
  readonly requestsPerSecond?: number;
}

export interface Authenticator {
  /** @param token the whole token, of the form `aegis_<keyId>_<secret>`. Throws on an outage of the store. */
  authenticate(token: string): Promise<Authentication>;
  /** False once the key was revoked, has expired or its application is gone. Throws on an outage. */
  stillValid(principal: Principal): Promise<boolean>;
  /** Throws on an outage of the store. */
  quotas(applicationId: string): Promise<SessionQuotas>;
}
