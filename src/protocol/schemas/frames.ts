// The shapes of frames after their type number (PROTOCOL §2). Elements beyond those named are ignored.
import { z } from "zod";
import {
  binary,
  count,
  errorRecord,
  magnitude,
  map,
  offset,
  position,
  text,
  time,
  uint32,
  uuid,
} from "./primitives.ts";
import { resetReason } from "./stream.ts";

export const requestHead = z.tuple([uint32, z.string()]);
/** Judged by itself: on methods that change nothing it is ignored, whatever it is (E4). */
export const idempotencyKey = z.union([text(1, 64), binary(1, 64)], "expected str or bin of 1 to 64 bytes");
export const requestMeta = map({
  key: z.unknown().exactOptional(),
  ttlMs: magnitude.exactOptional(),
  trace: text(0, 256).exactOptional(),
});
export const ack = z.tuple([uint32, z.array(z.tuple([uint32, offset], z.unknown()))], z.unknown());
export const credit = z.tuple([uint32, magnitude, magnitude], z.unknown());
export const cancel = z.tuple([uint32], z.unknown());
export const nonce = z.tuple([z.union([z.number(), z.bigint(), text(0, 64), binary(0, 64)])], z.unknown());

export const responseHead = z.tuple([uint32]);
export const responseError = errorRecord;
export const event = z.tuple(
  [uint32, uint32, z.array(z.tuple([offset, time, z.string(), z.unknown()], z.unknown()))],
  z.unknown(),
);
export const goaway = map({ reason: z.string(), deadlineMs: count, reconnectMinMs: count, reconnectMaxMs: count });
export const limits = map({
  messageBytesMax: count,
  inFlightMax: count,
  streamsMax: count,
  heartbeatMs: count,
  ttlMsMax: count,
});
export const welcome = map({
  session: z.string(),
  node: z.string(),
  version: z.string(),
  protocol: z.string(),
  applicationId: uuid.exactOptional(),
  limits,
});
export const resetHead = z.tuple([uint32, uint32]);
export const reset = map({ reason: resetReason, position: position.exactOptional() });
