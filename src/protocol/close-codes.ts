// The WebSocket close codes that Aegis uses, as data, and what a client does on each (C7).

export interface CloseCode {
  readonly code: number;
  readonly name: string;
  readonly reconnect: boolean;
  readonly meaning: string;
}

export const closeCodes = {
  goingAway: { code: 1001, name: "going away", reconnect: true, meaning: "The node drains after GOAWAY." },
  policy: { code: 1008, name: "policy", reconnect: false, meaning: "A proxy or policy forbids the connection." },
  tooBig: { code: 1009, name: "too big", reconnect: false, meaning: "A message is above `limits.messageBytesMax`." },
  restart: { code: 1012, name: "restart", reconnect: true, meaning: "The node restarts." },
  tryAgain: { code: 1013, name: "try again later", reconnect: true, meaning: "The node is overloaded." },
  drained: { code: 4000, name: "drained", reconnect: true, meaning: "The deadline of GOAWAY has passed." },
  slowConsumer: {
    code: 4008,
    name: "slow consumer",
    reconnect: true,
    meaning: "8 MiB wait on the socket, or nothing moved for 10 s. Resume by position.",
  },
  noPong: { code: 4012, name: "no pong", reconnect: true, meaning: "Pings were not answered in 10 s." },
  protocolError: {
    code: 4500,
    name: "protocol error",
    reconnect: false,
    meaning: "Bytes that are no frame, a text message, or a frame that this side may not send.",
  },
  keyRevoked: {
    code: 4501,
    name: "key revoked",
    reconnect: false,
    meaning: "The key was revoked or has expired, or its application was deleted.",
  },
} as const satisfies Record<string, CloseCode>;

/** Back-off before a reconnect: full jitter, doubling from the first bound up to the second. */
export const reconnectBackoffMs = { min: 500, max: 30_000 } as const;

/**
 * Whether a client should connect again. A connection that broke without a close frame (1005, 1006)
 * and codes that are not named here count as accidents of the network.
 */
export function shouldReconnect(code: number): boolean {
  if (code === 1008 || code === 1009) return false;
  return code < 4500 || code > 4999;
}
