// When a client hears that its credential is about to expire (`identity.expiring`): a durable timer, set anew with
// each identity. Pure; used by the identity machine alone.
import type { Effect } from "./effects.ts";
import { withEvent, type Inbox, type InboxRetention, type InboxStep } from "./inbox.ts";

export const EXPIRY_TIMER = "expiring";

/** The word comes at most so long before the end. */
const LEAD_MS_MAX = 7 * 86_400_000;
/** And not before so much of the time that was left, when the identity came, is over. */
const LEAD_SHARE = 1 / 4;

/** The timer that follows from a change of identity, by when each expires; undefined: never, or nobody. */
export function expiryTimer(before: number | undefined, after: number | undefined, now: number): readonly Effect[] {
  if (after === undefined) return before === undefined ? [] : [{ type: "clearTimer", name: EXPIRY_TIMER }];
  const left = Math.max(after - now, 0);
  const at = after - Math.min(LEAD_MS_MAX, Math.floor(left * LEAD_SHARE));
  return [{ type: "setTimer", name: EXPIRY_TIMER, at: Math.max(at, now) }];
}

export function expiryAnnounced(inbox: Inbox, notAfter: number, retention: InboxRetention, now: number): InboxStep {
  return withEvent(inbox, "identity.expiring", { notAfter }, retention, now);
}
