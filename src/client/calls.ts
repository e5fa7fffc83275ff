// Calls of methods: each waits, is sent, is sent again when that is safe, and ends by its deadline with
// the one true answer or the word that nobody knows it (PROTOCOL E4, E5). Waiting calls are bounded.
import { encodeCancel, type ResponseFrame, type SessionLimits } from "../protocol/frames.ts";
import { methods, type MethodName } from "../protocol/methods.ts";
import { AbortSignals } from "./abort-signals.ts";
import { AegisError, localError, type CallFacts } from "./aegis-error.ts";
import { retryPauseMs } from "./backoff.ts";
import { requestFrame } from "./request-frame.ts";
import { unsureResult } from "./unsure-result.ts";
import type { Exchanges } from "./exchanges.ts";

/** The server answers by the deadline: its word is better than none, so it may travel for so long. */
const DEADLINE_GRACE_MS = 250;
/** For so long the server remembers a result under its key (PROTOCOL E4); less what a request may travel. */
const KEY_REMEMBERED_MS = 590_000;
/** Between two looks for calls whose time is over: a timer for each call would cost more than the call. */
const SWEEP_MS = 50;

/** What calls need of the connection. */
export interface CallChannel {
  readonly open: boolean;
  readonly limits: SessionLimits | undefined;
  send(frame: Uint8Array): void;
}

export interface CallLimits {
  readonly inFlightMax: number;
  readonly waitingMax: number;
}

export interface CallRequest {
  readonly method: MethodName;
  readonly params: object;
  readonly key: string | Uint8Array | undefined;
  readonly ttlMs: number;
  readonly signal: AbortSignal | undefined;
  readonly trace: string | undefined;
}

interface Call extends CallRequest {
  readonly deadline: number;
  readonly settle: { resolve(result: unknown): void; reject(error: unknown): void };
  retryTimer: NodeJS.Timeout | undefined;
  /** Set while a request is in flight. */
  id: number | undefined;
  attempts: number;
  /** When it was sent for the first time. */
  sentAt: number | undefined;
  /** An attempt may have been applied though no answer to it came. */
  unsure: boolean;
}

export class Calls {
  readonly #channel: CallChannel;
  readonly #exchanges: Exchanges;
  readonly #limits: CallLimits;
  readonly #waiting = new Set<Call>();
  /** Sent before and to be sent again: they have waited longest, so they go first. */
  readonly #again = new Set<Call>();
  readonly #all = new Set<Call>();
  readonly #signals = new AbortSignals<Call>((call, reason) => this.#abandon(call, asError(reason)));
  #ended: AegisError | undefined;
  /** Runs while there are calls. */
  #sweeper: NodeJS.Timeout | undefined;

  constructor(channel: CallChannel, exchanges: Exchanges, limits: CallLimits) {
    this.#channel = channel;
    this.#exchanges = exchanges;
    this.#limits = limits;
  }

