// Streams by the hundred thousand, followed at another node: whatever ends or loses them all at once lets the event loop
// through meanwhile. Both nodes are in this process, so that a stretch may be of either.
import { randomUUID } from "node:crypto";
import { afterEach, beforeEach, expect, it } from "vitest";
import { Subscriptions } from "../../src/transport/subscriptions.ts";
import { blocking, quietest } from "../support/event-loop-block.ts";
import { StreamsOverLink } from "../support/streams-over-link.ts";

const APPLICATION = randomUUID();
const STREAMS = 100_000;
const STREAMS_A_CALL = 1_000;
/** Of processor time; the law's, for one turn. */
const BLOCK_MS_MAX = 50;
const WAIT = { timeout: 30_000 };

let world: StreamsOverLink;
let subscriptions: Subscriptions;
let told: number;

beforeEach(async () => {
  world = await new StreamsOverLink().start();
  told = 0;
  subscriptions = new Subscriptions({
    principal: { kind: "application", applicationId: APPLICATION, keyId: "app", scopes: ["identity", "group"] },
    delivery: world.delivery,
    runQueue: world.runQueue,
    acknowledgements: { add: () => undefined },
    streams: {
      actorOf: (applicationId, { id }) => `${applicationId}/identity/${String(id)}`,
      resolve: (applicationId, { id }) => {
        const actor = `${applicationId}/identity/${String(id)}`;
        const position = { lineage: "lineage-1", offset: 0 };
        return Promise.resolve({ kind: "ok", actor, from: 0, recovered: true, position, last: 0 });
      },
    },
    limits: { streamsMax: STREAMS, subscriptionsMax: 2 },
    sinkOf: () => ({ event: () => (told += 1), reset: () => (told += 1), writable: () => true }),
  });
  subscriptions.open({ messages: STREAMS, bytes: STREAMS });
  for (let count = 0; count < STREAMS; count += STREAMS_A_CALL) await add(1, STREAMS_A_CALL);
  await expect.poll(() => world.followed.size, WAIT).toBe(STREAMS);
}, 60_000);

afterEach(() => world.stop());

async function add(subscription: number, count: number): Promise<unknown> {
  const streams = Array.from({ length: count }, () => ({ kind: "client" as const, id: randomUUID() }));
  const { answer, answered } = await subscriptions.add({ subscription, streams });
  answered?.();
  return answer.kind === "done" ? answer.result : answer;
}

/** News of every stream that is followed, and the end of it. */
function endAll(): void {
  for (const actor of world.followed) {
    world.delivery.published(actor, "lineage-1", world.store.append(actor, 1));
    world.delivery.purged(actor);
  }
}

it("[L6] [F19] a session that ends lets go of its streams in pieces, and hears nothing more of them", async () => {
  const { blockCpuMs } = await blocking(async () => {
    subscriptions.closeAll();
    await expect.poll(() => world.followed.size, WAIT).toBe(0);
  });
  expect(blockCpuMs).toBeLessThan(BLOCK_MS_MAX);
});

it("[S2] [F19] a subscription that is closed is silent at once; its streams count until they are let go of", async () => {
  subscriptions.open({ messages: 10, bytes: 10_000 });
  const closed = subscriptions.close({ subscription: 1 });
  endAll();
  // In one turn of the event loop: hardly any has been let go of.
  const tooMany = (await add(2, STREAMS_A_CALL * 10)) as { readonly streams: readonly object[] };
  expect(tooMany.streams.at(-1)).toMatchObject({ error: { reason: "STREAMS_LIMIT" } });
  expect((await closed).answer.kind).toBe("done");
  expect(told).toBe(0);
  subscriptions.closeAll();
  await expect.poll(() => world.followed.size, WAIT).toBe(0);
  subscriptions.open({ messages: 1, bytes: 1 });
  expect(await add(3, 1)).toMatchObject({ streams: [{ recovered: true }] });
});

it("[L6] [F19] a link that is cut is forgotten, and hung anew with all its streams, in pieces", async () => {
  const cut = async (): Promise<void> => {
    const ended = world.ended + 1;
    world.cutLink();
    await expect.poll(() => world.ended, WAIT).toBe(ended);
    await expect.poll(() => world.followed.size, WAIT).toBe(STREAMS);
  };
  const { blockCpuMs } = await quietest([cut, cut, cut]);
  expect(blockCpuMs).toBeLessThan(BLOCK_MS_MAX);
});
