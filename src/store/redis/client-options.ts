// What ioredis is told: how to find the primary, and that it must never queue or send a command again by itself
// (GUARANTEES rule 2).
import { isIP } from "node:net";
import type { RedisOptions as AnyOptions } from "ioredis";
import type { RedisAddress } from "./redis-url.ts";

/** Replies stay what the older protocol makes of them. */
export type RedisOptions = Omit<AnyOptions, "replyMapping">;

export interface ClientDemand {
  readonly address: RedisAddress;
  readonly tlsCa: string | undefined;
  /** Of the sentinels themselves. */
  readonly sentinelPassword: string | undefined;
  readonly commandTimeoutMs: number;
  readonly connectTimeoutMs: number;
}

/** Then the next sentinel is asked: a node starts although two hang, or their hosts are gone. */
const SENTINEL_TURN_MS = 1500;

const backoffMs = (times: number): number => Math.min(50 * 2 ** Math.min(times, 5), 1000);

/** For the connection to the primary. */
export function clientOptions(demand: ClientDemand): RedisOptions {
  const { address, commandTimeoutMs } = demand;
  return {
    db: address.db,
    ...(address.username === undefined ? {} : { username: address.username }),
    ...(address.password === undefined ? {} : { password: address.password }),
    protocol: 2,
    disableClientInfo: true,
    lazyConnect: true,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    connectTimeout: demand.connectTimeoutMs,
    ...routeOptions(demand),
    commandTimeout: commandTimeoutMs,
    // A peer that vanished without a word: nothing came although an answer is due.
    socketTimeout: commandTimeoutMs * 2,
    retryStrategy: backoffMs,
    // It was a primary when it was admitted: look for the new one. The command itself fails.
    reconnectOnError: (error) => error.message.startsWith("READONLY"),
  };
}

/** For a connection to a sentinel. */
export function sentinelOptions(demand: ClientDemand): RedisOptions {
  const { address, tlsCa, sentinelPassword } = demand;
  return {
    ...(sentinelPassword === undefined ? {} : { password: sentinelPassword }),
    ...(address.tls ? { tls: authority(tlsCa) } : {}),
    protocol: 2,
    disableClientInfo: true,
    lazyConnect: true,
    enableReadyCheck: false,
    // A subscription waits for as long as its sentinel is away.
    maxRetriesPerRequest: null,
    connectTimeout: demand.connectTimeoutMs,
    retryStrategy: backoffMs,
  };
}

function routeOptions(demand: ClientDemand): RedisOptions {
  const { tlsCa, sentinelPassword, commandTimeoutMs, connectTimeoutMs } = demand;
  const { route, tls } = demand.address;
  if (route.kind === "server") {
    const { host, port } = route;
    // A name is asked for in the handshake; an address is only looked for in the certificate.
    const asked = isIP(host) === 0 ? { servername: host } : {};
    return { host, port, ...(tls ? { tls: { ...asked, ...authority(tlsCa) } } : {}) };
  }
  return {
    sentinels: [...route.sentinels],
    name: route.primaryName,
    role: "master",
    sentinelCommandTimeout: Math.min(commandTimeoutMs, SENTINEL_TURN_MS),
    // ioredis has one value for sentinels and the primary.
    connectTimeout: Math.min(connectTimeoutMs, SENTINEL_TURN_MS),
    sentinelRetryStrategy: backoffMs,
    ...(sentinelPassword === undefined ? {} : { sentinelPassword }),
    ...(tls ? { tls: authority(tlsCa), sentinelTLS: authority(tlsCa), enableTLSForSentinelMode: true } : {}),
  };
}

function authority(tlsCa: string | undefined): { readonly ca?: string } {
  return tlsCa === undefined ? {} : { ca: tlsCa };
}
