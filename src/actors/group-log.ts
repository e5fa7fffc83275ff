// A group's log: what goes in and what retention then drops. Pure.
import { refuse, type Refusal } from "../protocol/errors.ts";
import type { Effect, TurnFacts } from "./effects.ts";
import { effective, type GovernedBy } from "./group-settings.ts";
import { positionOf, type GroupContext, type JudgedEpoch } from "./group-state.ts";
import { replayFrom } from "./group-trees.ts";
import { appended, firstKept, retained, type StreamWindow } from "./stream-window.ts";

export interface Logged {
  readonly window: StreamWindow;
  readonly effects: readonly Effect[];
}

/** One event to the log, and what retention then drops. */
export function log(
  context: GroupContext,
  event: string,
  body: object,
  bytes: number,
  { now, governed }: { readonly now: number; readonly governed: GovernedBy },
): Logged {
  const { groupRetention } = effective(governed, context.settings);
  const grown = appended(context.window, now, bytes, groupRetention);
  const keepFrom = context.tracking === "full" ? replayFrom(context.trees) : grown.last;
  const window = retained(grown, now, groupRetention, keepFrom);
  const effects: Effect[] = [{ type: "append", offset: grown.last, event, body }];
  if (firstKept(window) > firstKept(grown)) effects.push({ type: "trim", before: firstKept(window) });
  return { window, effects };
}

/**
 * Why what was judged by another state is refused; undefined: by this one. The loser learns where the group is, so that
 * it can catch up; who won is added by the service. (G1)
 */
export function refusalOfEpoch(
  context: GroupContext,
  { epoch, begunBy, lineage }: JudgedEpoch & TurnFacts,
): Refusal | undefined {
  if (epoch === context.epoch) {
    return begunBy === undefined || begunBy === context.begunBy ? undefined : refuse("STATE_MOVED");
  }
  return refuse("EPOCH_CONFLICT", {
    details: { epoch: BigInt(context.epoch), position: positionOf(context, lineage) },
  });
}
