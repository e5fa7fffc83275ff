// A subscriber of many groups through one client: keeps what it was given of each, in that order.
import { setTimeout as delay } from "node:timers/promises";
import type { AegisClient, Subscription } from "../../src/client/client.ts";
import type { LogEntry } from "./history-checker.ts";
import { messageId } from "./message-id.ts";

/** Servers may be killed again and again meanwhile. */
const REACHED_MS = 60_000;

export class LoadFollower {
  readonly #subscription: Subscription;
  readonly #seen = new Map<string, LogEntry[]>();
  /** Why nothing more can be taken for granted. */
  failure: unknown;

  constructor(client: AegisClient) {
    this.#subscription = client.subscribe();
    this.#run().catch((error: unknown) => (this.failure = error));
  }

  /** From the start of the log on. @returns what comes, as it comes */
  follow(groupId: Uint8Array): readonly LogEntry[] {
    const seen: LogEntry[] = [];
    this.#seen.set(Buffer.from(groupId).toString("hex"), seen);
    void this.#add(groupId);
    return seen;
  }

  /** Resolves when it was given so many events, or has waited long enough. */
  async reached(groupId: Uint8Array, entries: number): Promise<void> {
    const seen = this.#seen.get(Buffer.from(groupId).toString("hex")) ?? [];
    const until = performance.now() + REACHED_MS;
    while (seen.length < entries && performance.now() < until && this.failure === undefined) await delay(20);
    if (this.failure !== undefined) throw this.failure;
  }

  leave(groupId: Uint8Array): void {
    this.#seen.delete(Buffer.from(groupId).toString("hex"));
    this.#subscription.remove([{ kind: "group", id: groupId }]);
  }

  close(): void {
    this.#subscription.close();
  }

  /** Takes as long as its session is cut off. */
  async #add(groupId: Uint8Array): Promise<void> {
    const [added] = await this.#subscription.add([{ kind: "group", id: groupId, after: "start" }]);
    if (added !== undefined && "error" in added && added.error.reason !== "CANCELLED") this.failure ??= added.error;
  }

  async #run(): Promise<void> {
    for await (const item of this.#subscription) {
      if (item.stream.kind !== "group") continue;
      const key = Buffer.from(item.stream.id).toString("hex");
      if (item.kind === "reset") {
        if (this.#seen.has(key)) throw new Error(`[G5] a stream broke: ${item.reason}`);
        continue;
      }
      const { offset, type } = item;
      this.#seen.get(key)?.push({ offset, type, id: messageId((item.body as { message: Uint8Array }).message) });
    }
  }
}
