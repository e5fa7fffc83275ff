// A client's inbox: events kept until acknowledged or until retention drops them, and the groups that
// the client is in. Pure steps used by the identity machine; groups send here through their outbox.
import { encode } from "../protocol/codec.ts";
import type { Effect } from "./effects.ts";
import { appended, dropBefore, EMPTY_WINDOW, firstKept, retained, type StreamWindow } from "./stream-window.ts";

export interface InboxRetention {
  readonly ms: number;
  readonly events: number;
}

export interface Inbox {
  readonly window: StreamWindow;
  /** Offset up to which everything was acknowledged. */
  readonly acknowledged: number;
}

export interface InboxStep {
  readonly inbox: Inbox;
  readonly effects: readonly Effect[];
}

/** From a group or a key pool, by its outbox: an event for the client, a membership that began or ended. */
export interface DeliverCommand {
  readonly type: "deliver";
  readonly event?: { readonly type: string; readonly body: object };
  readonly membership?: { readonly groupActorId: string; readonly groupId: Uint8Array; readonly member: boolean };
  readonly retention: InboxRetention;
}

export interface AcknowledgeCommand {
  readonly type: "acknowledge";
  readonly offset: number;
}

export const EMPTY_INBOX: Inbox = { window: EMPTY_WINDOW, acknowledged: 0 };

/** Part under which a membership is listed. */
export function membershipPart(groupActorId: string): string {
  return `group/${groupActorId}`;
}

export function received(inbox: Inbox, command: DeliverCommand, now: number): InboxStep {
  const effects: Effect[] = [];
  const { membership, event } = command;
  if (membership !== undefined) {
    const name = membershipPart(membership.groupActorId);
    effects.push(
      membership.member ? { type: "putPart", name, bytes: membership.groupId } : { type: "deletePart", name },
    );
  }
  if (event === undefined) return { inbox, effects };
  const step = withEvent(inbox, event.type, event.body, command.retention, now);
  return { inbox: step.inbox, effects: [...effects, ...step.effects] };
}

export function withEvent(
  inbox: Inbox,
  event: string,
  body: object,
  { ms, events }: InboxRetention,
  now: number,
): InboxStep {
  const limits = { ms, events, bytes: Number.MAX_SAFE_INTEGER };
  const grown = appended(inbox.window, now, encode(body).length, limits);
  const window = retained(grown, now, limits, grown.last);
  const effects: Effect[] = [{ type: "append", offset: grown.last, event, body }];
  if (firstKept(window) > firstKept(grown)) effects.push({ type: "trim", before: firstKept(window) });
  return { inbox: { ...inbox, window }, effects };
}

export function acknowledged(inbox: Inbox, offset: number): InboxStep {
  const window = dropBefore(inbox.window, offset + 1);
  return { inbox: { window, acknowledged: offset }, effects: [{ type: "trim", before: offset + 1 }] };
}
