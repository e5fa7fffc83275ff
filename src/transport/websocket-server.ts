// The port for application servers: upgrades, the sessions of this node, and their orderly end. Refuses
// before the upgrade whatever can be refused then (C1, C2).
import { randomUUID } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer, type Server as TlsServer } from "node:https";
import type { Duplex } from "node:stream";
import { WebSocketServer } from "ws";
import { closeCodes } from "../protocol/close-codes.ts";
import { refuse, type Reason, type RefusalExtra } from "../protocol/errors.ts";
import { SOCKET_PATH, SUBPROTOCOL } from "../protocol/frames.ts";
import type { Principal } from "../services/request-port.ts";
import { ApplicationQuotas } from "./application-quotas.ts";
import { bearerToken, KeyWatch } from "./authentication.ts";
import { listen } from "./listen.ts";
import { RateLimiter } from "./rate-limiter.ts";
import { CLOSE_MS, Session } from "./session.ts";
import type { EndCode, TransportOptions } from "./transport-options.ts";
import { refuseUpgradeForm, upgradeRefusal, writeUpgradeRefusal, type UpgradeRefusal } from "./upgrade.ts";

/** A slow consumer reads why it was closed when it reads again, if that is soon. */
const SLOW_CLOSE_MS = 15_000;
const HEADERS_BYTES_MAX = 16_384;
const PROGRESS_CHECK_MS = 500;
const RETRY_AFTER_MS = 1000;
/** Beyond which a connection is cut at once: sessions, handshakes and a few that get an answer. */
const SPARE_CONNECTIONS = 64;
const RECONNECT_MS = { min: 100, max: 3000 };

type Admission = { readonly ok: true; readonly principal: Principal } | ({ readonly ok: false } & UpgradeRefusal);

export class AegisServer {
  readonly #options: TransportOptions;
  readonly #http: Server | TlsServer;
  readonly #sockets: WebSocketServer;
  readonly #sessions = new Set<Session>();
  /** Closed, and not gone yet. */
  readonly #lingering = new Set<Session>();
  readonly #quotas = new ApplicationQuotas();
  readonly #handshakes: RateLimiter;
  readonly #keys: KeyWatch;
  readonly #progress: NodeJS.Timeout;
  #pendingHandshakes = 0;
  #isOpen = false;
  #draining = false;
  #emptied: (() => void) | undefined;

