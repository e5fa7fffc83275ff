// The port behind which an application's idea of identity stands (PROTOCOL §4). Pure: the instant is given.
import type { Ciphersuite } from "./suites.ts";

export type IdentityCause =
  | "type_unsupported"
  | "malformed"
  | "chain_invalid"
  | "expired"
  | "not_yet_valid"
  | "unknown_root"
  | "name_forbidden"
  | "handle_missing"
  | "handle_not_utf8";

/** Whom a credential names. */
export interface NamedHolder {
  readonly handle: string;
  readonly account?: string;
  readonly domain?: string;
}

export interface ValidIdentity extends NamedHolder {
  readonly valid: true;
  /** Unix milliseconds; absent where the credential does not expire. */
  readonly notAfterMs?: number;
}

export interface InvalidIdentity {
  readonly valid: false;
  readonly cause: IdentityCause;
}

/** Every `credential` is one Credential struct with its type; bad bytes are `malformed`, never thrown. */
export interface IdentityProvider {
  /** Credential types, by code point, that this provider can accept. */
  readonly supportedTypes: readonly number[];
  validate(credential: Uint8Array, nowMs: number): ValidIdentity | InvalidIdentity;
  /** Whom it names, accepted or not: to find what was made of it earlier, never to let anybody in. */
  holder(credential: Uint8Array): NamedHolder | undefined;
  /** Whether `next` names the same holder as `current` (both valid on their own). */
  validSuccessor(current: Uint8Array, next: Uint8Array): boolean;
  equal(a: Uint8Array, b: Uint8Array): boolean;
  /** Whether the credential vouches for that signature key (RFC 9420 §5.3). */
  keyMatches(credential: Uint8Array, signatureKey: Uint8Array, ciphersuite: Ciphersuite): boolean;
}
