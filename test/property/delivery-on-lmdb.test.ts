import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { expect, it } from "vitest";
import { Delivery } from "../../src/services/delivery.ts";
import type { DeliverySubscription } from "../../src/services/delivery-subscription.ts";
import { openLmdbStore } from "../../src/store/lmdb/lmdb-store.ts";
import type { Fence, Operation, Store, StreamEntry } from "../../src/store/store.ts";
import { settle, SILENT_DELIVERY } from "../support/stream-world.ts";

const ACTORS = Array.from({ length: 6 }, (_, at) => `a/group/${String(at)}`);
const EVENTS = {
  ...SILENT_DELIVERY,
  deliveryFailed(error: unknown) {
    throw error;
  },
};

/** A subscriber that judges each event as it comes. */
class Subscriber {
  readonly subscription: DeliverySubscription;
  readonly #next = new Map<number, { readonly actor: string; offset: number }>();
  #number = 1;

  constructor(delivery: Delivery) {
    this.subscription = delivery.openSubscription(
      {
        event: (number, { offset, body }) => {
          const next = this.#next.get(number);
          expect(offset).toBe(next?.offset);
          expect(new DataView(body.buffer, body.byteOffset).getUint32(0)).toBe(offset);
          if (next !== undefined) next.offset += 1;
        },
        reset: (number, reason, position) => {
          expect(reason).toBe("TRIMMED");
          const next = this.#next.get(number);
          if (next !== undefined && position !== undefined) next.offset = position.offset + 1;
        },
        writable: () => true,
      },
      { messages: 0, bytes: 0 },
    );
  }

  async attach(store: Store, actor: string, back: number): Promise<void> {
    const number = this.#number++;
    const stream = this.subscription.attach(number, actor);
    const { head, lineage } = await store.readStreamHead(0, actor);
    const offset = Math.max(0, head.last - back);
    this.#next.set(number, { actor, offset: offset + 1 });
    this.subscription.start(stream, { lineage, offset }, head.last);
  }

  isCurrent(last: ReadonlyMap<string, number>): boolean {
    return [...this.#next.values()].every(({ actor, offset }) => offset - 1 === (last.get(actor) ?? 0));
  }
}

/** Writes as an owner does: one batch in flight, the news after it is durable. */
class Writer {
  readonly last = new Map<string, number>();
  #sequence = 0;
  readonly #store: Store;
  readonly #fence: Fence;
  readonly #lineage: string;
  readonly #delivery: Delivery;

  constructor(store: Store, delivery: Delivery, fence: Fence, lineage: string) {
    this.#store = store;
    this.#delivery = delivery;
    this.#fence = fence;
    this.#lineage = lineage;
  }

  async write(
    appends: readonly number[],
    trim: { readonly actor: number; readonly keep: number } | undefined,
  ): Promise<void> {
    const operations: Operation[] = [];
    const news = new Map<string, StreamEntry[]>();
    for (const at of appends) {
      const actor = ACTORS[at] ?? "";
      const offset = (this.last.get(actor) ?? 0) + 1;
      const body = new Uint8Array(4 + (offset % 50));
      new DataView(body.buffer).setUint32(0, offset);
      const entry = { offset, time: 1, type: "application", body };
      this.last.set(actor, offset);
      operations.push({ op: "append", actor, entry });
      news.set(actor, [...(news.get(actor) ?? []), entry]);
    }
    const trimmed = trim === undefined ? "" : (ACTORS[trim.actor] ?? "");
    const before = (this.last.get(trimmed) ?? 0) - (trim?.keep ?? 0);
    if (trim !== undefined && before > 0) operations.push({ op: "trim", actor: trimmed, before });
    if (operations.length === 0) return;
    const outcome = await this.#store.commit(0, this.#fence, (this.#sequence += 1), operations);
    expect(outcome.kind).toBe("applied");
    for (const [actor, entries] of news) this.#delivery.published(actor, this.#lineage, entries);
  }
}

interface Round {
  readonly appends: number[];
  readonly trim: { actor: number; keep: number } | undefined;
  readonly credit: { subscriber: number; messages: number; bytes: number };
  readonly attach: { subscriber: number; actor: number; back: number } | undefined;
}

const actor = fc.nat(ACTORS.length - 1);
const round: fc.Arbitrary<Round> = fc.record({
  appends: fc.array(actor, { maxLength: 8 }),
  trim: fc.option(fc.record({ actor, keep: fc.nat(10) }), { freq: 8, nil: undefined }),
  credit: fc.record({ subscriber: fc.nat(2), messages: fc.nat(12), bytes: fc.nat(400) }),
  attach: fc.option(fc.record({ subscriber: fc.nat(2), actor, back: fc.nat(20) }), { freq: 3, nil: undefined }),
});

it("[G5] reads the embedded store without a gap, a double or a step back while it is written", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(round, { minLength: 20, maxLength: 60 }), async (rounds) => {
      const path = await mkdtemp(join(tmpdir(), "aegis-delivery-"));
      const store = await openLmdbStore({ path, durability: "memory", shardCount: 1 });
      const limits = { streamReadsMax: 3, streamReadEventsMax: 5, streamReadBytesMax: 200, streamChecksPerSecond: 0 };
      const delivery = new Delivery({ followed: () => undefined, store, shardOf: () => 0, limits, events: EVENTS });
      try {
        await play(store, delivery, rounds);
      } finally {
        delivery.stop();
        await store.close();
        await rm(path, { recursive: true });
      }
    }),
    { numRuns: Number(process.env["AEGIS_PROPERTY_RUNS"] ?? 15) },
  );
}, 120_000);

async function play(store: Store, delivery: Delivery, rounds: readonly Round[]): Promise<void> {
  const claimant = { nonce: "n", owner: "o", address: "h:1", freshLineage: "l" };
  const claimed = await store.claim(0, undefined, claimant);
  const { fence, lineage } = claimed.record ?? { fence: { number: 0, nonce: "" }, lineage: "" };
  const writer = new Writer(store, delivery, fence, lineage);
  const subscribers = [new Subscriber(delivery), new Subscriber(delivery), new Subscriber(delivery)];
  const attaching: Promise<void>[] = [];
  for (const { appends, trim, credit, attach } of rounds) {
    const written = writer.write(appends, trim);
    if (attach !== undefined) {
      const subscriber = subscribers[attach.subscriber];
      if (subscriber !== undefined) attaching.push(subscriber.attach(store, ACTORS[attach.actor] ?? "", attach.back));
    }
    subscribers[credit.subscriber]?.subscription.grant(credit);
    await written;
  }
  await Promise.all(attaching);
  for (let turn = 0; turn < 5000 && !subscribers.every((each) => each.isCurrent(writer.last)); turn += 1) {
    for (const { subscription } of subscribers) subscription.grant({ messages: 3, bytes: 100 });
    await settle();
  }
  expect(subscribers.map((each) => each.isCurrent(writer.last))).toEqual([true, true, true]);
}