  submit(request: CallRequest): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#ended !== undefined) reject(this.#ended.of(facts(request)));
      else if (request.signal?.aborted === true) reject(asError(request.signal.reason));
      else if (this.#all.size >= this.#limits.waitingMax + this.#limits.inFlightMax) {
        reject(localError("IN_FLIGHT_LIMIT", { message: "this client has too many calls waiting" }, facts(request)));
      } else this.#enter(request, { resolve, reject });
    });
  }

  /** Sends what may be sent now. */
  pump(): void {
    const inFlightMax = Math.min(this.#limits.inFlightMax, this.#channel.limits?.inFlightMax ?? 0);
    for (const queue of [this.#again, this.#waiting]) {
      for (const call of queue) {
        if (!this.#channel.open || this.#exchanges.size >= inFlightMax) return;
        queue.delete(call);
        this.#send(call);
      }
    }
  }

  /** No session will follow: everything ends now. */
  end(error: AegisError): void {
    this.#ended = error;
    clearInterval(this.#sweeper);
    for (const call of [...this.#all]) {
      this.#fail(call, this.#isUnsure(call) ? outcomeUnknown(call) : error.of(facts(call)));
    }
  }

  #enter(request: CallRequest, settle: Call["settle"]): void {
    const call: Call = {
      ...request,
      deadline: performance.now() + request.ttlMs,
      settle,
      retryTimer: undefined,
      id: undefined,
      attempts: 0,
      sentAt: undefined,
      unsure: false,
    };
    if (call.signal !== undefined) this.#signals.watch(call.signal, call);
    this.#all.add(call);
    this.#sweeper ??= setInterval(() => this.#sweep(), SWEEP_MS);
    this.#waiting.add(call);
    this.pump();
  }

  #send(call: Call): void {
    const now = performance.now();
    call.sentAt ??= now;
    // What may have been applied is forgotten: sent again, it might be applied once more.
    if (call.unsure && now - call.sentAt > KEY_REMEMBERED_MS) {
      this.#fail(call, outcomeUnknown(call));
      return;
    }
    const { messageBytesMax, ttlMsMax } = this.#channel.limits as SessionLimits;
    const ttlMs = Math.max(1, Math.ceil(Math.min(ttlMsMax, call.deadline - now)));
    const id = this.#exchanges.begin({
      answered: (frame) => this.#answered(call, frame),
      lost: () => this.#lost(call),
    });
    call.id = id;
    call.attempts += 1;
    const options = {
      ...(call.key === undefined ? {} : { key: call.key }),
      ttlMs,
      ...(call.trace === undefined ? {} : { trace: call.trace }),
    };
    let frame: Uint8Array;
    try {
      frame = requestFrame({ id, method: call.method, params: call.params, options }, messageBytesMax, facts(call));
    } catch (error) {
      this.#fail(call, error);
      return;
    }
    this.#channel.send(frame);
  }

  #answered(call: Call, frame: ResponseFrame): void {
    call.id = undefined;
    const { error } = frame;
    if (error === undefined) {
      const parsed = methods[call.method].result.safeParse(frame.result);
      if (parsed.success) this.#succeed(call, call.unsure ? unsureResult(call.method, parsed.data) : parsed.data);
      else this.#fail(call, localError("INTERNAL", { message: "the server's result has another form" }, facts(call)));
    } else if (error.retryable) {
      if (error.reason === "OUTCOME_UNKNOWN") call.unsure = true;
      this.#retry(call, new AegisError(error, facts(call)));
    } else this.#fail(call, new AegisError(error, facts(call)));
    this.pump();
  }

  #lost(call: Call): void {
    call.id = undefined;
    if (mutates(call)) call.unsure = true;
    this.#again.add(call);
  }

  #retry(call: Call, error: AegisError): void {
    const pauseMs = retryPauseMs(call.attempts - 1, error);
    if (performance.now() + pauseMs >= call.deadline) {
      this.#fail(call, call.unsure ? outcomeUnknown(call) : error);
      return;
    }
    call.retryTimer = setTimeout(() => {
      this.#again.add(call);
      this.pump();
    }, pauseMs);
  }

  #expire(call: Call): void {
    const error = this.#isUnsure(call) ? outcomeUnknown(call) : localError("DEADLINE_EXCEEDED", {}, facts(call));
    this.#abandon(call, error);
  }

  #abandon(call: Call, error: unknown): void {
    if (call.id !== undefined) this.#channel.send(encodeCancel(call.id));
    this.#fail(call, error);
    this.pump();
  }

  #isUnsure(call: Call): boolean {
    return mutates(call) && (call.unsure || call.id !== undefined);
  }

  #succeed(call: Call, result: unknown): void {
    this.#leave(call);
    call.settle.resolve(result);
  }

  #fail(call: Call, error: unknown): void {
    this.#leave(call);
    call.settle.reject(error);
  }

  #leave(call: Call): void {
    clearTimeout(call.retryTimer);
    if (call.signal !== undefined) this.#signals.forget(call.signal, call);
    if (call.id !== undefined) this.#exchanges.forget(call.id);
    call.id = undefined;
    this.#waiting.delete(call);
    this.#again.delete(call);
    this.#all.delete(call);
  }

  #sweep(): void {
    const now = performance.now();
    for (const call of this.#all) if (now > call.deadline + DEADLINE_GRACE_MS) this.#expire(call);
    if (this.#all.size > 0) return;
    clearInterval(this.#sweeper);
    this.#sweeper = undefined;
  }
}

function mutates(call: Call): boolean {
  return methods[call.method].mutates;
}

function facts(request: CallRequest): CallFacts {
  return { method: request.method, ...(request.key === undefined ? {} : { key: request.key }) };
}

function outcomeUnknown(call: Call): AegisError {
  return localError("OUTCOME_UNKNOWN", {}, facts(call));
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error("the call was aborted", { cause: reason });
}
