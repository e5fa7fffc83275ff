// What a client can be told, with the bounds of everything it holds. No behaviour.
import type { Welcome } from "../protocol/frames.ts";

export interface ConnectOptions {
  /** `ws://` or `wss://`, host and port; several are tried in turn. The path is `/v1/ws` unless one is given. */
  readonly url: string | readonly string[];
  /** The whole token, `aegis_<keyId>_<secret>`. */
  readonly token: string;
  /** PEM of the authority that signed the servers' certificates, where the system does not trust it. */
  readonly tlsCa?: string;
  /** For how long `connect` tries to reach a server, milliseconds. */
  readonly connectTimeoutMs?: number;
  /** For how long one server may take to answer the upgrade, and then to send WELCOME, milliseconds. */
  readonly handshakeTimeoutMs?: number;
  /** Default for how long a call may take, retries and reconnects included, milliseconds. */
  readonly ttlMs?: number;
  /** Unanswered requests at once; the server's `inFlightMax` lowers it. */
  readonly inFlightMax?: number;
  /** Calls waiting to be sent; more are refused with IN_FLIGHT_LIMIT. */
  readonly waitingMax?: number;
  /** Bytes handed to the socket and not yet taken by the system; calls wait above it. */
  readonly unsentBytesMax?: number;
  /** Largest message taken from the server, bytes. */
  readonly messageBytesMax?: number;
  /** Called at each change of the connection. */
  readonly observer?: ConnectionObserver;
}

export interface ConnectionObserver {
  connected?(welcome: Welcome): void;
  /** @param retryInMs undefined: never again */
  disconnected?(closeCode: number, retryInMs: number | undefined): void;
}

export interface CallOptions {
  /** Idempotency key of a mutation, 1–64 bytes; by default a fresh one for each call. */
  readonly key?: string | Uint8Array;
  /**
   * For how long the call may take, retries and reconnects included, milliseconds. A mutation of unknown outcome is
   * sent again for ten minutes at most: for so long the server remembers its key.
   */
  readonly ttlMs?: number;
  /** Cancels the call: best effort, it may still be applied. */
  readonly signal?: AbortSignal;
  /** Passed on in `meta.trace`. */
  readonly trace?: string;
}

export interface ClientSettings {
  readonly urls: readonly string[];
  readonly token: string;
  readonly tlsCa: string | undefined;
  readonly connectTimeoutMs: number;
  readonly handshakeTimeoutMs: number;
  readonly ttlMs: number;
  readonly inFlightMax: number;
  readonly waitingMax: number;
  readonly unsentBytesMax: number;
  readonly messageBytesMax: number;
  readonly observer: ConnectionObserver;
}

const MIB = 1024 * 1024;

/** @throws TypeError when a URL is none, or the token can't stand in a request */
export function clientSettings(options: ConnectOptions): ClientSettings {
  const given = typeof options.url === "string" ? [options.url] : options.url;
  if (given.length === 0) throw new TypeError("connect needs a url");
  // The message does not repeat it: it is a secret, and the commonest fault is the end of the file's line.
  if (!/^[\x21-\x7e]*$/.test(options.token)) throw new TypeError("a token has no spaces and no end of a line");
  return {
    urls: given.map(socketUrl),
    token: options.token,
    tlsCa: options.tlsCa,
    connectTimeoutMs: options.connectTimeoutMs ?? 10_000,
    handshakeTimeoutMs: options.handshakeTimeoutMs ?? 10_000,
    ttlMs: options.ttlMs ?? 30_000,
    inFlightMax: options.inFlightMax ?? 1024,
    waitingMax: options.waitingMax ?? 65_536,
    unsentBytesMax: options.unsentBytesMax ?? 8 * MIB,
    messageBytesMax: options.messageBytesMax ?? 64 * MIB,
    observer: options.observer ?? {},
  };
}

function socketUrl(given: string): string {
  const url = new URL(given);
  if (url.protocol !== "ws:" && url.protocol !== "wss:") throw new TypeError("a url begins with ws:// or wss://");
  if (url.hash !== "") throw new TypeError("a url of a server has no #fragment");
  if (url.pathname === "/") url.pathname = "/v1/ws";
  return url.href;
}
