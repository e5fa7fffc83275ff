// Judges an upgrade request before the upgrade (C1, C2) and writes the HTTP answers that refuse one.
import type { IncomingMessage } from "node:http";
import { STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import { httpStatusOf, refuse, type Refusal } from "../protocol/errors.ts";
import { SOCKET_PATH, SUBPROTOCOL } from "../protocol/frames.ts";

export interface UpgradeRefusal {
  readonly status: number;
  readonly refusal: Refusal;
}

/** What can be said without asking anybody. */
export function refuseUpgradeForm(request: IncomingMessage): UpgradeRefusal | undefined {
  const path = (request.url ?? "").split("?")[0];
  if (path !== SOCKET_PATH) {
    return { status: 404, refusal: refuse("UNKNOWN_METHOD", { message: `connect to ${SOCKET_PATH}` }) };
  }
  const offered = (request.headers["sec-websocket-protocol"] ?? "").split(",").map((name) => name.trim());
  if (!offered.includes(SUBPROTOCOL)) {
    return upgradeRefusal(refuse("SUBPROTOCOL_REQUIRED", { details: { supported: [SUBPROTOCOL] } }));
  }
  return undefined;
}

export function upgradeRefusal(refusal: Refusal): UpgradeRefusal {
  return { status: httpStatusOf(refusal), refusal };
}

/** For so long the refused may read why, and close by itself. */
const LINGER_MS = 2000;

/**
 * Ends the connection with a whole HTTP answer. The HTTP server has let go of the socket: it is cut here if the other
 * side does not close it, and what it sends on is dropped, since an end behind unread bytes is never seen.
 */
export function writeUpgradeRefusal(socket: Duplex, { status, refusal }: UpgradeRefusal): void {
  const body = JSON.stringify(refusal);
  const lines = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}`,
    "Connection: close",
    "Content-Type: application/json",
    "Cache-Control: no-store",
    `Content-Length: ${Buffer.byteLength(body)}`,
  ];
  if (status === 401) lines.push('WWW-Authenticate: Bearer realm="aegis"');
  // Whole seconds, never 0: that would say "at once".
  if (status === 429 || status === 503)
    lines.push(`Retry-After: ${Math.max(1, Math.ceil((refusal.retryAfterMs ?? 1000) / 1000))}`);
  const cut = setTimeout(() => socket.destroy(), LINGER_MS);
  socket.once("close", () => clearTimeout(cut));
  socket.resume();
  socket.end(`${lines.join("\r\n")}\r\n\r\n${body}`);
}
