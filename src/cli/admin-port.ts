// A running server's admin port, asked with the operator's key. Follows no redirect, so that the key goes nowhere else,
// and never prints it.
import type { z } from "zod";
import { operatorRefusal } from "../protocol/schemas/operator-pages.ts";

const ANSWER_MS = 10_000;

/** What the operator is told instead of an answer. */
export class AdminRefused extends Error {
  override readonly name = "AdminRefused";
  /** The HTTP answer's status, or the system's error code where there was no answer. */
  override readonly cause: number | string | undefined;

  constructor(message: string, cause?: number | string) {
    super(message);
    this.cause = cause;
  }
}

export class AdminPort {
  readonly #base: string;
  readonly #operatorKey: string;

  /** @param base as `http://127.0.0.1:7401` */
  constructor(base: string, operatorKey: string) {
    this.#base = base;
    this.#operatorKey = operatorKey;
  }

  /** @throws AdminRefused */
  async get<T>(path: string, schema: z.ZodType<T>): Promise<T> {
    const answer = await this.#ask("GET", path);
    const parsed = schema.safeParse(answer);
    if (parsed.success) return parsed.data;
    throw new AdminRefused(`${this.#base} answers in a form that this version does not know`);
  }

  /** @throws AdminRefused */
  async post(path: string): Promise<void> {
    await this.#ask("POST", path);
  }

  async #ask(method: "GET" | "POST", path: string): Promise<unknown> {
    let response: Response;
    let answer: unknown;
    try {
      response = await fetch(`${this.#base}${path}`, {
        method,
        headers: { authorization: `Bearer ${this.#operatorKey}` },
        redirect: "error",
        signal: AbortSignal.timeout(ANSWER_MS),
      });
      answer = await response.json().catch(() => undefined);
    } catch (error) {
      const code = codeOf(error);
      throw new AdminRefused(`no admin port answers at ${this.#base} (${code})`, code);
    }
    if (response.ok) return answer;
    const refusal = operatorRefusal.safeParse(answer);
    if (!refusal.success) throw new AdminRefused(`${this.#base} is no admin port of Aegis`, response.status);
    const { reason, message } = refusal.data.error;
    throw new AdminRefused(`${message} (${reason})`, response.status);
  }
}

/** fetch says only "fetch failed"; what failed stands in the cause. */
function codeOf(error: unknown): string {
  const { name, cause } = error as { name?: string; cause?: { code?: string; message?: string } };
  return cause?.code ?? cause?.message ?? name ?? "unknown";
}
