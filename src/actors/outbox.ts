// Delivers what one shard's actors owe others: at least once, in order for each (sender, receiver),
// until the receiver has it durably (G8). The store keeps the messages; this only drives them.
import type { ActorKey } from "../store/store.ts";
import { receiverOf, type OutboxMessage } from "./turn.ts";

export interface OutboxOptions {
  /** Messages held in memory; more stay in the store until these are delivered. */
  readonly messagesMax: number;
  readonly retryMinMs: number;
  readonly retryMaxMs: number;
  /** Resolves when the receiver has it durably; rejects when it must be sent again. */
  deliver(message: OutboxMessage): Promise<void>;
  /** The message is done: its entry may go from the store. */
  delivered(message: OutboxMessage): void;
  /** Asks for the shard's stored messages again. */
  reload(): void;
}

interface QueuedMessage extends OutboxMessage {
  arrived(inTime: boolean): void;
}

export class Outbox {
  readonly #options: OutboxOptions;
  /** Messages of one (sender, receiver), in order; the first is on its way. */
  readonly #lanes = new Map<string, QueuedMessage[]>();
  readonly #known = new Set<string>();
  readonly #waits = new Map<ActorKey, Set<Promise<boolean>>>();
  /** `loading`: the stored messages are being read; `behind`: memory is full, the rest is in the store. */
  #mode: "loading" | "live" | "behind" = "loading";
  /** The stored messages are being read, whatever has become of the mode since. */
  #reading = true;
  #held: OutboxMessage[] = [];
  /** Delivered since the stored messages are being read: what is read may still have them. */
  readonly #doneMeanwhile = new Set<string>();
  /** Whoever can't be told what a sender owes before the mode has changed. */
  #modeWaits: (() => void)[] = [];
  #stopped = false;

  constructor(options: OutboxOptions) {
    this.#options = options;
  }

  /** Messages of turns that are now durable, in their order. */
  add(messages: readonly OutboxMessage[]): void {
    if (this.#stopped) return;
    for (const message of messages) {
      // Once one message stays behind in the store all later ones do, or a lane would lose its order.
      if (this.#mode === "behind") return;
      if (this.#mode === "loading") this.#held.push(message);
      else this.#enqueue(message);
      if (this.#known.size + this.#held.length > this.#options.messagesMax) this.#mode = "behind";
    }
  }

  /** @param stored the shard's stored messages from the first on; `more`: there are others behind them */
  loaded(stored: readonly OutboxMessage[], more: boolean): void {
    this.#reading = false;
    const held = this.#held.splice(0);
    const fresh = stored.filter(({ id }) => !this.#known.has(id) && !this.#doneMeanwhile.has(id));
    this.#doneMeanwhile.clear();
    const room = this.#options.messagesMax - this.#known.size;
    const overflowed = this.#mode === "behind" || more || fresh.length > room;
    this.#mode = "live";
    for (const message of fresh.slice(0, room)) this.#enqueue(message);
    if (overflowed) this.#mode = "behind";
    else for (const message of held) this.#enqueue(message);
    if (!overflowed) for (const resolve of this.#modeWaits.splice(0)) resolve();
    this.#catchUp();
  }

  /** True when all that `sender` owes is known, and is nothing. */
  owesNothing(sender: ActorKey): boolean {
    return this.#mode === "live" && !this.#stopped && !this.#waits.has(sender);
  }

  /** True once everything that `sender` owes now has arrived; false when this outbox was stopped before. */
  async settled(sender: ActorKey): Promise<boolean> {
    while (this.#mode !== "live" && !this.#stopped) {
      await new Promise<void>((resolve) => this.#modeWaits.push(resolve));
    }
    const arrived = await Promise.all(this.#waits.get(sender) ?? []);
    return !this.#stopped && !arrived.includes(false);
  }

  stop(): void {
    this.#stopped = true;
    for (const resolve of this.#modeWaits.splice(0)) resolve();
    for (const lane of this.#lanes.values()) for (const message of lane) message.arrived(false);
    this.#lanes.clear();
    this.#known.clear();
    this.#doneMeanwhile.clear();
    this.#held = [];
  }

  /** With half of its room free: what some receivers don't take must not keep the others' messages in the store. */
  #catchUp(): void {
    if (this.#stopped || this.#reading || this.#mode !== "behind") return;
    if (this.#known.size > this.#options.messagesMax / 2) return;
    this.#mode = "loading";
    this.#reading = true;
    this.#options.reload();
  }

  #enqueue(message: OutboxMessage): void {
    if (this.#known.has(message.id)) return;
    this.#known.add(message.id);
    const lane = `${message.sender}\n${receiverOf(message)}`;
    const done = new Promise<boolean>((resolve) => {
      const waiting = this.#lanes.get(lane);
      const queued = { ...message, arrived: resolve };
      if (waiting !== undefined) {
        waiting.push(queued);
        return;
      }
      this.#lanes.set(lane, [queued]);
      void this.#run(lane);
    });
    const waits = this.#waits.get(message.sender) ?? new Set();
    this.#waits.set(message.sender, waits.add(done));
    void done.then(() => {
      waits.delete(done);
      if (waits.size === 0) this.#waits.delete(message.sender);
    });
  }

  async #run(lane: string): Promise<void> {
    let retryMs = this.#options.retryMinMs;
    for (;;) {
      const message = this.#lanes.get(lane)?.[0];
      if (message === undefined || this.#stopped) break;
      try {
        await this.#options.deliver(message);
      } catch {
        // The receiver's shard or the store is away; the message stays first in its lane.
        await pause(retryMs * (0.5 + Math.random()));
        retryMs = Math.min(retryMs * 2, this.#options.retryMaxMs);
        continue;
      }
      retryMs = this.#options.retryMinMs;
      if (this.#stopped) break;
      this.#lanes.get(lane)?.shift();
      this.#known.delete(message.id);
      if (this.#reading) this.#doneMeanwhile.add(message.id);
      message.arrived(true);
      this.#options.delivered(message);
    }
    this.#lanes.delete(lane);
    this.#catchUp();
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms).unref();
  });
}
