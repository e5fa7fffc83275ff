import { afterEach, expect, it, vi } from "vitest";
import type { DeliverySubscription } from "../../src/services/delivery-subscription.ts";
import { Delivery } from "../../src/services/delivery.ts";
import { StoreUnavailable, type ActorKey, type StreamEntry, type StreamHead } from "../../src/store/store.ts";
import { settle, SILENT_DELIVERY, StreamWorld } from "../support/stream-world.ts";

const ACTOR = "a/group/1";

/** Heads that the test answers one by one. */
class HeldHeads {
  readonly held: { answer(last: number): void; fail(): void }[] = [];

  readStreamHead(): Promise<{ lineage: string; head: StreamHead }> {
    return new Promise((resolve, reject) => {
      this.held.push({
        answer: (last) => {
          resolve({ lineage: "l", head: { first: 1, last } });
        },
        fail: () => {
          reject(new StoreUnavailable("away"));
        },
      });
    });
  }
}

/** Streams that a subscription follows from offset 0; what became of reads and looks. */
function follow(actors: readonly ActorKey[]) {
  const heads = new HeldHeads();
  const told = { failures: 0, reads: 0 };
  const delivery = new Delivery({
    followed: () => undefined,
    store: {
      readStreamHead: () => heads.readStreamHead(),
      readStream: () => {
        told.reads += 1;
        return new Promise(() => undefined);
      },
    },
    shardOf: () => 0,
    limits: { streamReadsMax: 2, streamReadEventsMax: 3, streamReadBytesMax: 12, streamChecksPerSecond: 0 },
    events: {
      ...SILENT_DELIVERY,
      deliveryFailed() {
        told.failures += 1;
      },
    },
  });
  const subscription: DeliverySubscription = delivery.openSubscription(
    { event: () => undefined, reset: () => undefined, writable: () => true },
    { messages: 10, bytes: 100 },
  );
  for (const [number, actor] of actors.entries()) {
    subscription.start(subscription.attach(number, actor), { lineage: "l", offset: 0 }, 0);
  }
  return { delivery, heads: heads.held, told, subscription };
}

const turn = (): Promise<void> => vi.advanceTimersByTimeAsync(0).then(() => undefined);

afterEach(() => {
  vi.useRealTimers();
});

it("[G5] a look that is asked for while one is on its way is made after it", async () => {
  vi.useFakeTimers();
  const { delivery, heads, told } = follow([ACTOR]);
  delivery.lookAt([ACTOR]);
  // The first look read the head before the write whose news was lost.
  delivery.lookAt([ACTOR]);
  expect(heads).toHaveLength(1);
  heads[0]?.answer(0);
  await turn();
  expect(heads).toHaveLength(2);
  heads[1]?.answer(1);
  await turn();
  expect(told.reads).toBe(1);
  delivery.stop();
});

it("[G5] what a look finds before its stream has begun is read once it has: the news may have been nobody's yet", async () => {
  vi.useFakeTimers();
  const { delivery, heads, told, subscription } = follow([]);
  const stream = subscription.attach(1, ACTOR);
  delivery.lookAt([ACTOR]);
  heads[0]?.answer(1);
  await turn();
  // Where it begins was looked up before the event that the look found, and is said after it.
  subscription.start(stream, { lineage: "l", offset: 0 }, 0);
  expect(told.reads).toBe(1);
  delivery.stop();
});

it("[G5] looks that the store did not answer are made again, by one retry however many ask", async () => {
  vi.useFakeTimers();
  const actors = ["a/group/1", "a/group/2", "a/group/3"];
  const { delivery, heads, told } = follow(actors);
  for (const actor of actors) delivery.lookAt([actor]);
  for (let round = 1; round <= 3; round += 1) {
    for (const { fail } of heads) fail();
    await turn();
    expect(told.failures).toBe(round);
    for (const actor of actors) delivery.lookAt([actor]);
    expect(vi.getTimerCount()).toBe(1);
    heads.length = 0;
    await vi.advanceTimersByTimeAsync(1000);
    expect(vi.getTimerCount()).toBe(0);
    expect(heads).toHaveLength(2);
  }
  for (let answered = 0; answered < heads.length; answered += 1) {
    heads[answered]?.answer(1);
    await turn();
  }
  expect(heads).toHaveLength(3);
  delivery.stop();
});

