// The listening side of the links between nodes: takes upgrades on its own path, has each dialler prove itself, and
// hands its requests on. Knows nothing of actors.
import { randomBytes } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { WebSocketServer } from "ws";
import { FrameIntake } from "../frame-intake.ts";
import type { RunQueue } from "../run-queue.ts";
import { LINK_SHARE, linkBacklog, type LinkLimits } from "./peer-link.ts";
import { PeerLinkWriter } from "./peer-link-writer.ts";
import {
  decodePeerFrames,
  PEER_SUBPROTOCOL,
  type PeerAnswer,
  type PeerFrame,
  type PeerNotice,
  type PeerRequest,
} from "./peer-frames.ts";
import { isProofNonce, PROOF_NONCE_BYTES, prove, proves } from "./peer-proof.ts";
import type { PeerSocket } from "./peer-link-socket.ts";

/** One proven dialler. */
export interface PeerSession {
  readonly nodeId: string;
  notify(notice: PeerNotice): void;
}

export interface PeerLinkServerOptions {
  /** This node's id now. */
  nodeId(): string;
  readonly linkKey: Uint8Array;
  readonly limits: LinkLimits;
  /** In whose turns frames are taken. */
  readonly runQueue: RunQueue;
  /** Resolves with the answer; rejects with what the dialler is told. */
  requested(session: PeerSession, request: PeerRequest, ttlMs: number): Promise<PeerAnswer>;
  /** It has proved itself. */
  opened(session: PeerSession): void;
  noticed(session: PeerSession, notice: PeerNotice): void;
  closed(session: PeerSession): void;
}

/** What carries a socket's bytes. */
interface Beneath {
  on(event: "data", heard: (chunk: Buffer) => void): unknown;
  off(event: "data", heard: (chunk: Buffer) => void): unknown;
}

const HELLO_MS = 4_000;
const UNPROVEN_MAX = 64;
const UNPROVEN_BYTES_MAX = 4096;

export class PeerLinkServer {
  readonly #options: PeerLinkServerOptions;
  readonly #sockets: WebSocketServer;
  readonly #open = new Set<PeerSocket>();
  readonly #sessions = new Set<PeerSession>();
  /** In the order of their coming. */
  readonly #unproven = new Set<PeerSocket>();
  #closed = false;

  constructor(options: PeerLinkServerOptions) {
    this.#options = options;
    this.#sockets = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      maxPayload: options.limits.peerMessageBytesMax,
      handleProtocols: (offered) => (offered.has(PEER_SUBPROTOCOL) ? PEER_SUBPROTOCOL : false),
    });
  }

  /** An upgrade request on PEER_PATH. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    if (this.#closed) {
      socket.destroy();
      return;
    }
    this.#sockets.handleUpgrade(request, socket, head, (webSocket) => this.accept(webSocket, socket));
  }

  /** To every node that has proved itself. */
  tell(notice: PeerNotice): void {
    for (const session of this.#sessions) session.notify(notice);
  }

  close(): void {
    this.#closed = true;
    for (const socket of this.#open) socket.terminate();
  }

  /** A connection that stands; `beneath` tells of its bytes before they are whole messages. */
  accept(socket: PeerSocket, beneath: Beneath): void {
    const challenge = Uint8Array.from(randomBytes(PROOF_NONCE_BYTES));
    const writer = new PeerLinkWriter(socket, this.#options.limits);
    let session: PeerSession | undefined;
    this.#open.add(socket);
    this.#makeRoom();
    this.#unproven.add(socket);
    const late = setTimeout(() => socket.terminate(), HELLO_MS);
    // Strangers get no memory: ws would gather a whole message first.
    let heardBytes = 0;
    const count = (chunk: Buffer): void => {
      heardBytes += chunk.length;
      if (heardBytes > UNPROVEN_BYTES_MAX) socket.terminate();
    };
    beneath.on("data", count);
    const proven = (): void => {
      clearTimeout(late);
      beneath.off("data", count);
      this.#unproven.delete(socket);
    };
    socket.on("error", () => undefined); // `close` follows
    const intake = new FrameIntake<PeerFrame>({
      queue: this.#options.runQueue,
      share: LINK_SHARE,
      decode: decodePeerFrames,
      take: (frame, arrivedMs) => {
        if (session !== undefined) {
          this.#received(session, writer, frame, arrivedMs);
          return;
        }
        session = this.#judge(writer, challenge, frame);
        this.#sessions.add(session);
        proven();
        this.#options.opened(session);
      },
      // Not one of our nodes, or one that means another: it may dial again.
      failed: () => socket.terminate(),
      backlog: linkBacklog(socket, this.#options.limits),
    });
    socket.on("close", () => {
      intake.stop();
      this.#open.delete(socket);
      if (session === undefined) proven();
      else {
        this.#sessions.delete(session);
        this.#options.closed(session);
      }
    });
    socket.on("message", (data) => intake.add(data));
    writer.send({ frame: "challenge", nonce: challenge });
  }

  /** Who has said nothing for longest goes: a node proves itself at once, so that strangers keep none out. */
  #makeRoom(): void {
    if (this.#unproven.size < UNPROVEN_MAX) return;
    for (const longest of this.#unproven) {
      this.#unproven.delete(longest);
      longest.terminate();
      return;
    }
  }

  /** @throws Error unless the dialler holds the deployment's secret and means this node as it is now */
  #judge(writer: PeerLinkWriter, challenge: Uint8Array, frame: PeerFrame): PeerSession {
    // From a stranger: nothing of it has the form that its type promises.
    if (frame.frame !== "hello" || frame.to !== this.#options.nodeId()) throw new Error("another node is meant");
    if (typeof frame.from !== "string" || !isProofNonce(frame.nonce)) throw new Error("malformed hello");
    const { linkKey } = this.#options;
    const both = {
      dialler: frame.from,
      listener: frame.to,
      diallerNonce: frame.nonce,
      listenerNonce: challenge,
    };
    if (!proves(linkKey, { side: "dialling", ...both }, frame.proof)) throw new Error("no proof");
    writer.send({ frame: "welcome", proof: prove(linkKey, { side: "listening", ...both }) });
    return { nodeId: frame.from, notify: (notice) => writer.send({ frame: "notice", notice }) };
  }

  #received(session: PeerSession, writer: PeerLinkWriter, frame: PeerFrame, arrivedMs: number): void {
    if (frame.frame === "notice") {
      this.#options.noticed(session, frame.notice);
      return;
    }
    if (frame.frame !== "request") throw new Error("a request was expected");
    const { id, request, ttlMs } = frame;
    this.#options
      .requested(session, request, Math.max(ttlMs - (performance.now() - arrivedMs), 1))
      .then((answer) => respond(writer, id, answer))
      .catch((error: unknown) => {
        writer.send({ frame: "failure", id, message: error instanceof Error ? error.message : "failed" });
      });
  }
}

async function respond(writer: PeerLinkWriter, id: number, { value, settled }: PeerAnswer): Promise<void> {
  // What has arrived already needs no second frame.
  const arrived = await Promise.race([settled, Promise.resolve(undefined)]);
  const isSent = writer.send({ frame: "response", id, value, owes: arrived !== true });
  if (!isSent) throw new Error("the answer is larger than a message may be");
  if (arrived !== true) writer.send({ frame: "settled", id, arrived: await settled });
}
