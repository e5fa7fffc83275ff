// The bytes of one request, or why the server would take them for no frame: that would end the session, and with it
// the calls of everybody who shares it. Never judges what a method asks of its parameters: the server does.
import { MalformedMsgpack, defaultDecodeLimits, scanValues } from "../protocol/msgpack-scan.ts";
import { encodeRequest, type RequestOptions } from "../protocol/frames.ts";
import type { MethodName } from "../protocol/methods.ts";
import { localError, type CallFacts } from "./aegis-error.ts";

export interface RequestToSend {
  readonly id: number;
  readonly method: MethodName;
  readonly params: object;
  readonly options: RequestOptions;
}

/** @throws AegisError BAD_PARAMS: not plain data, too deep, too many values, or above `messageBytesMax` */
export function requestFrame(request: RequestToSend, messageBytesMax: number, facts: CallFacts): Uint8Array {
  const refused = (message: string) => localError("BAD_PARAMS", { message }, facts);
  const { id, method, params, options } = request;
  let frame: Uint8Array;
  try {
    frame = encodeRequest(id, method, params, options);
  } catch (error) {
    // RangeError: parameters that hold themselves.
    throw refused(`the request can't be sent: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (frame.length > messageBytesMax) throw refused(`the request is above ${messageBytesMax} bytes`);
  try {
    scanValues(frame, defaultDecodeLimits);
  } catch (error) {
    if (error instanceof MalformedMsgpack) throw refused(`the request can't be sent: ${error.message}`);
    throw error;
  }
  return frame;
}
