// The digest by which a repeated batch is recognised (P3). Pure.
import { hash } from "node:crypto";
import type { Operation } from "./store.ts";

/** Hex SHA-256 over every field of every operation, in order. */
export function digestOf(operations: readonly Operation[]): string {
  const pieces: Uint8Array[] = [Buffer.from(JSON.stringify(operations.map(fieldsOf)))];
  for (const operation of operations) {
    if ("bytes" in operation) pieces.push(operation.bytes);
    else if (operation.op === "append") pieces.push(operation.entry.body);
  }
  return hash("sha256", Buffer.concat(pieces), "hex");
}

/** All but the bytes; their lengths keep neighbouring payloads apart. */
function fieldsOf(operation: Operation): readonly unknown[] {
  switch (operation.op) {
    case "putSnapshot":
      return [operation.op, operation.actor, operation.bytes.length];
    case "putPart":
      return [operation.op, operation.actor, operation.name, operation.bytes.length];
    case "putMark":
      return [
        operation.op,
        operation.actor,
        operation.name,
        operation.bytes.length,
        operation.takes ?? [],
        operation.expiresAt,
      ];
    case "append": {
      const { offset, time, type, body } = operation.entry;
      return [operation.op, operation.actor, offset, time, type, body.length];
    }
    case "putOutbox":
      return [operation.op, operation.id, operation.bytes.length];
    default:
      return Object.values(operation);
  }
}
