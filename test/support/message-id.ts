// By which a message is known in histories and logs: short, and its bytes alone decide.
import { createHash } from "node:crypto";

export function messageId(message: Uint8Array): string {
  return createHash("sha256").update(message).digest("hex").slice(0, 16);
}
