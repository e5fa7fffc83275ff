// Bytes of one WebSocket message → its frames, or the one answer to bytes that are none: close 4500.
// Which side may send a frame is judged here; what a frame asks for is not.
import type { z } from "zod";
import { badParams } from "./check-params.ts";
import { MalformedMsgpack, decodeValues, type DecodeLimits } from "./codec.ts";
import type { Refusal } from "./errors.ts";
import { frameType, type ClientFrame, type RequestFrame, type ServerFrame } from "./frames.ts";
import * as shapes from "./schemas/frames.ts";

export type ParsedFrames<F> =
  { readonly ok: true; readonly frames: F[] } | { readonly ok: false; readonly message: string };

/** Longest method name that is looked at; a longer one is no method of ours. */
const METHOD_CHARS_MAX = 256;

class BadFrame extends Error {
  override readonly name = "BadFrame";
}

/** What a server receives. */
export function decodeClientFrames(bytes: Uint8Array, limits?: DecodeLimits): ParsedFrames<ClientFrame> {
  return decodeFrames(bytes, limits, clientFrame);
}

/** What a client receives. */
export function decodeServerFrames(bytes: Uint8Array, limits?: DecodeLimits): ParsedFrames<ServerFrame> {
  return decodeFrames(bytes, limits, serverFrame);
}

function decodeFrames<F>(
  bytes: Uint8Array,
  limits: DecodeLimits | undefined,
  parse: (type: unknown, rest: readonly unknown[]) => F,
): ParsedFrames<F> {
  try {
    const frames = decodeValues(bytes, limits).map((value) => {
      if (!Array.isArray(value)) throw new BadFrame("a frame is an array");
      const [type, ...rest] = value as unknown[];
      return parse(type, rest);
    });
    return frames.length === 0 ? { ok: false, message: "a message holds at least one frame" } : { ok: true, frames };
  } catch (error) {
    if (error instanceof BadFrame || error instanceof MalformedMsgpack) return { ok: false, message: error.message };
    throw error;
  }
}

function clientFrame(type: unknown, rest: readonly unknown[]): ClientFrame {
  switch (type) {
    case frameType.request:
      return request(rest);
    case frameType.ack: {
      const [subscription, offsets] = fit(shapes.ack, rest, "ACK");
      return { type: "ack", subscription, offsets: offsets.map(([stream, offset]) => ({ stream, offset })) };
    }
    case frameType.credit: {
      const [subscription, messages, bytes] = fit(shapes.credit, rest, "CREDIT");
      return { type: "credit", subscription, messages, bytes };
    }
    case frameType.cancel:
      return { type: "cancel", id: fit(shapes.cancel, rest, "CANCEL")[0] };
    case frameType.ping:
      return { type: "ping", nonce: fit(shapes.nonce, rest, "PING")[0] };
    case frameType.pong:
      return { type: "pong", nonce: fit(shapes.nonce, rest, "PONG")[0] };
    default:
      throw new BadFrame("a client does not send this type of frame");
  }
}

function request(rest: readonly unknown[]): ClientFrame {
  const [id, method] = fit(shapes.requestHead, rest.slice(0, 2), "REQ");
  const [, , params, rawMeta] = rest;
  return { type: "request", id, method: method.slice(0, METHOD_CHARS_MAX), params, ...requestMeta(rawMeta) };
}

function requestMeta(raw: unknown): Pick<RequestFrame, "meta" | "fault" | "keyFault"> {
  if (raw === undefined || raw === null) return { meta: {} };
  const parsed = shapes.requestMeta.safeParse(raw);
  if (!parsed.success) return { meta: {}, fault: faultOf(["meta"], parsed.error) };
  const { key: rawKey, ...meta } = parsed.data;
  if (rawKey === undefined) return { meta };
  const key = shapes.idempotencyKey.safeParse(rawKey);
  if (!key.success) return { meta, keyFault: faultOf(["meta", "key"], key.error) };
  return { meta: { ...meta, key: keyText(key.data) } };
}

function faultOf(within: readonly string[], { issues: [issue] }: z.ZodError): Refusal {
  return badParams([...within, ...(issue?.path ?? [])].map(String).join("."), issue?.message ?? "wrong");
}

/** Text form of an idempotency key: a string and the bin of its bytes are different keys. */
function keyText(key: string | Uint8Array): string {
  return typeof key === "string" ? `s:${key}` : `b:${Buffer.from(key).toString("hex")}`;
}

function serverFrame(type: unknown, rest: readonly unknown[]): ServerFrame {
  switch (type) {
    case frameType.response: {
      const [id] = fit(shapes.responseHead, rest.slice(0, 1), "RES");
      const error = rest[1] ?? undefined;
      return {
        type: "response",
        id,
        error: error === undefined ? undefined : fit(shapes.responseError, error, "RES"),
        result: rest[2] ?? {},
      };
    }
    case frameType.event: {
      const [subscription, stream, events] = fit(shapes.event, rest, "EVT");
      return {
        type: "event",
        subscription,
        stream,
        events: events.map(([offset, time, kind, body]) => ({ offset, time, type: kind, body })),
      };
    }
    case frameType.ping:
      return { type: "ping", nonce: fit(shapes.nonce, rest, "PING")[0] };
    case frameType.pong:
      return { type: "pong", nonce: fit(shapes.nonce, rest, "PONG")[0] };
    case frameType.goaway:
      return { type: "goaway", ...fit(shapes.goaway, rest[0], "GOAWAY") };
    case frameType.welcome:
      return { type: "welcome", ...fit(shapes.welcome, rest[0], "WELCOME") };
    case frameType.reset: {
      const [subscription, stream] = fit(shapes.resetHead, rest.slice(0, 2), "RESET");
      return { type: "reset", subscription, stream, ...fit(shapes.reset, rest[2], "RESET") };
    }
    default:
      throw new BadFrame("a server does not send this type of frame");
  }
}

function fit<S extends z.ZodType>(schema: S, value: unknown, name: string): z.output<S> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new BadFrame(`${name} has another form`);
}
