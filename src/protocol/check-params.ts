// Judges a request's parameters against its method's schema. Values never reach the error's text.
import { refuse, type Refusal } from "./errors.ts";
import { methods, type MethodName, type Params } from "./methods.ts";

export type CheckedParams<M extends MethodName> =
  { readonly ok: true; readonly params: Params<M> } | { readonly ok: false; readonly refusal: Refusal };

/** BAD_PARAMS carries `details.path`: keys and indices joined by dots, "" for the whole. */
export function checkParams<M extends MethodName>(method: M, raw: unknown): CheckedParams<M> {
  const parsed = methods[method].params.safeParse(raw ?? {});
  if (parsed.success) return { ok: true, params: parsed.data as Params<M> };
  const issue = parsed.error.issues[0];
  const path = (issue?.path ?? []).map(String).join(".");
  return { ok: false, refusal: badParams(path, issue?.message ?? "wrong") };
}

export function badParams(path: string, message: string): Refusal {
  const where = path === "" ? "params" : path;
  return refuse("BAD_PARAMS", { message: `${where}: ${message}`, details: { path } });
}
