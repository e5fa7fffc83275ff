// A store of streams in memory whose reads end when the test says so, to walk interleavings of news, reads
// and credit that a real store shows once in a million runs. Reads see what was durable when they began (P9).
import type { DeliveryEvents } from "../../src/services/delivery-subscription.ts";
import {
  StoreUnavailable,
  type ActorKey,
  type Store,
  type StreamEntry,
  type StreamHead,
} from "../../src/store/store.ts";

interface Log {
  lineage: string;
  entries: StreamEntry[];
  last: number;
  purged?: true;
}

/** Nobody counts. */
export const SILENT_DELIVERY: DeliveryEvents = {
  streamAttached() {},
  streamDetached() {},
  eventsSent() {},
  streamBehind() {},
  streamReset() {},
  streamRead() {},
  deliveryFailed() {},
};

export class StreamWorld implements Pick<Store, "readStream" | "readStreamHead"> {
  readonly #logs = new Map<ActorKey, Log>();
  readonly #pending: (() => void)[] = [];
  readsUntilFailure = Number.POSITIVE_INFINITY;
  /** Reads end by themselves. */
  atOnce = false;
  readsBegun = 0;
  pendingMax = 0;

  log(actor: ActorKey): Log {
    let log = this.#logs.get(actor);
    if (log === undefined) this.#logs.set(actor, (log = { lineage: "lineage-1", entries: [], last: 0 }));
    return log;
  }

  append(actor: ActorKey, count: number, type = "application", body?: Uint8Array): StreamEntry[] {
    const log = this.log(actor);
    const fresh = Array.from({ length: count }, (_, at): StreamEntry => {
      const offset = log.last + at + 1;
      return { offset, time: 1, type, body: body ?? new Uint8Array(1 + (offset % 7)) };
    });
    log.entries.push(...fresh);
    log.last += count;
    delete log.purged;
    return fresh;
  }

  trim(actor: ActorKey, before: number): void {
    const log = this.log(actor);
    log.entries = log.entries.filter(({ offset }) => offset >= before);
  }

  /** As the store does: the next offset stays. */
  purge(actor: ActorKey): void {
    Object.assign(this.log(actor), { entries: [], purged: true });
  }

  loseHistory(actor: ActorKey): void {
    this.#logs.set(actor, { lineage: `${this.log(actor).lineage}+`, entries: [], last: 0 });
  }

  get pending(): number {
    return this.#pending.length;
  }

  /** Ends one of the reads on their way. */
  finishRead(which = 0): void {
    this.#pending.splice(which % Math.max(1, this.#pending.length), 1)[0]?.();
  }

  readStream(
    _shard: number,
    actor: ActorKey,
    query: { readonly after: number; readonly limit: number; readonly bytesMax: number },
  ): ReturnType<Store["readStream"]> {
    const log = this.log(actor);
    const { lineage, entries } = log;
    const read: StreamEntry[] = [];
    let bytes = 0;
    for (const entry of entries) {
      if (entry.offset <= query.after) continue;
      if (read.length >= query.limit || (read.length > 0 && bytes + entry.body.length > query.bytesMax)) break;
      read.push(entry);
      bytes += entry.body.length;
    }
    const head = this.#head(log);
    this.readsBegun += 1;
    const fails = (this.readsUntilFailure -= 1) < 0;
    if (this.atOnce)
      return fails ? Promise.reject(new StoreUnavailable("away")) : Promise.resolve({ entries: read, head, lineage });
    return new Promise((resolve, reject) => {
      this.#pending.push(
        fails ? () => reject(new StoreUnavailable("away")) : () => resolve({ entries: read, head, lineage }),
      );
      this.pendingMax = Math.max(this.pendingMax, this.#pending.length);
    });
  }

  readStreamHead(_shard: number, actor: ActorKey): Promise<{ head: StreamHead; lineage: string }> {
    const log = this.log(actor);
    return Promise.resolve({ head: this.#head(log), lineage: log.lineage });
  }

  #head({ entries, last, purged }: Log): StreamHead {
    return { first: entries[0]?.offset ?? last + 1, last, ...(purged && { purged }) };
  }
}

/** Lets everything that waits for a settled promise run. */
export async function settle(): Promise<void> {
  await new Promise((resolve) => {
    setImmediate(resolve);
  });
}
