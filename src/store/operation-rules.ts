// What can be said about a batch without looking at the store: names, sizes, whole numbers.
// Both drivers ask here before they send anything, so that they refuse the same batches.
import type { ActorKey, Operation } from "./store.ts";

export const ACTOR_KEY_BYTES_MAX = 512;
/** Room for one turn of the largest kind beside a whole batch of others (config `batchOperationsMax`). */
export const BATCH_OPERATIONS_MAX = 131_072;
export const BATCH_BYTES_MAX = 64 * 1024 * 1024;
export const EVENT_TYPE_BYTES_MAX = 64;

// NUL separates the parts of a stored key, so it can be in none of them.
const NAME = /^[\x01-\x7f]{1,400}$/;
const ACTOR_KEY = /^[\x01-\x2e\x30-\x7f]+\/[\x01-\x2e\x30-\x7f]+\/[\x01-\x7f]+$/;

/** Parts under it are destroyed when a history was lost (P11). */
export const ONCE_PREFIX = "once/";

export function isName(text: string): boolean {
  return NAME.test(text);
}

export function isActorKey(key: ActorKey): boolean {
  return key.length <= ACTOR_KEY_BYTES_MAX && ACTOR_KEY.test(key);
}

/** Why the batch can never be applied, or undefined. Names no bytes of it. */
export function flawOfBatch(operations: readonly Operation[]): string | undefined {
  if (operations.length > BATCH_OPERATIONS_MAX) return `more than ${BATCH_OPERATIONS_MAX} operations`;
  let bytes = 0;
  let index = 0;
  let actor = "";
  for (const operation of operations) {
    const flaw = flawOfOperation(operation, actor);
    if (flaw !== undefined) return `operation ${index} (${operation.op}): ${flaw}`;
    if ("actor" in operation) ({ actor } = operation);
    bytes += payloadBytes(operation);
    index += 1;
  }
  return bytes > BATCH_BYTES_MAX ? `more than ${BATCH_BYTES_MAX} bytes` : undefined;
}

export function payloadBytes(operation: Operation): number {
  if ("bytes" in operation) return operation.bytes.length;
  return operation.op === "append" ? operation.entry.body.length : 0;
}

/** @param judged an actor key that was found good */
function flawOfOperation(operation: Operation, judged: ActorKey): string | undefined {
  if ("actor" in operation && operation.actor !== judged && !isActorKey(operation.actor)) return "actor key";
  if ("name" in operation && !isName(operation.name)) return "name";
  switch (operation.op) {
    case "append":
      return flawOfEntry(operation.entry.offset, operation.entry.time, operation.entry.type);
    case "trim":
      return Number.isSafeInteger(operation.before) && operation.before >= 0 ? undefined : "before";
    case "putMark":
      if (!isTime(operation.expiresAt)) return "expiresAt";
      return operation.takes?.every(isName) === false ? "takes" : undefined;
    case "putOutbox":
    case "deleteOutbox":
      return isName(operation.id) ? undefined : "outbox id";
    case "putTimer":
      return isTime(operation.at) ? undefined : "at";
    default:
      return undefined;
  }
}

function flawOfEntry(offset: number, time: number, type: string): string | undefined {
  if (!Number.isSafeInteger(offset) || offset < 1) return "offset";
  if (!isTime(time)) return "time";
  return type.length <= EVENT_TYPE_BYTES_MAX && isName(type) ? undefined : "type";
}

function isTime(time: number): boolean {
  return Number.isSafeInteger(time) && time >= 0;
}
