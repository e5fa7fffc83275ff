// This node's link to one other: dials, proves itself, sends requests and hears notices, and dials again when it is
// cut. What was sent and not answered when the link goes is of unknown outcome; nothing is sent twice.
import { randomBytes } from "node:crypto";
import { FrameIntake, type FrameBacklog } from "../frame-intake.ts";
import type { RunQueue } from "../run-queue.ts";
import { PeerLinkWriter, type PeerWriterLimits } from "./peer-link-writer.ts";
import { decodePeerFrames, type PeerAnswer, type PeerFrame, type PeerNotice, type PeerRequest } from "./peer-frames.ts";
import { isProofNonce, PROOF_NONCE_BYTES, prove, proves } from "./peer-proof.ts";
import type { DialPeer, PeerSocket } from "./peer-link-socket.ts";

export interface LinkLimits extends PeerWriterLimits {
  /** Requests without an answer on one link. */
  readonly peerRequestsMax: number;
}

export interface PeerLinkOptions {
  /** This node's id now, and that of the node expected at the address. */
  from(): string;
  readonly to: string;
  readonly address: string;
  readonly linkKey: Uint8Array;
  readonly limits: LinkLimits;
  /** In whose turns frames are taken. */
  readonly runQueue: RunQueue;
  readonly dial: DialPeer;
  notice(notice: PeerNotice): void;
  /** The link stands. */
  reached(): void;
  /** It was refused, reset or silent for too long, several times in a row. @param why for an operator to act on */
  unreached(why: string): void;
  closed(): void;
}

/** The request was certainly not sent. */
export class NotSent extends Error {
  override readonly name = "NotSent";
}

/** The link went, or the time, before the answer came: the other node may have acted or not. */
export class NotAnswered extends Error {
  override readonly name = "NotAnswered";
}

/** One dial, until it stands and while it does. */
interface Greeting {
  readonly from: string;
  challenge: Uint8Array | undefined;
  proven: boolean;
  heardMs: number;
  failure: Error | undefined;
}

interface Waiting {
  readonly untilMs: number;
  resolve(answer: PeerAnswer): void;
  reject(error: Error): void;
  readonly alarm: NodeJS.Timeout;
}

/** Frames taken in a row, where of a session it is one: a link carries what many sessions ask, and the answers that others wait for. */
export const LINK_SHARE = 16;

/** No more waits here than may wait at the other end: the rest stays there. */
export function linkBacklog(socket: PeerSocket, { peerQueueBytesMax }: LinkLimits): FrameBacklog {
  return { bytesMax: peerQueueBytesMax, changed: (isFull) => (isFull ? socket.pause() : socket.resume()) };
}

const REDIAL_MS = 100;
/** Dials in a row that fail before the other counts as out of reach. */
const FAILURES_TELLING = 2;
const PING_MS = 1_000;
/** Silence of a standing link after which it counts as cut. */
const SILENCE_MS = 4_000;
/** A certificate that does not fit may name many hosts. */
const WHY_CHARACTERS_MAX = 300;

export class PeerLink {
  readonly #options: PeerLinkOptions;
  readonly #waiting = new Map<number, Waiting>();
  /** Answered requests that the other node has yet to call settled. */
  readonly #owing = new Map<number, (arrived: boolean) => void>();
  #socket: PeerSocket | undefined;
  #writer: PeerLinkWriter | undefined;
  #redial: NodeJS.Timeout | undefined;
  #failures = 0;
  #nextId = 1;
  #stopped = false;

  constructor(options: PeerLinkOptions) {
    this.#options = options;
    this.#dial();
  }

  get stands(): boolean {
    return this.#writer !== undefined;
  }