  constructor(options: TransportOptions) {
    this.#options = options;
    const { limits } = options;
    this.#http = httpServer(options);
    this.#http.maxConnections = limits.sessionsMax + limits.handshakesPendingMax + SPARE_CONNECTIONS;
    this.#http.on("upgrade", (request, socket, head) => {
      const other = options.otherUpgrades.get((request.url ?? "").split("?")[0] ?? "");
      if (other === undefined) void this.#upgrade(request, socket, head);
      else other(request, socket, head);
    });
    this.#sockets = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      maxPayload: limits.messageBytesMax,
      perMessageDeflate: false,
      // Text is refused whatever it says.
      skipUTF8Validation: true,
      // Known to ws 8.23, not yet to its types.
      ...{ closeTimeout: SLOW_CLOSE_MS },
      handleProtocols: (offered) => (offered.has(SUBPROTOCOL) ? SUBPROTOCOL : false),
    });
    this.#handshakes = new RateLimiter(limits.handshakesPerSecond, performance.now());
    this.#keys = new KeyWatch({
      authenticator: options.authenticator,
      keyCheckMs: limits.keyCheckMs,
      quotasRead: (applicationId, quotas) => this.#quotas.update(applicationId, quotas),
      bug: (where, error) => options.events.bug(where, error),
    });
    this.#progress = setInterval(() => this.#checkProgress(), PROGRESS_CHECK_MS);
    this.#progress.unref();
  }

  /** From now on sessions are let in; before, they are told to come again. */
  open(): void {
    this.#isOpen = true;
  }

  /** Resolves with the port that it listens on. @throws ListenRefused */
  listen(): Promise<number> {
    const { host, port } = this.#options;
    return listen(this.#http, { host, port, settings: { host: "host", port: "port" } });
  }

  get sessionCount(): number {
    return this.#sessions.size;
  }

  get draining(): boolean {
    return this.#draining;
  }

  /**
   * Takes no new session, asks those here to go, and resolves once none is left: at the latest after
   * `deadlineMs`, when the rest is closed.
   */
  async drain(deadlineMs: number): Promise<void> {
    this.#draining = true;
    this.#options.events.draining(this.#sessions.size, deadlineMs);
    // Whoever leaves last still has time for the answers that it waits for.
    const reconnectMaxMs = Math.min(RECONNECT_MS.max, Math.floor(deadlineMs / 2));
    const reconnectMinMs = Math.min(RECONNECT_MS.min, reconnectMaxMs);
    for (const session of this.#sessions) {
      session.goAway({ reason: "DRAINING", deadlineMs, reconnectMinMs, reconnectMaxMs });
    }
    await this.#untilEmpty(deadlineMs);
    for (const session of [...this.#sessions]) session.close(closeCodes.drained);
  }

  /** Cuts what is left and lets go of the port. */
  async close(): Promise<void> {
    this.#draining = true;
    clearInterval(this.#progress);
    this.#options.certificate?.stop();
    this.#keys.stop();
    for (const session of [...this.#sessions]) session.close(closeCodes.restart);
    // Upgraded sockets are not the HTTP server's to close.
    const cut = setTimeout(() => {
      for (const session of this.#lingering) session.terminate();
    }, CLOSE_MS);
    await new Promise<void>((resolve) => {
      this.#http.close(() => resolve());
      this.#http.closeAllConnections();
    });
    clearTimeout(cut);
  }

  async #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    // Until ws has it, an error of the socket would be nobody's.
    const ignore = (): void => undefined;
    socket.on("error", ignore);
    let admission: Admission;
    this.#pendingHandshakes += 1;
    try {
      admission = await this.#admit(request);
    } catch {
      // The store is away: nobody can be told from anybody.
      admission = refused("STORE_UNAVAILABLE");
    } finally {
      this.#pendingHandshakes -= 1;
    }
    if (!admission.ok) {
      this.#options.events.handshakeRefused(admission.status, admission.refusal.reason, request.socket.remoteAddress);
      writeUpgradeRefusal(socket, admission);
      return;
    }
    const { principal } = admission;
    socket.off("error", ignore);
    // Synchronous: it either calls back or has answered 400 by itself.
    const opened = new Set<Session>();
    this.#sockets.handleUpgrade(request, socket, head, (webSocket) => {
      const session = new Session(webSocket, {
        ...this.#options,
        session: randomUUID(),
        principal,
        takeRequest: (nowMs) =>
          principal.kind === "application" ? this.#quotas.takeRequest(principal.applicationId, nowMs) : 0,
        ended: (ended, code) => this.#ended(ended, code),
        gone: (gone) => this.#lingering.delete(gone),
      });
      opened.add(session);
      this.#sessions.add(session);
      if (principal.kind === "application") this.#keys.add(principal, session);
      this.#options.events.sessionOpened(
        session.id,
        principal.kind === "application" ? principal.applicationId : undefined,
      );
    });
    if (opened.size === 0 && principal.kind === "application") this.#quotas.leave(principal.applicationId);
  }

  async #admit(request: IncomingMessage): Promise<Admission> {
    const { limits, authenticator } = this.#options;
    const form = refuseUpgradeForm(request);
    if (form !== undefined) return { ok: false, ...form };
    if (this.#isDraining()) return refused("DRAINING");
    if (!this.#isOpen) return refused("DRAINING", { message: "this node is starting" });
    const isFull = this.#sessions.size + this.#pendingHandshakes > limits.sessionsMax;
    if (isFull || this.#pendingHandshakes > limits.handshakesPendingMax) {
      return refused("RATE_LIMITED", { message: "this node has all the sessions that it takes" });
    }
    const retryAfterMs = this.#handshakes.take(performance.now());
    if (retryAfterMs > 0) return refused("RATE_LIMITED", { retryAfterMs });
    const token = bearerToken(request.headers);
    if (token === undefined) return denied("KEY_UNKNOWN");
    const authentication = await inTime(authenticator.authenticate(token), limits.handshakeTimeoutMs);
    if (authentication.kind === "unknown") return denied("KEY_UNKNOWN");
    if (authentication.kind === "forbidden") return denied("KEY_REVOKED");
    const { principal } = authentication;
    if (principal.kind === "operator") return { ok: true, principal };
    const quotas = await inTime(authenticator.quotas(principal.applicationId), limits.handshakeTimeoutMs);
    // Draining may have begun meanwhile.
    if (this.#isDraining()) return refused("DRAINING");
    if (!this.#quotas.enter(principal.applicationId, quotas)) return refused("QUOTA");
    return { ok: true, principal };
  }

  /** A call, because it changes while a handshake waits for the store. */
  #isDraining(): boolean {
    return this.#draining;
  }

  #ended(session: Session, code: EndCode): void {
    if (!this.#sessions.delete(session)) return;
    this.#lingering.add(session);
    const { principal } = session;
    if (principal.kind === "application") {
      this.#quotas.leave(principal.applicationId);
      this.#keys.remove(principal, session);
    }
    this.#options.events.sessionClosed(session.id, code);
    if (this.#sessions.size === 0) this.#emptied?.();
  }

  #checkProgress(): void {
    const nowMs = performance.now();
    for (const session of [...this.#sessions]) session.checkProgress(nowMs);
  }

  #untilEmpty(deadlineMs: number): Promise<void> {
    if (this.#sessions.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, deadlineMs);
      this.#emptied = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

function httpServer({ certificate, limits }: TransportOptions): Server | TlsServer {
  const bounds = {
    maxHeaderSize: HEADERS_BYTES_MAX,
    headersTimeout: limits.handshakeTimeoutMs,
    requestTimeout: limits.handshakeTimeoutMs,
    // How often the two above are looked at: half a minute otherwise.
    connectionsCheckingInterval: limits.handshakeTimeoutMs / 2,
  };
  if (certificate === undefined) return createServer(bounds, answerPlainHttp);
  const server = createTlsServer(
    { ...bounds, ...certificate.pem, handshakeTimeout: limits.handshakeTimeoutMs },
    answerPlainHttp,
  );
  certificate.watch((pem) => server.setSecureContext(pem));
  return server;
}

/** Nothing changes by waiting. */
function denied(reason: Reason): Admission {
  return { ok: false, ...upgradeRefusal(refuse(reason)) };
}

function refused(reason: Reason, extra: RefusalExtra = {}): Admission {
  return { ok: false, ...upgradeRefusal(refuse(reason, { retryAfterMs: RETRY_AFTER_MS, ...extra })) };
}

function inTime<T>(work: Promise<T>, timeoutMs: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("a handshake took too long")), timeoutMs);
    work.finally(() => clearTimeout(timer)).then(resolve, reject);
  });
}

/** This port speaks WebSocket alone; 426 says so to a browser or a probe. */
function answerPlainHttp(request: IncomingMessage, response: ServerResponse): void {
  const found = (request.url ?? "").split("?")[0] === SOCKET_PATH;
  response.writeHead(found ? 426 : 404, {
    "content-type": "text/plain; charset=utf-8",
    connection: "close",
    upgrade: "websocket",
  });
  response.end(found ? `connect with the WebSocket subprotocol ${SUBPROTOCOL}\n` : "not found\n");
}
