// What the transport is given: its ports, its limits and the events that it reports. Types only.
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import type { RunQueue } from "../run-queue.ts";
import type { Acknowledgements } from "../services/acknowledgements.ts";
import type { Delivery } from "../services/delivery.ts";
import type { Authenticator, Dispatch } from "../services/request-port.ts";
import type { StreamDirectory } from "../services/stream-directory.ts";
import type { ServerCertificate } from "./server-certificate.ts";

/** Documented, with units and defaults, in src/config.ts. */
export interface TransportLimits {
  readonly messageBytesMax: number;
  readonly inFlightMax: number;
  readonly streamsMax: number;
  readonly subscriptionsMax: number;
  readonly heartbeatMs: number;
  readonly pongTimeoutMs: number;
  readonly ttlMsDefault: number;
  readonly ttlMsMax: number;
  readonly socketQueueBytesMax: number;
  readonly socketPauseBytes: number;
  readonly socketStallMs: number;
  readonly handshakesPerSecond: number;
  readonly handshakesPendingMax: number;
  readonly handshakeTimeoutMs: number;
  readonly sessionsMax: number;
  readonly intakePauseBytes: number;
  readonly keyCheckMs: number;
}

/** How a request is called in metrics and in the log. */
export interface NamedRequest {
  /** A known method's name, or "unknown": a caller must not choose what a metric is labelled with. */
  readonly method: string;
  /** What its caller calls it by (`meta.trace`). */
  readonly trace?: string;
}

/** How a session ended: its close code, or "other" for one that a client made up. */
export type EndCode = number | "other";

export interface TransportEvents {
  sessionOpened(session: string, applicationId: string | undefined): void;
  sessionClosed(session: string, code: EndCode): void;
  /** @param from the address that asked */
  handshakeRefused(status: number, reason: string, from: string | undefined): void;
  requestAnswered(request: NamedRequest, code: string, latencyMs: number): void;
  dispatchRejected(request: NamedRequest, error: unknown): void;
  bug(where: string, error: unknown): void;
  draining(sessions: number, deadlineMs: number): void;
}

export interface TransportOptions {
  readonly host: string;
  readonly port: number;
  /** Without it the port speaks no TLS. */
  readonly certificate: ServerCertificate | undefined;
  /** Names this node in WELCOME. */
  readonly node: string;
  readonly version: string;
  readonly dispatch: Dispatch;
  readonly authenticator: Authenticator;
  readonly delivery: Delivery;
  readonly streams: StreamDirectory;
  readonly acknowledgements: Acknowledgements;
  /** Upgrades on paths that are not the application servers'. */
  readonly otherUpgrades: ReadonlyMap<string, (request: IncomingMessage, socket: Duplex, head: Buffer) => void>;
  /** In whose turns frames are taken. */
  readonly runQueue: RunQueue;
  readonly limits: TransportLimits;
  readonly events: TransportEvents;
}
