// What subscriptions ask in the present session. What is refused for now is asked again after a pause that grows; the
// end of the session ends it all, because the next one is set up anew. Bounded by its callers.
import { encodeRequest, type ResponseFrame } from "../protocol/frames.ts";
import { methods, type ParamsInput, type Result } from "../protocol/methods.ts";
import { AegisError, localError } from "./aegis-error.ts";
import { retryPauseMs } from "./backoff.ts";
import type { Exchanges } from "./exchanges.ts";

export type SessionMethod = "subscription.open" | "subscription.add" | "subscription.remove" | "subscription.close";

export type SessionAnswer<M extends SessionMethod> = (
  result: Result<M> | undefined,
  error: AegisError | undefined,
) => void;

export interface SessionRequestsOptions {
  readonly exchanges: Exchanges;
  send(frame: Uint8Array): void;
  /** A request has left the exchanges: there is room for another. */
  settled(): void;
}

export class SessionRequests {
  readonly #options: SessionRequestsOptions;
  readonly #retries = new Set<NodeJS.Timeout>();

  constructor(options: SessionRequestsOptions) {
    this.#options = options;
  }

  /** `answer` is called at once when the answer comes that counts, or never if the session ends. */
  ask<M extends SessionMethod>(method: M, params: ParamsInput<M>, answer: SessionAnswer<M>, attempt = 0): void {
    const { exchanges, send, settled } = this.#options;
    const id = exchanges.begin({
      answered: (frame) => {
        const { result, error } = answerOf(method, frame);
        if (error?.retryable === true) {
          this.#later(retryPauseMs(attempt, error), () => this.ask(method, params, answer, attempt + 1));
        } else answer(result, error);
        settled();
      },
      lost: () => undefined,
    });
    send(encodeRequest(id, method, params));
  }

  /** The session is over. */
  lost(): void {
    for (const timer of this.#retries) clearTimeout(timer);
    this.#retries.clear();
  }

  #later(pauseMs: number, what: () => void): void {
    const timer = setTimeout(() => {
      this.#retries.delete(timer);
      what();
    }, pauseMs);
    this.#retries.add(timer);
  }
}

function answerOf<M extends SessionMethod>(
  method: M,
  frame: ResponseFrame,
): { result: Result<M> | undefined; error: AegisError | undefined } {
  if (frame.error !== undefined) return { result: undefined, error: new AegisError(frame.error, { method }) };
  const parsed = methods[method].result.safeParse(frame.result);
  if (parsed.success) return { result: parsed.data as Result<M>, error: undefined };
  return { result: undefined, error: localError("INTERNAL", { message: "the result has another form" }, { method }) };
}
