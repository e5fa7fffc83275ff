// Judges a request before any service sees it: method, scope, params, in this order (E2). Pure.
import { checkParams } from "../protocol/check-params.ts";
import { refuse, type Refusal } from "../protocol/errors.ts";
import type { RequestFrame } from "../protocol/frames.ts";
import { isMethodName, methods, type MethodName, type MethodScope } from "../protocol/methods.ts";
import type { Principal, Scope } from "../services/request-port.ts";

export type JudgedRequest =
  | { readonly kind: "admitted"; readonly method: MethodName; readonly params: unknown }
  | { readonly kind: "refused"; readonly method: string; readonly refusal: Refusal };

export function judgeRequest(frame: RequestFrame, principal: Principal): JudgedRequest {
  const { method } = frame;
  // The caller must not choose what a metric is labelled with.
  if (!isMethodName(method)) return { kind: "refused", method: "unknown", refusal: refuse("UNKNOWN_METHOD") };
  const fault = frame.fault ?? (methods[method].mutates ? frame.keyFault : undefined);
  const refusal = refuseScope(methods[method].scope, principal) ?? fault;
  if (refusal !== undefined) return { kind: "refused", method, refusal };
  const checked = checkParams(method, frame.params);
  if (!checked.ok) return { kind: "refused", method, refusal: checked.refusal };
  const narrower = refuseStreamScope(method, checked.params, principal);
  if (narrower !== undefined) return { kind: "refused", method, refusal: narrower };
  return { kind: "admitted", method, params: checked.params };
}

/** Undefined when the principal may read that kind of stream. */
export function refuseStreamKind(kind: "client" | "group", principal: Principal): Refusal | undefined {
  return refuseScope(kind === "group" ? "group" : "identity", principal);
}

function refuseScope(scope: MethodScope, principal: Principal): Refusal | undefined {
  if (mayCall(scope, principal)) return undefined;
  return refuse("SCOPE", { details: { scope } });
}

function mayCall(scope: MethodScope, principal: Principal): boolean {
  if (scope === "application") return true;
  // The operator's key has no application for the other scopes to be about.
  if (principal.kind === "operator") return scope === "operator";
  if (scope === "stream") return principal.scopes.some((held) => STREAM_SCOPES.has(held));
  return scope !== "operator" && principal.scopes.includes(scope);
}

const STREAM_SCOPES: ReadonlySet<Scope> = new Set(["identity", "group"]);

/** Which scope a stream asks for is known once the parameters are. */
function refuseStreamScope(method: MethodName, params: unknown, principal: Principal): Refusal | undefined {
  if (method === "stream.acknowledge") return refuseStreamKind("client", principal);
  if (method === "stream.read") return refuseStreamKind((params as { kind: "client" | "group" }).kind, principal);
  return undefined;
}
