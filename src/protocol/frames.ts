// The frames of PROTOCOL §2: their types, and the building of each. Reading them is parse-frames.ts.
import { encode } from "./codec.ts";
import type { ErrorRecord, Position } from "./schemas/primitives.ts";
import type { Refusal } from "./errors.ts";
import type { ResetReason } from "./schemas/stream.ts";

export const SUBPROTOCOL = "aegis.v1";
export const SOCKET_PATH = "/v1/ws";

export const frameType = {
  request: 0,
  response: 1,
  event: 3,
  ack: 4,
  credit: 5,
  cancel: 6,
  ping: 7,
  pong: 8,
  goaway: 9,
  welcome: 10,
  reset: 11,
} as const;

export interface RequestMeta {
  /** The idempotency key as text: `s:` and the string, or `b:` and the hex of bin, so that they can't collide. */
  readonly key?: string;
  readonly ttlMs?: number;
  readonly trace?: string;
}

/** What a PING carries and a PONG gives back. */
export type Nonce = number | bigint | string | Uint8Array;

export interface RequestFrame {
  readonly type: "request";
  readonly id: number;
  readonly method: string;
  readonly params: unknown;
  readonly meta: RequestMeta;
  /** The frame stands but its `meta` does not: answer this after method and scope were judged. */
  readonly fault?: Refusal;
  /** The same of its idempotency key alone, for methods that take one. */
  readonly keyFault?: Refusal;
}
export interface AckFrame {
  readonly type: "ack";
  readonly subscription: number;
  readonly offsets: readonly { readonly stream: number; readonly offset: number }[];
}
export interface CreditFrame {
  readonly type: "credit";
  readonly subscription: number;
  readonly messages: number;
  readonly bytes: number;
}
export interface CancelFrame {
  readonly type: "cancel";
  readonly id: number;
}
export interface PingFrame {
  readonly type: "ping";
  readonly nonce: Nonce;
}
export interface PongFrame {
  readonly type: "pong";
  readonly nonce: Nonce;
}
export interface ResponseFrame {
  readonly type: "response";
  readonly id: number;
  readonly error: ErrorRecord | undefined;
  readonly result: unknown;
}
export interface EventFrame {
  readonly type: "event";
  readonly subscription: number;
  readonly stream: number;
  readonly events: readonly ReceivedEvent[];
}
export interface ReceivedEvent {
  readonly offset: number;
  readonly time: number;
  readonly type: string;
  readonly body: unknown;
}
export interface GoawayFrame extends Goaway {
  readonly type: "goaway";
}
export interface WelcomeFrame extends Welcome {
  readonly type: "welcome";
}
export interface ResetFrame extends Reset {
  readonly type: "reset";
  readonly subscription: number;
  readonly stream: number;
}

export interface Goaway {
  readonly reason: string;
  /** Relative: the connection closes this long after the frame. */
  readonly deadlineMs: number;
  /** Reconnect after a random time between these two. */
  readonly reconnectMinMs: number;
  readonly reconnectMaxMs: number;
}
export interface SessionLimits {
  readonly messageBytesMax: number;
  readonly inFlightMax: number;
  readonly streamsMax: number;
  readonly heartbeatMs: number;
  readonly ttlMsMax: number;
}
export interface Welcome {
  readonly session: string;
  readonly node: string;
  readonly version: string;
  readonly protocol: string;
  readonly applicationId?: string;
  readonly limits: SessionLimits;
}
export interface Reset {
  readonly reason: ResetReason;
  readonly position?: Position;
}

export type ClientFrame = RequestFrame | AckFrame | CreditFrame | CancelFrame | PingFrame | PongFrame;
export type ServerFrame = ResponseFrame | EventFrame | GoawayFrame | WelcomeFrame | ResetFrame | PingFrame | PongFrame;

/** An event whose body is msgpack already, as the store keeps it. */
export interface EncodedEvent {
  readonly offset: number;
  readonly time: number;
  readonly type: string;
  readonly body: Uint8Array;
}

export interface RequestOptions {
  readonly key?: string | Uint8Array;
  readonly ttlMs?: number;
  readonly trace?: string;
}

export function encodeRequest(id: number, method: string, params: object, options?: RequestOptions): Uint8Array {
  const head = [frameType.request, id, method, params];
  return encode(options === undefined || Object.keys(options).length === 0 ? head : [...head, { ...options }]);
}

export function encodeAck(subscription: number, offsets: AckFrame["offsets"]): Uint8Array {
  return encode([frameType.ack, subscription, offsets.map(({ stream, offset }) => [stream, offset])]);
}

export function encodeCredit(subscription: number, messages: number, bytes: number): Uint8Array {
  return encode([frameType.credit, subscription, messages, bytes]);
}

export function encodeCancel(id: number): Uint8Array {
  return encode([frameType.cancel, id]);
}

export function encodePing(nonce: Nonce): Uint8Array {
  return encode([frameType.ping, nonce]);
}

export function encodePong(nonce: Nonce): Uint8Array {
  return encode([frameType.pong, nonce]);
}

export function encodeResult(id: number, result: unknown): Uint8Array {
  return encode([frameType.response, id, null, result ?? {}]);
}

export function encodeError(id: number, refusal: Refusal): Uint8Array {
  return encode([frameType.response, id, refusal, null]);
}

export function encodeGoaway(goaway: Goaway): Uint8Array {
  return encode([frameType.goaway, { ...goaway }]);
}

export function encodeWelcome(welcome: Welcome): Uint8Array {
  return encode([frameType.welcome, { ...welcome }]);
}

export function encodeReset(subscription: number, stream: number, reset: Reset): Uint8Array {
  return encode([frameType.reset, subscription, stream, { ...reset }]);
}

/** Splices the stored bodies in as they are: an event is decoded by nobody between machine and subscriber. */
export function encodeEventFrame(subscription: number, stream: number, events: readonly EncodedEvent[]): Uint8Array {
  const pieces = [openEnded([frameType.event, subscription, stream]), arrayHeader(events.length)];
  for (const { offset, time, type, body } of events) pieces.push(openEnded([offset, time, type]), body);
  return concatenate(pieces);
}

/** Frames back to back: one WebSocket message (C3). */
export function concatenate(pieces: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const piece of pieces) length += piece.length;
  const whole = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

/** An array of up to 14 values that says it has one more: the next piece is that one. */
function openEnded(values: readonly unknown[]): Uint8Array {
  const bytes = encode(values);
  bytes[0] = 0x90 | (values.length + 1);
  return bytes;
}

function arrayHeader(length: number): Uint8Array {
  if (length < 16) return Uint8Array.of(0x90 | length);
  if (length < 0x10000) return Uint8Array.of(0xdc, length >>> 8, length & 0xff);
  return Uint8Array.of(0xdd, length >>> 24, (length >>> 16) & 0xff, (length >>> 8) & 0xff, length & 0xff);
}