it("asks the store for nothing more once it has been stopped in the middle of a look", async () => {
  vi.useFakeTimers();
  const { delivery, heads } = follow([ACTOR]);
  delivery.lookAt([ACTOR]);
  delivery.stop();
  heads[0]?.fail();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(heads).toHaveLength(1);
});

it("[G5] a purge that nobody told ends what is attached CLOSED, heard of or read, begun or not", async () => {
  const world = new StreamWorld();
  world.atOnce = true;
  const told: string[] = [];
  const delivery = new Delivery({
    followed: () => undefined,
    store: world,
    shardOf: () => 0,
    limits: { streamReadsMax: 2, streamReadEventsMax: 3, streamReadBytesMax: 12, streamChecksPerSecond: 0 },
    events: SILENT_DELIVERY,
  });
  const sink = {
    event: (stream: number) => told.push(`${String(stream)} event`),
    reset: (stream: number, reason: string) => told.push(`${String(stream)} ${reason}`),
    writable: () => true,
  };
  const subscription = delivery.openSubscription(sink, { messages: 0, bytes: 100 });
  const actors = ["a/identity/1", "a/identity/2", "a/group/3", "a/group/4"] as const;
  world.append("a/identity/2", 2);
  world.append("a/group/3", 2);
  const streams = actors.map((actor, at) => subscription.attach(at + 1, actor));
  for (const [at, stream] of streams.slice(0, 3).entries()) {
    subscription.start(stream, { lineage: "lineage-1", offset: at === 1 ? 2 : 0 }, world.log(actors[at] ?? "").last);
  }
  // The third has no credit to be read with; of the fourth the start is not known yet.
  for (const actor of actors) world.purge(actor);
  delivery.lookAt(actors.filter((actor) => actor !== "a/group/3"));
  await settle();
  expect(told).toEqual(["1 CLOSED", "2 CLOSED"]);
  subscription.grant({ messages: 9, bytes: 0 });
  await settle();
  subscription.start(streams[3] as (typeof streams)[number], { lineage: "lineage-1", offset: 0 }, 0);
  expect(told).toEqual(["1 CLOSED", "2 CLOSED", "3 CLOSED", "4 CLOSED"]);
  expect(subscription.size).toBe(0);
  delivery.stop();
});

it("[G5] a look between a group's durable end and the news of it says CLOSED, once, and nothing comes after", async () => {
  const world = new StreamWorld();
  world.atOnce = true;
  const told: string[] = [];
  const delivery = new Delivery({
    followed: () => undefined,
    store: world,
    shardOf: () => 0,
    limits: { streamReadsMax: 2, streamReadEventsMax: 3, streamReadBytesMax: 12, streamChecksPerSecond: 0 },
    events: SILENT_DELIVERY,
  });
  const sink = {
    event: (_: number, { type }: StreamEntry) => told.push(type),
    reset: (_: number, reason: string) => told.push(reason),
    writable: () => true,
  };
  const subscription = delivery.openSubscription(sink, { messages: 9, bytes: 100 });
  subscription.start(subscription.attach(1, ACTOR), { lineage: "lineage-1", offset: 0 }, 0);
  const closed = world.append(ACTOR, 1, "closed");
  world.purge(ACTOR);
  delivery.lookAt([ACTOR]);
  await settle();
  delivery.published(ACTOR, "lineage-1", closed);
  delivery.purged(ACTOR);
  expect(told).toEqual(["CLOSED"]);
  delivery.stop();
});
