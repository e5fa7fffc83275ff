// The methods as functions: `client.identity.create(params)` is `client.call("identity.create", params)`.
import { methods, type MethodName, type ParamsInput, type Result } from "../protocol/methods.ts";
import type { CallOptions } from "./client-options.ts";
import type { SessionMethod } from "./session-requests.ts";

/** Methods that can be called; subscriptions are made by `client.subscribe`. */
export type CallableMethod = Exclude<MethodName, SessionMethod>;

/** Parameters may be left out where all of them are optional. */
export type CallArguments<M extends CallableMethod> =
  object extends ParamsInput<M>
    ? [params?: ParamsInput<M>, options?: CallOptions]
    : [params: ParamsInput<M>, options?: CallOptions];

type NamespaceName = CallableMethod extends `${infer N}.${string}` ? N : never;

type Namespace<N extends string> = {
  readonly [M in CallableMethod as M extends `${N}.${infer F}` ? F : never]: (
    ...args: CallArguments<M>
  ) => Promise<Result<M>>;
};

export type Namespaces = { readonly [N in NamespaceName]: Namespace<N> };

export type CallFunction = (method: CallableMethod, params: object, options?: CallOptions) => Promise<unknown>;

export function namespaces(call: CallFunction): Namespaces {
  const made: Record<string, Record<string, unknown>> = {};
  for (const name of Object.keys(methods) as MethodName[]) {
    const [namespace, method] = name.split(".") as [string, string];
    if (!isCallable(name)) continue;
    made[namespace] ??= {};
    made[namespace][method] = (params: object = {}, options?: CallOptions) => call(name, params, options);
  }
  return made as unknown as Namespaces;
}

function isCallable(name: MethodName): name is CallableMethod {
  return !name.startsWith("subscription.");
}
