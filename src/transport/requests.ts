// The unanswered requests of one session: their bound, deadlines and cancelling. Each is answered exactly
// once and by its deadline (G6), whatever a service does.
import { refuse } from "../protocol/errors.ts";
import { encodeError, encodeResult, type RequestFrame } from "../protocol/frames.ts";
import { methods, type MethodName, type Params } from "../protocol/methods.ts";
import type { Answer, Dispatch, Principal } from "../services/request-port.ts";
import { judgeRequest } from "./request-rules.ts";
import type { SubscriptionAnswer, Subscriptions } from "./subscriptions.ts";
import type { NamedRequest, TransportEvents } from "./transport-options.ts";

export interface RequestsOptions {
  readonly session: string;
  readonly principal: Principal;
  readonly subscriptions: Subscriptions;
  readonly dispatch: Dispatch;
  readonly limits: { readonly inFlightMax: number; readonly ttlMsDefault: number; readonly ttlMsMax: number };
  readonly events: Pick<TransportEvents, "requestAnswered" | "dispatchRejected">;
  /** 0, or the milliseconds to wait by the application's quota. */
  takeRequest(nowMs: number): number;
  send(frame: Uint8Array): void;
}

/** Past the deadline a service has so long to say itself how it ended: it knows better. */
const DEADLINE_GRACE_MS = 100;

interface InFlight extends NamedRequest {
  readonly id: number;
  readonly startedAt: number;
  /** Read by whoever works on it. */
  cancelled: boolean;
  timer?: NodeJS.Timeout;
}

export class Requests {
  readonly #options: RequestsOptions;
  readonly #inFlight = new Map<number, InFlight>();
  /** Dispatched and not settled: may outlive its answer. */
  #running = 0;
  #closed = false;

  constructor(options: RequestsOptions) {
    this.#options = options;
  }

  /**
   * False: the id is in flight already, which is no frame of this protocol.
   * @param arrivedMs from when on the request's time runs (`performance.now()`)
   */
  start(frame: RequestFrame, arrivedMs: number): boolean {
    if (this.#inFlight.has(frame.id)) return false;
    const request: InFlight = {
      id: frame.id,
      method: "unknown",
      startedAt: arrivedMs,
      cancelled: false,
      ...(frame.meta.trace === undefined ? {} : { trace: frame.meta.trace }),
    };
    if (this.#running >= this.#options.limits.inFlightMax) {
      this.#answer(request, { kind: "refused", refusal: refuse("IN_FLIGHT_LIMIT") });
      return true;
    }
    const retryAfterMs = this.#options.takeRequest(performance.now());
    if (retryAfterMs > 0) {
      this.#answer(request, { kind: "refused", refusal: refuse("RATE_LIMITED", { retryAfterMs }) });
      return true;
    }
    const judged = judgeRequest(frame, this.#options.principal);
    const named = { ...request, method: judged.method };
    const ttlMs = Math.min(frame.meta.ttlMs ?? this.#options.limits.ttlMsDefault, this.#options.limits.ttlMsMax);
    if (judged.kind === "refused") this.#answer(named, judged);
    else if (performance.now() >= arrivedMs + ttlMs)
      this.#answer(named, { kind: "refused", refusal: refuse("DEADLINE_EXCEEDED") });
    else void this.#run(named, judged.method, judged.params, frame, ttlMs);
    return true;
  }

  cancel(id: number): void {
    const request = this.#inFlight.get(id);
    if (request !== undefined) request.cancelled = true;
  }

  close(): void {
    this.#closed = true;
    for (const request of this.#inFlight.values()) {
      clearTimeout(request.timer);
      request.cancelled = true;
    }
    this.#inFlight.clear();
  }

  async #run(
    request: InFlight,
    method: MethodName,
    params: unknown,
    frame: RequestFrame,
    ttlMs: number,
  ): Promise<void> {
    this.#inFlight.set(request.id, request);
    this.#running += 1;
    const deadline = request.startedAt + ttlMs;
    const leftMs = deadline - performance.now();
    request.timer = setTimeout(() => this.#expire(request, method), leftMs + DEADLINE_GRACE_MS);
    let outcome: SubscriptionAnswer;
    try {
      outcome = await this.#perform(request, method, params, frame, deadline);
    } catch (error) {
      this.#options.events.dispatchRejected(request, error);
      outcome = { answer: { kind: "refused", refusal: refuse("INTERNAL") } };
    }
    this.#running -= 1;
    clearTimeout(request.timer);
    if (this.#inFlight.get(request.id) !== request) {
      outcome.abandoned?.();
      return;
    }
    this.#inFlight.delete(request.id);
    this.#answer(request, outcome.answer);
    outcome.answered?.();
  }

  async #perform(
    request: InFlight,
    method: MethodName,
    params: unknown,
    { meta }: RequestFrame,
    deadline: number,
  ): Promise<SubscriptionAnswer> {
    const { subscriptions, dispatch, principal, session } = this.#options;
    switch (method) {
      case "subscription.open":
        return subscriptions.open(params as Params<"subscription.open">);
      case "subscription.add":
        return subscriptions.add(params as Params<"subscription.add">);
      case "subscription.remove":
        return subscriptions.remove(params as Params<"subscription.remove">);
      case "subscription.close":
        return subscriptions.close(params as Params<"subscription.close">);
      default: {
        const keyed = meta.key !== undefined && methods[method].mutates ? { key: meta.key } : {};
        const asked = { method, params, principal, session, deadline, cancellation: request };
        return { answer: await dispatch({ ...asked, ...keyed }) };
      }
    }
  }

  /** A service that is late has lost its chance to say whether it was applied. */
  #expire(request: InFlight, method: MethodName): void {
    if (this.#inFlight.get(request.id) !== request) return;
    this.#inFlight.delete(request.id);
    request.cancelled = true;
    const reason = methods[method].mutates ? "OUTCOME_UNKNOWN" : "DEADLINE_EXCEEDED";
    this.#answer(request, { kind: "refused", refusal: refuse(reason) });
  }

  #answer(request: InFlight, answer: Answer): void {
    if (this.#closed) return;
    const { frame, code } = this.#encoded(request, answer);
    this.#options.events.requestAnswered(request, code, performance.now() - request.startedAt);
    this.#options.send(frame);
  }

  #encoded(request: InFlight, answer: Answer): { readonly frame: Uint8Array; readonly code: string } {
    const { id } = request;
    try {
      if (answer.kind === "done") return { frame: encodeResult(id, answer.result), code: "OK" };
      return { frame: encodeError(id, answer.refusal), code: answer.refusal.code };
    } catch (error) {
      this.#options.events.dispatchRejected(request, error);
      return { frame: encodeError(id, refuse("INTERNAL")), code: "INTERNAL" };
    }
  }
}
