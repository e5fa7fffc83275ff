// One call as its caller saw it: when it began and ended, and what it came to. What all judgements rest on.
import type { MethodName } from "../../src/protocol/methods.ts";

export type Outcome =
  | { readonly kind: "done"; readonly result: Record<string, unknown> }
  /** Certainly without effect. */
  | { readonly kind: "refused"; readonly reason: string; readonly details: Record<string, unknown> }
  /** Done or not: nobody knows, or an attempt of it may still be on its way. */
  | { readonly kind: "unknown"; readonly reason: string };

export interface Operation {
  readonly number: number;
  readonly method: MethodName;
  readonly params: Record<string, unknown>;
  readonly invokedMs: number;
  readonly ttlMs: number;
  /** Infinity while it goes on. */
  returnedMs: number;
  outcome: Outcome;
  /** An attempt of it went without an answer. */
  unsure?: boolean;
}

export function resultOf<T>({ outcome }: Operation): T | undefined {
  return outcome.kind === "done" ? (outcome.result as T) : undefined;
}

export function hex(bytes: unknown): string {
  return Buffer.from(bytes as Uint8Array).toString("hex");
}

export function describe({ number, method, invokedMs, returnedMs, outcome }: Operation): string {
  const what = outcome.kind === "done" ? "done" : `${outcome.kind} ${outcome.reason}`;
  return `#${String(number)} ${method} ${invokedMs.toFixed(1)}–${returnedMs.toFixed(1)} ${what}`;
}

export function groupedBy<T>(items: readonly T[], keyOf: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  return groups;
}
