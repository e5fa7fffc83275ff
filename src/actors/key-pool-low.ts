// Says `keyPool.low` when packages go: once as a queue falls to the mark or below it, once more as it becomes
// empty. Whoever lets packages go (a claim, a removal, a reset, a change of identity, their expiry) says it the
// same way. Pure.
import type { Directory, Effect } from "./effects.ts";
import type { InboxRetention } from "./inbox.ts";
import { labelFromHex, parsePackageName, queuePrefix } from "./key-pool-queues.ts";
import { oweToClient } from "./key-pool-publish.ts";

export interface LowTerms {
  /** A queue that falls to it is said to be low. */
  readonly low: number;
  /** Packages that a queue should hold. */
  readonly target: number;
  readonly inboxRetention: InboxRetention;
}

/** Queues told of in one turn. Whoever keeps more, each under a label of its own, has `keyPool.status`. */
export const LOW_QUEUES_MAX = 100;

/** @param directory as it was before `gone` went and `come` came */
export function lowEffects(
  pool: { readonly applicationId: string; readonly id: string },
  terms: LowTerms,
  directory: Directory,
  gone: readonly string[],
  come: readonly string[] = [],
): Effect[] {
  const lost = new Map<string, { ciphersuite: number; label: string; count: number }>();
  for (const name of gone) {
    if (!name.startsWith("once/")) continue;
    const { ciphersuite, labelHex } = parsePackageName(name);
    const prefix = queuePrefix("once", ciphersuite, labelHex);
    const queue = lost.get(prefix) ?? { ciphersuite, label: labelFromHex(labelHex), count: 0 };
    lost.set(prefix, { ...queue, count: queue.count + 1 });
  }
  for (const name of come) {
    if (!name.startsWith("once/")) continue;
    const { ciphersuite, labelHex } = parsePackageName(name);
    const queue = lost.get(queuePrefix("once", ciphersuite, labelHex));
    if (queue !== undefined) queue.count -= 1;
  }
  const effects: Effect[] = [];
  for (const [prefix, { ciphersuite, label, count }] of lost) {
    const before = directory.count(prefix);
    const available = before - count;
    if (effects.length === LOW_QUEUES_MAX || !crosses(before, available, terms.low)) continue;
    effects.push(oweToClient(pool, terms, "keyPool.low", { ciphersuite, label, available, target: terms.target }));
  }
  return effects;
}

function crosses(before: number, after: number, low: number): boolean {
  return (before > low && after <= low) || (before > 0 && after === 0);
}
