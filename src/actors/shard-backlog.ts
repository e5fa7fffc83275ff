// What a shard owes while one node owns it: messages to other actors and timers that are due. The store keeps both; they are
// read from it when the ownership begins, and go on from there. Never decides what either means; ends with the ownership.
import type { ActorKey, Hold, Operation, Shard, Timer } from "../store/store.ts";
import type { HostOptions } from "./host-options.ts";
import { Outbox } from "./outbox.ts";
import { ShardTimers } from "./timers.ts";
import { decodeOutboxMessage, type OutboxMessage, type Turn } from "./turn.ts";

export interface BacklogDuties {
  deliver(message: OutboxMessage): Promise<void>;
  /** Never rejects; false: the timer's turn did not happen and must be tried again. */
  fire(timer: Timer): Promise<boolean>;
}

export interface BacklogOptions {
  readonly shard: Shard;
  readonly host: Pick<HostOptions, "store" | "clock" | "limits">;
  readonly duties: BacklogDuties;
  /** By what the shard is read now. */
  hold(): Hold;
  /** A batch is on its way. */
  writing(): boolean;
  /** There is something to be written: `take` gives it. */
  due(): void;
  /** The store could not be read, or said that this node is no owner. */
  failed(error: unknown): void;
}

export class ShardBacklog {
  readonly #options: BacklogOptions;
  readonly #outbox: Outbox;
  readonly #timers: ShardTimers;
  /** Deletes of delivered messages: they ride along with the batches, so many at a time. */
  #deletes: Operation[] = [];
  /** The outbox wants the stored messages again. */
  #outboxStale = false;
  #stopped = false;

  constructor(options: BacklogOptions) {
    this.#options = options;
    const { host, duties } = options;
    this.#outbox = new Outbox({
      messagesMax: host.limits.outboxMessagesMax,
      retryMinMs: 50,
      retryMaxMs: 5_000,
      deliver: (message) => duties.deliver(message),
      delivered: ({ id }) => {
        if (this.#stopped) return;
        options.due();
        this.#deletes.push({ op: "deleteOutbox", id });
      },
      reload: () => {
        this.#outboxStale = true;
        this.written();
      },
    });
    this.#timers = new ShardTimers({
      clock: host.clock,
      timersMax: host.limits.timersMax,
      fire: (timer) => duties.fire(timer),
      reload: () => {
        this.#loadTimers();
      },
    });
  }

  /** Reads what is owed, that much later. What turns owe meanwhile waits behind it. */
  begin(afterMs: number): void {
    this.#timers.loading();
    const load = (): void => {
      this.#loadOutbox();
      this.#loadTimers();
    };
    if (afterMs === 0) load();
    else setTimeout(load, afterMs).unref();
  }

  stop(): void {
    this.#stopped = true;
    this.#outbox.stop();
    this.#timers.stop();
    this.#deletes = [];
  }

  /** Keeps the time no longer; what is owed to others still goes. */
  stopTimers(): void {
    this.#timers.stop();
  }

  /** What a turn that is now durable owes. */
  add(actor: ActorKey, turn: Turn): void {
    for (const name of turn.timersCleared) this.#timers.clear(actor, name);
    for (const timer of turn.timersSet) this.#timers.set(timer);
    this.#outbox.add(turn.outbox);
  }

  /** True when all that `sender` owes is known, and is nothing. */
  owesNothing(sender: ActorKey): boolean {
    return this.#outbox.owesNothing(sender);
  }

  /** True once everything that `sender` owes now has arrived; false when this was stopped before. */
  settled(sender: ActorKey): Promise<boolean> {
    return this.#outbox.settled(sender);
  }

  /** There is something to be written. */
  get hasWrites(): boolean {
    return this.#deletes.length > 0;
  }

  /** What is to be written, at most so much at a time. */
  take(operationsMax: number): Operation[] {
    return this.#deletes.splice(0, operationsMax);
  }

  /** Reads the outbox again if it wants that; only when what was delivered is gone, or it would be delivered for ever. */
  written(): void {
    if (!this.#outboxStale || this.hasWrites || this.#options.writing()) return;
    this.#outboxStale = false;
    this.#loadOutbox();
  }

  #loadOutbox(): void {
    const { shard, host } = this.#options;
    const { outboxMessagesMax } = host.limits;
    this.#read(
      (hold) => host.store.readOutbox(shard, hold, "", outboxMessagesMax),
      (messages) => {
        const stored = messages.map((message) => decodeOutboxMessage(message.bytes));
        this.#outbox.loaded(stored, stored.length >= outboxMessagesMax);
      },
    );
  }

  #loadTimers(): void {
    const { shard, host } = this.#options;
    this.#timers.loading();
    this.#read(
      (hold) => host.store.readTimers(shard, hold, host.limits.timersMax),
      (timers) => {
        this.#timers.load(timers);
      },
    );
  }

  #read<T>(read: (hold: Hold) => Promise<T>, use: (value: T) => void): void {
    if (this.#stopped) return;
    read(this.#options.hold()).then(
      (value) => {
        if (!this.#stopped) use(value);
      },
      (error: unknown) => {
        if (!this.#stopped) this.#options.failed(error);
      },
    );
  }
}
