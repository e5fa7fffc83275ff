// Streams and subscriptions (PROTOCOL §3): parameters and results.
import { z } from "zod";
import {
  bool,
  epoch,
  errorRecord,
  groupId,
  list,
  magnitude,
  map,
  nilIsAbsent,
  offset,
  position,
  text,
  time,
  uint,
  uint32,
  uuid,
} from "./primitives.ts";

export const recoveryReason = z.enum(["TRIMMED", "LINEAGE_CHANGED"]).meta({ title: "recoveryReason" });
export const resetReason = z.enum(["TRIMMED", "LINEAGE_CHANGED", "CLOSED"]).meta({ title: "resetReason" });

const startOrNow = z.enum(["start", "now"], "expected a position, an epoch, start or now");

/** Names one stream: a client's inbox by its uuid, or a group's log by its groupId. */
const inbox = { kind: z.literal("client"), id: uuid };
const groupLog = { kind: z.literal("group"), id: groupId };

const addedStream = z.union([
  map({ stream: uint32, recovered: bool, position, reason: recoveryReason.exactOptional() }),
  map({ error: errorRecord }),
]);

export const streamToAdd = nilIsAbsent(
  z.discriminatedUnion("kind", [
    z.object({ ...inbox, after: z.union([position, startOrNow]).exactOptional() }),
    z.object({ ...groupLog, after: z.union([position, startOrNow, map({ epoch })]).exactOptional() }),
  ]),
).meta({ title: "streamToAdd" });

/** As in EVT: `[offset, time, type, body]`. */
export const streamEvent = z.tuple([offset, time, text(1, 64), z.unknown()]).meta({ title: "event" });

export const subscriptionOpen = {
  params: map({ messages: magnitude.default(256), bytes: magnitude.default(1_048_576) }),
  result: map({ subscription: uint32 }),
};
export const subscriptionAdd = {
  params: map({ subscription: uint32, streams: list(streamToAdd, { max: 1000 }) }),
  result: map({ streams: list(addedStream) }),
};
export const subscriptionRemove = {
  params: map({ subscription: uint32, streams: list(uint32, { max: 10_000 }) }),
  result: map({}),
};
export const subscriptionClose = { params: map({ subscription: uint32 }), result: map({}) };

export const streamRead = {
  params: nilIsAbsent(
    z.discriminatedUnion("kind", [
      z.object({
        ...inbox,
        after: z.union([position, startOrNow]).default("start"),
        limit: uint(1000, 1).default(100),
      }),
      z.object({
        ...groupLog,
        after: z.union([position, startOrNow, map({ epoch })]).default("start"),
        limit: uint(1000, 1).default(100),
      }),
    ]),
  ),
  result: map({
    events: list(streamEvent),
    position,
    more: bool,
    recovered: bool,
    reason: recoveryReason.exactOptional(),
  }),
};
export const streamAcknowledge = {
  params: map({ id: uuid, position }),
  result: map({ position }),
};

export type StreamToAdd = z.output<typeof streamToAdd>;
export type ResetReason = z.output<typeof resetReason>;
