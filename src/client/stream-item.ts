// What a subscription gives to its consumer: events with typed bodies, and notices that a stream broke.
import type { z } from "zod";
import type { ReceivedEvent } from "../protocol/frames.ts";
import { groupEvents, inboxEvents, type GroupEvents, type InboxEvents } from "../protocol/schemas/events.ts";
import type { Position } from "../protocol/schemas/primitives.ts";
import type { ResetReason } from "../protocol/schemas/stream.ts";
import { AegisError, localError } from "./aegis-error.ts";

export interface InboxStream {
  readonly kind: "client";
  /** The client's id. */
  readonly id: string;
}
export interface GroupStream {
  readonly kind: "group";
  /** The group's id. */
  readonly id: Uint8Array;
}
export type StreamName = InboxStream | GroupStream;

interface EventFacts {
  readonly kind: "event";
  readonly offset: number;
  /** Unix milliseconds of the back-end. */
  readonly time: number;
  /** Where to go on after this event. */
  readonly position: Position;
}

type EventOf<S extends StreamName, E> = {
  [T in keyof E]: EventFacts & { readonly stream: S; readonly type: T; readonly body: E[T] };
}[keyof E];

/** An event; a newer server may send types that are not listed here. */
export type StreamEvent = EventOf<InboxStream, InboxEvents> | EventOf<GroupStream, GroupEvents>;

/** The stream broke: events were lost (`TRIMMED`, `LINEAGE_CHANGED`), or it ended. */
export interface StreamReset {
  readonly kind: "reset";
  readonly stream: StreamName;
  readonly reason: ResetReason;
  /** Events go on after here; absent: the stream has left the subscription. */
  readonly position?: Position;
  /** Why the stream could not be attached again after a reconnect. */
  readonly error?: AegisError;
}

export type StreamItem = StreamEvent | StreamReset;

export function streamEvent(stream: StreamName, lineage: string, event: ReceivedEvent): StreamEvent | AegisError {
  const { offset, time, type } = event;
  const body = eventBody(stream.kind, type, event.body);
  if (body instanceof AegisError) return body;
  return { kind: "event", stream, offset, time, type, position: { lineage, offset }, body } as StreamEvent;
}

/**
 * Checks an event's body and gives it its types (an epoch is a bigint). Bodies of unknown types pass; a body
 * of another form than its type gives an AegisError.
 */
export function eventBody(kind: StreamName["kind"], type: string, body: unknown): unknown {
  const schemas: Readonly<Record<string, z.ZodType>> = kind === "group" ? groupEvents : inboxEvents;
  const schema = Object.hasOwn(schemas, type) ? schemas[type] : undefined;
  if (schema === undefined) return body;
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  return localError("INTERNAL", { message: `an event of type ${type} has another form` });
}

/** Text by which a stream is told from others. */
export function streamKey(stream: StreamName): string {
  return stream.kind === "client" ? `client/${stream.id}` : `group/${Buffer.from(stream.id).toString("hex")}`;
}
