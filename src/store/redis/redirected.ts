// A server of a cluster said that a command belongs elsewhere, or not yet here: it was certainly not executed.
import { StoreUnreached } from "../store.ts";
import type { RedisEndpoint } from "./redis-url.ts";

const REDIRECTIONS = /^(MOVED|ASK|TRYAGAIN)(?: \d+ (\S*):(\d+))?/;

export class Redirected extends StoreUnreached {
  /** Who has the slot now; undefined while it is on its way. An empty host is the answering server's own. */
  readonly to: RedisEndpoint | undefined;

  constructor(word: string, to: RedisEndpoint | undefined) {
    super(`redis: refused with ${word}`);
    this.to = to;
  }
}

/** Undefined for any other error. */
export function redirectionOf(error: unknown): Redirected | undefined {
  if (!(error instanceof Error) || error.name !== "ReplyError") return undefined;
  const [found, word = "", host = "", port = ""] = REDIRECTIONS.exec(error.message) ?? [];
  if (found === undefined) return undefined;
  return new Redirected(word, word === "MOVED" ? { host, port: Number(port) } : undefined);
}
