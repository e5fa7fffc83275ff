// How an actor is kept: its XState snapshot in an envelope with the machine's version, the outbox
// counter and the lineage under which it was written. The one schema for the host and for readers (L3).
import type { Snapshot } from "xstate";
import { decode, encodeStored } from "../protocol/codec.ts";

export interface Envelope {
  /** Version of the machine that wrote it; a newer one is refused by an older node (F23). */
  readonly machineVersion: number;
  readonly state: PersistedState;
  /** Number of the last message this actor put into the outbox. */
  readonly outboxNumber: number;
  readonly lineage: string;
  /** Until when results of idempotency keys may be stored beside it, store milliseconds; an older node did not say. */
  readonly resultsUntil: number | undefined;
}

/** What XState's persisted snapshot has of machines like ours, which keep plain data, no actors of their own and no history. */
export interface PersistedState {
  readonly status: "active" | "done" | "error" | "stopped";
  readonly value: string;
  readonly context: Record<string, unknown>;
}

/** What is kept of a machine's snapshot. */
export function persistedOf(snapshot: Snapshot<unknown>): PersistedState {
  const { status, value, context } = snapshot as unknown as PersistedState;
  return { status, value, context };
}

/** As XState takes it. */
export function snapshotOf({ status, value, context }: PersistedState): Snapshot<unknown> {
  return { status, value, context, historyValue: {}, children: {} } as unknown as Snapshot<unknown>;
}

export function encodeEnvelope(envelope: Envelope): Uint8Array {
  return encodeStored({
    v: envelope.machineVersion,
    s: envelope.state,
    o: envelope.outboxNumber,
    l: envelope.lineage,
    ...(envelope.resultsUntil === undefined ? {} : { r: envelope.resultsUntil }),
  });
}

/** @throws Error when the bytes were not written by `encodeEnvelope` */
export function decodeEnvelope(bytes: Uint8Array): Envelope {
  const { v, s, o, l, r } = decode(bytes) as Record<string, unknown>;
  const isState = typeof s === "object" && s !== null;
  const isUntil = r === undefined || typeof r === "number";
  if (typeof v !== "number" || !isState || typeof o !== "number" || typeof l !== "string" || !isUntil) {
    throw new Error("a stored snapshot has an unknown form");
  }
  return { machineVersion: v, state: s as PersistedState, outboxNumber: o, lineage: l, resultsUntil: r };
}
