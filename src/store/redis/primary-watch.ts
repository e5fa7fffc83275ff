// Hears from the sentinels that another server has become the primary, so that a node leaves one that hangs, or was
// cut off, at once. Only makes it sooner: whoever hears nothing finds out at its next connection or READONLY.
import { Redis } from "ioredis";
import type { RedisOptions } from "./client-options.ts";
import type { PrimaryRoute } from "./redis-url.ts";

const SWITCHED = "+switch-master";

export class PrimaryWatch {
  readonly #sentinels: readonly Redis[];

  constructor(route: PrimaryRoute & { readonly kind: "sentinel" }, options: RedisOptions, moved: () => void) {
    this.#sentinels = route.sentinels.map(({ host, port }) => {
      const sentinel = new Redis({ ...options, host, port });
      // One that is away is tried again; the connection to the primary says what is wrong.
      sentinel.on("error", () => undefined);
      // ioredis subscribes again after each of its reconnects.
      sentinel.on("message", (_channel: string, text: string) => {
        if (text.startsWith(`${route.primaryName} `)) moved();
      });
      sentinel.subscribe(SWITCHED).catch(() => undefined);
      return sentinel;
    });
  }

  close(): void {
    for (const sentinel of this.#sentinels) sentinel.disconnect();
  }
}
