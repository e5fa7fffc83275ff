// Which slot of a Redis Cluster a key lies in, and which server has which slots. Pure.
import type { RedisEndpoint } from "./redis-url.ts";
import type { Reply } from "./connection.ts";
import { list, numberOf, textOf } from "./replies.ts";

export const SLOT_COUNT = 16_384;

export interface SlotRange {
  readonly first: number;
  readonly last: number;
  readonly primary: RedisEndpoint;
}

export interface SlotMap {
  readonly ranges: readonly SlotRange[];
  /** Primaries and replicas: whoever may be asked for the next map. */
  readonly servers: readonly RedisEndpoint[];
}

/** Of the key's hash tag, or of the whole key when it has none. */
export function slotOf(key: string | Buffer): number {
  const open = key.indexOf("{");
  const close = open < 0 ? -1 : key.indexOf("}", open);
  const [from, to] = close > open + 1 ? [open + 1, close] : [0, key.length];
  return checksum(typeof key === "string" ? Buffer.from(key.slice(from, to)) : key.subarray(from, to)) % SLOT_COUNT;
}

/** CRC-16/XMODEM, as the specification of Redis Cluster has it. */
function checksum(bytes: Uint8Array): number {
  let sum = 0;
  for (const byte of bytes) {
    sum ^= byte << 8;
    for (let bit = 0; bit < 8; bit += 1) sum = ((sum << 1) ^ (sum & 0x80_00 ? 0x10_21 : 0)) & 0xff_ff;
  }
  return sum;
}

/** @param reply of CLUSTER SLOTS   @param asked who gave it: a server that does not know its own host leaves it out */
export function slotMapOf(reply: Reply, asked: RedisEndpoint): SlotMap {
  const ranges: SlotRange[] = [];
  const servers = new Map<string, RedisEndpoint>();
  for (const range of list(reply)) {
    const [first, last, ...members] = list(range);
    const [primary, ...replicas] = members.map((member) => endpointOf(member, asked));
    if (primary === undefined) continue;
    ranges.push({ first: numberOf(first), last: numberOf(last), primary });
    for (const server of [primary, ...replicas]) servers.set(nameOf(server), server);
  }
  return { ranges, servers: [...servers.values()] };
}

export function nameOf({ host, port }: RedisEndpoint): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

function endpointOf(member: Reply, asked: RedisEndpoint): RedisEndpoint {
  const [host, port] = list(member);
  return { host: textOf(host) || asked.host, port: numberOf(port) };
}