  /** @throws NotSent, NotAnswered, or Error with what went wrong over there */
  request(request: PeerRequest, ttlMs: number): Promise<PeerAnswer> {
    const writer = this.#writer;
    if (writer === undefined) return Promise.reject(new NotSent("no link"));
    if (this.#waiting.size >= this.#options.limits.peerRequestsMax) return Promise.reject(new NotSent("link is full"));
    const id = this.#nextId;
    this.#nextId = (this.#nextId % 0xffffffff) + 1;
    const isSent = writer.send({ frame: "request", id, ttlMs, request });
    if (!isSent) return Promise.reject(new NotSent("larger than a message may be"));
    return new Promise((resolve, reject) => {
      const alarm = setTimeout(
        () => {
          this.#waiting.delete(id);
          reject(new NotAnswered("no answer in time"));
        },
        Math.max(ttlMs, 1),
      );
      this.#waiting.set(id, { untilMs: performance.now() + ttlMs, resolve, reject, alarm });
    });
  }

  /** One that is not sent is news lost: it is read from the store. */
  notify(notice: PeerNotice): void {
    this.#writer?.send({ frame: "notice", notice });
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#redial);
    this.#socket?.terminate();
  }

  #dial(): void {
    if (this.#stopped) return;
    const socket = this.#options.dial(this.#options.address);
    this.#socket = socket;
    const nonce = Uint8Array.from(randomBytes(PROOF_NONCE_BYTES));
    const state: Greeting = {
      from: this.#options.from(),
      challenge: undefined,
      proven: false,
      heardMs: performance.now(),
      failure: undefined,
    };
    const watch = setInterval(() => {
      // Who does not listen hears nothing.
      if (socket.isPaused) state.heardMs = performance.now();
      if (performance.now() - state.heardMs > SILENCE_MS) socket.terminate();
      else if (socket.readyState === socket.OPEN) socket.ping();
    }, PING_MS);
    watch.unref();
    socket.on("pong", () => (state.heardMs = performance.now()));
    const intake = new FrameIntake<PeerFrame>({
      queue: this.#options.runQueue,
      share: LINK_SHARE,
      decode: decodePeerFrames,
      take: (frame) => this.#received(socket, state, nonce, frame),
      // Whatever it is, it is not one of our nodes: dialled anew, as after every cut.
      failed: () => socket.terminate(),
      backlog: linkBacklog(socket, this.#options.limits),
    });
    socket.on("message", (data) => {
      state.heardMs = performance.now();
      intake.add(data);
    });
    socket.on("error", (error) => (state.failure = error)); // `close` follows
    socket.on("close", () => {
      clearInterval(watch);
      if (this.#socket !== socket) return;
      const stood = this.#writer !== undefined;
      this.#writer = undefined;
      // Answers that came before the cut are answers.
      intake.whenEmpty(() => this.#closed(stood, state));
    });
  }

  #received(socket: PeerSocket, state: Greeting, nonce: Uint8Array, frame: PeerFrame): void {
    const { to, linkKey, limits } = this.#options;
    const both = (challenge: Uint8Array) => ({
      dialler: state.from,
      listener: to,
      diallerNonce: nonce,
      listenerNonce: challenge,
    });
    if (frame.frame === "challenge" && state.challenge === undefined && isProofNonce(frame.nonce)) {
      state.challenge = frame.nonce;
      const proof = prove(linkKey, { side: "dialling", ...both(frame.nonce) });
      new PeerLinkWriter(socket, limits).send({ frame: "hello", from: state.from, to, nonce, proof });
    } else if (frame.frame === "welcome" && state.challenge !== undefined && !state.proven) {
      if (socket.readyState !== socket.OPEN) return; // cut while it waited for its turn
      if (!proves(linkKey, { side: "listening", ...both(state.challenge) }, frame.proof)) throw new Error("no proof");
      state.proven = true;
      this.#writer = new PeerLinkWriter(socket, limits);
      this.#options.reached();
    } else if (!state.proven) throw new Error("a frame before the proof");
    else this.#answered(frame);
  }

  #answered(frame: PeerFrame): void {
    if (frame.frame === "notice") {
      this.#options.notice(frame.notice);
      return;
    }
    if (frame.frame === "settled") {
      this.#owing.get(frame.id)?.(frame.arrived);
      return;
    }
    if (frame.frame !== "response" && frame.frame !== "failure") throw new Error("an answer was expected");
    const waiting = this.#waiting.get(frame.id);
    if (waiting === undefined) return; // its time was up
    this.#waiting.delete(frame.id);
    clearTimeout(waiting.alarm);
    if (frame.frame === "failure") waiting.reject(new Error(frame.message));
    else {
      const settled = frame.owes ? this.#owed(frame.id, waiting.untilMs) : Promise.resolve(true);
      waiting.resolve({ value: frame.value, settled });
    }
  }

  /** Until the request's time is up: nobody waits longer, so nothing is kept longer. */
  #owed(id: number, untilMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const settle = (arrived: boolean): void => {
        clearTimeout(alarm);
        this.#owing.delete(id);
        resolve(arrived);
      };
      const alarm = setTimeout(settle, Math.max(untilMs - performance.now(), 0), false);
      this.#owing.set(id, settle);
    });
  }

  #closed(stood: boolean, greeting: Greeting): void {
    for (const [id, waiting] of this.#waiting) {
      this.#waiting.delete(id);
      clearTimeout(waiting.alarm);
      waiting.reject(new NotAnswered("the link was cut"));
    }
    for (const settle of [...this.#owing.values()]) settle(false);
    if (this.#stopped) return;
    // A link may have been cut for a moment only, or the dial after it: the next one tells.
    this.#failures = stood ? 0 : this.#failures + 1;
    if (this.#failures >= FAILURES_TELLING) this.#options.unreached(whyOf(greeting));
    this.#options.closed();
    this.#redial = setTimeout(() => this.#dial(), stood ? 0 : REDIAL_MS * (0.5 + Math.random()));
  }
}

/** The system's words, TLS' and ws' tell what to mend; a node that turns another away says nothing. */
function whyOf({ failure, challenge }: Greeting): string {
  if (failure !== undefined) {
    const { code, message } = failure as NodeJS.ErrnoException;
    // Several addresses were tried: each has its own message, and they have none together.
    return (message === "" ? (code ?? failure.name) : message).slice(0, WHY_CHARACTERS_MAX);
  }
  return challenge === undefined
    ? "the connection was closed before it said anything"
    : "it is no longer this node that answers there, or its AEGIS_SECRET is another";
}
