// One WebSocket of one application server: frames in, frames out, and every reason to end it. Holds nothing
// that outlives the socket.
import type { RawData, WebSocket } from "ws";
import { FrameIntake } from "../frame-intake.ts";
import { closeCodes, type CloseCode } from "../protocol/close-codes.ts";
import { encodeGoaway, encodePing, encodePong, encodeReset, encodeWelcome, SUBPROTOCOL } from "../protocol/frames.ts";
import type { ClientFrame, Goaway } from "../protocol/frames.ts";
import { decodeClientFrames } from "../protocol/parse-frames.ts";
import type { SubscriptionSink } from "../services/delivery-subscription.ts";
import type { Principal } from "../services/request-port.ts";
import { Heartbeat } from "./heartbeat.ts";
import { Requests } from "./requests.ts";
import { SocketWriter } from "./socket-writer.ts";
import { Subscriptions } from "./subscriptions.ts";
import type { EndCode, TransportOptions } from "./transport-options.ts";

export interface SessionOptions extends Omit<TransportOptions, "certificate"> {
  readonly session: string;
  readonly principal: Principal;
  takeRequest(nowMs: number): number;
  /** Called once, when the socket is gone or as good as gone. */
  ended(session: Session, code: EndCode): void;
  /** Called once, when the socket is gone. */
  gone(session: Session): void;
}

/** Of RFC 6455 §7.4.1; those above are the server's own, or whatever a client makes up. */
const STANDARD_CODE_MAX = 1015;

/** A closed session's socket is cut after so long without the other side's close frame. */
export const CLOSE_MS = 2000;

export class Session {
  readonly id: string;
  readonly principal: Principal;
  readonly #options: SessionOptions;
  readonly #socket: WebSocket;
  readonly #writer: SocketWriter;
  readonly #requests: Requests;
  readonly #subscriptions: Subscriptions;
  readonly #heartbeat: Heartbeat;
  readonly #intake: FrameIntake<ClientFrame>;
  #ended = false;

  constructor(socket: WebSocket, options: SessionOptions) {
    this.id = options.session;
    this.principal = options.principal;
    this.#options = options;
    this.#socket = socket;
    this.#writer = new SocketWriter(socket, options.limits, {
      overflowed: () => this.close(closeCodes.slowConsumer),
      drained: () => this.#subscriptions.resume(),
    });
    this.#subscriptions = new Subscriptions({ ...options, sinkOf: (subscription) => this.#sinkOf(subscription) });
    this.#requests = new Requests({
      ...options,
      subscriptions: this.#subscriptions,
      send: (frame) => this.#writer.frame(frame),
    });
    this.#heartbeat = new Heartbeat(socket, options.limits, {
      ping: (nonce) => this.#writer.frame(encodePing(nonce)),
      missed: () => this.close(closeCodes.noPong),
    });
    this.#intake = new FrameIntake({
      queue: options.runQueue,
      share: 1,
      decode: decodeMessage,
      take: (frame, arrivedMs) => this.#take(frame, arrivedMs),
      failed: (error) => this.#broken(error),
      backlog: {
        bytesMax: options.limits.intakePauseBytes,
        changed: (isFull) => (isFull ? socket.pause() : socket.resume()),
      },
    });
    socket.on("message", (data, isBinary) => this.#receive(data, isBinary));
    socket.on("close", (code) => {
      // The client may choose any; what a metric is labelled with it may not.
      this.#end(code <= STANDARD_CODE_MAX ? code : "other");
      options.gone(this);
    });
    socket.on("error", (error) => this.#failed(error));
    this.#welcome();
  }

  keyRevoked(): void {
    this.close(closeCodes.keyRevoked);
  }

  goAway(goaway: Goaway): void {
    this.#writer.frame(encodeGoaway(goaway));
  }

  /** Ends the session if its socket takes nothing. */
  checkProgress(nowMs: number): void {
    if (this.#writer.stalled(nowMs)) this.close(closeCodes.slowConsumer);
  }

  close({ code, name }: CloseCode): void {
    if (this.#ended) return;
    // What a slow consumer has not taken it reads from the streams again.
    const isSlow = code === closeCodes.slowConsumer.code;
    if (!isSlow) this.#writer.flush();
    this.#end(code);
    // The close frame waits behind what is queued; ws cuts the socket of a slow consumer if it can't leave in time.
    this.#socket.close(code, name);
    if (!isSlow) setTimeout(() => this.#socket.terminate(), CLOSE_MS).unref();
  }

  terminate(): void {
    this.#end(closeCodes.goingAway.code);
    this.#socket.terminate();
  }

  #end(code: EndCode): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#intake.stop();
    this.#heartbeat.stop();
    this.#requests.close();
    this.#subscriptions.closeAll();
    this.#writer.close();
    this.#options.ended(this, code);
  }

  /** ws closes the socket by itself; which code it sends shows only in its error. */
  #failed(error: NodeJS.ErrnoException): void {
    if (error.code === "WS_ERR_UNSUPPORTED_MESSAGE_LENGTH") this.#end(closeCodes.tooBig.code);
  }

  #welcome(): void {
    const { node, version, principal } = this.#options;
    const { messageBytesMax, inFlightMax, streamsMax, heartbeatMs, ttlMsMax } = this.#options.limits;
    this.#writer.frame(
      encodeWelcome({
        session: this.id,
        node,
        version,
        protocol: SUBPROTOCOL,
        ...(principal.kind === "application" && { applicationId: principal.applicationId }),
        limits: { messageBytesMax, inFlightMax, streamsMax, heartbeatMs, ttlMsMax },
      }),
    );
  }

  #receive(data: RawData, isBinary: boolean): void {
    if (this.#ended) return;
    // Text, or a form that ws gives only when it is asked to.
    if (!isBinary || !(data instanceof Uint8Array)) {
      this.close(closeCodes.protocolError);
      return;
    }
    this.#intake.add(data);
  }

  #broken(error: unknown): void {
    // A defect must end this session at most.
    if (!(error instanceof NoFrames)) this.#options.events.bug("session", error);
    this.close(closeCodes.protocolError);
  }

  #take(frame: ClientFrame, arrivedMs: number): void {
    switch (frame.type) {
      case "request":
        if (!this.#requests.start(frame, arrivedMs)) this.close(closeCodes.protocolError);
        break;
      case "ack":
        this.#subscriptions.acknowledge(frame);
        break;
      case "credit":
        this.#subscriptions.credit(frame);
        break;
      case "cancel":
        this.#requests.cancel(frame.id);
        break;
      case "ping":
        this.#writer.frame(encodePong(frame.nonce));
        break;
      case "pong":
        this.#heartbeat.pong(frame.nonce);
        break;
    }
  }

  #sinkOf(subscription: number): SubscriptionSink {
    return {
      event: (stream, entry) => this.#writer.event(subscription, stream, entry),
      reset: (stream, reason, position) => {
        const reset = { reason, ...(position !== undefined && { position }) };
        this.#writer.streamFrame(stream, encodeReset(subscription, stream, reset));
      },
      writable: () => this.#writer.writable(),
    };
  }
}

/** Bytes that are no frames of a client. */
class NoFrames extends Error {
  override readonly name = "NoFrames";
}

function decodeMessage(bytes: Uint8Array): readonly ClientFrame[] {
  const parsed = decodeClientFrames(bytes);
  if (!parsed.ok) throw new NoFrames(parsed.message);
  return parsed.frames;
}
