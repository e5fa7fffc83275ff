// Subscriptions and streams: every method with its scope, schemas and reasons.
import * as stream from "../schemas/stream.ts";
import { method } from "./method-entry.ts";

export const streamMethods = {
  "subscription.open": method(stream.subscriptionOpen, {
    scope: "stream",
    mutates: false,
    reasons: ["SUBSCRIPTIONS_LIMIT"],
    summary: "Opens a subscription of this session with a start credit. It carries many streams.",
  }),
  "subscription.add": method(stream.subscriptionAdd, {
    scope: "stream",
    mutates: false,
    reasons: ["SUBSCRIPTION_NOT_FOUND", "STREAM_NOT_FOUND", "EPOCH_AHEAD", "STREAMS_LIMIT", "SCOPE"],
    summary:
      "Adds up to 1,000 streams; each is answered in order by its number or an error of its own. `after`: a position, `start`, `now`, or for a group `{epoch}` (after the commit that began that epoch). Default: an inbox from what was last acknowledged, a group from `now`.",
  }),
  "subscription.remove": method(stream.subscriptionRemove, {
    scope: "stream",
    mutates: false,
    reasons: ["SUBSCRIPTION_NOT_FOUND"],
    summary: "Takes streams, by their numbers, out of a subscription.",
  }),
  "subscription.close": method(stream.subscriptionClose, {
    scope: "stream",
    mutates: false,
    reasons: ["SUBSCRIPTION_NOT_FOUND"],
    summary: "Ends a subscription with all its streams.",
  }),
  "stream.read": method(stream.streamRead, {
    scope: "stream",
    mutates: false,
    reasons: ["STREAM_NOT_FOUND", "EPOCH_AHEAD", "SCOPE"],
    summary:
      "Reads a slice of a stream without a subscription. `position` is where to go on, `more` that there is more.",
  }),
  "stream.acknowledge": method(stream.streamAcknowledge, {
    scope: "stream",
    mutates: true,
    reasons: ["STREAM_NOT_FOUND", "POSITION_AHEAD", "LINEAGE_CHANGED", "SCOPE"],
    summary: "Acknowledges an inbox up to a position, for all sessions; what lies before it goes.",
  }),
};
