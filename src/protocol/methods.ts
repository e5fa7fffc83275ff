// Every method once: who may call it, whether it changes anything, its parameters, its result and
// the reasons of its own. Types, validation and docs/PROTOCOL.md come from here.
import type { z } from "zod";
import { applicationMethods } from "./catalogue/application-methods.ts";
import { identityMethods } from "./catalogue/identity-methods.ts";
import { keyPoolMethods } from "./catalogue/key-pool-methods.ts";
import { groupMethods } from "./catalogue/group-methods.ts";
import { streamMethods } from "./catalogue/stream-methods.ts";
import type { Reason } from "./reasons.ts";

export type { MethodEntry, MethodScope } from "./catalogue/method-entry.ts";

export const methods = {
  ...applicationMethods,
  ...identityMethods,
  ...keyPoolMethods,
  ...groupMethods,
  ...streamMethods,
};

export type Methods = typeof methods;
export type MethodName = keyof Methods;
/** Parameters as a service sees them: checked, with defaults. */
export type Params<M extends MethodName> = z.output<Methods[M]["params"]>;
/** Parameters as a caller writes them. */
export type ParamsInput<M extends MethodName> = z.input<Methods[M]["params"]>;
/** A result as the caller sees it. */
export type Result<M extends MethodName> = z.output<Methods[M]["result"]>;

/** Reasons that any method may give. */
export const commonReasons: readonly Reason[] = [
  "BAD_PARAMS",
  "SCOPE",
  "KEY_REUSED",
  "RATE_LIMITED",
  "IN_FLIGHT_LIMIT",
  "MAILBOX_FULL",
  "ACTORS_LIMIT",
  "DEADLINE_EXCEEDED",
  "CANCELLED",
  "STORE_UNAVAILABLE",
  "NOT_OWNER",
  "OUTCOME_UNKNOWN",
  "DRAINING",
  "INTERNAL",
];

export function isMethodName(name: string): name is MethodName {
  return Object.hasOwn(methods, name);
}
