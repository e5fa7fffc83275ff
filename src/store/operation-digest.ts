// The digest by which a repeated batch is recognised (P3). Pure.
import { hash } from "node:crypto";
import type { Operation } from "./store.ts";

/** Hex SHA-256 over every field of every operation, in order. */
export function digestOf(operations: readonly Operation[]): string {
  let fields = "";
  const payloads: Uint8Array[] = [];
  for (const operation of operations) {
    fields += `${operation.op}${fieldsOf(operation)}\n`;
    if ("bytes" in operation) payloads.push(operation.bytes);
    else if (operation.op === "append") payloads.push(operation.entry.body);
  }
  return hash("sha256", Buffer.concat([Buffer.from(fields), ...payloads]), "hex");
}

/** All but the bytes; their lengths keep neighbouring payloads apart, and NUL, which no name holds, the fields. */
function fieldsOf(operation: Operation): string {
  switch (operation.op) {
    case "putSnapshot":
      return `\0${operation.actor}\0${operation.bytes.length}`;
    case "putPart":
      return `\0${operation.actor}\0${operation.name}\0${operation.bytes.length}`;
    case "putMark": {
      const { actor, name, bytes, expiresAt, takes = [] } = operation;
      return `\0${actor}\0${name}\0${bytes.length}\0${expiresAt}\0${takes.length}\0${takes.join("\0")}`;
    }
    case "append": {
      const { offset, time, type, body } = operation.entry;
      return `\0${operation.actor}\0${offset}\0${time}\0${type}\0${body.length}`;
    }
    case "putOutbox":
      return `\0${operation.id}\0${operation.bytes.length}`;
    default:
      return `\0${Object.values(operation).join("\0")}`;
  }
}
