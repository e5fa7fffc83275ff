// Streams attached to their shards' owners, by the edge alone: the owner is played by the test.
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { Attachments } from "../../src/cluster/attachments.ts";
import type { AttachAnswer, PeerNotice, PeerRequest } from "../../src/cluster/peer-frames.ts";
import { RunQueue } from "../../src/run-queue.ts";
import type { ActorKey, Fence } from "../../src/store/store.ts";

const [HERE, OTHER] = ["here", "other"];
const ACTOR = "a/group/1";

class Edge {
  owner: string | undefined = OTHER;
  fence: Fence | undefined;
  /** Of the owner: what it was asked for and let go of, as it takes it. */
  readonly attached = new Set<ActorKey>();
  readonly looked: ActorKey[] = [];
  readonly answers: ((answer: AttachAnswer) => void)[] = [];
  readonly attachments = new Attachments({
    shardCount: 1,
    runQueue: new RunQueue({ turnMs: 10 }),
    nodeId: () => HERE,
    ownerOf: () => this.owner,
    fenceOf: () => this.fence,
    heard: () => undefined,
    request: (_, request) => this.#asked(request),
    notify: (_, notice) => {
      this.#noticed(notice);
    },
    published: () => undefined,
    purged: () => undefined,
    lookAt: (actors) => {
      this.looked.push(...actors);
    },
  });

  #asked(request: PeerRequest): Promise<AttachAnswer> {
    if (request.kind === "attach") for (const actor of request.actors) this.attached.add(actor);
    return new Promise((resolve) => this.answers.push(resolve));
  }

  #noticed(notice: PeerNotice): void {
    if (notice.kind === "detach") for (const actor of notice.actors) this.attached.delete(actor);
  }

  async answer(number = 1): Promise<void> {
    this.answers.shift()?.({ fence: { number, nonce: "n" } });
    await vi.advanceTimersByTimeAsync(0);
  }
}

let edge: Edge;

beforeEach(() => {
  vi.useFakeTimers();
  edge = new Edge();
  edge.attachments.start();
});
afterEach(() => {
  edge.attachments.stop();
  vi.useRealTimers();
});

it("[G5] a stream let go of and followed again while its owner is asked for it is asked for again", async () => {
  edge.attachments.followed("a/group/2", true);
  await edge.answer();
  edge.attachments.followed(ACTOR, true);
  edge.attachments.followed(ACTOR, false);
  edge.attachments.followed(ACTOR, true);
  await edge.answer();
  await edge.answer();
  expect([...edge.attached]).toEqual(["a/group/2", ACTOR]);
});

it("[G5] looks at each stream of a shard that is owned here once, however many there are", () => {
  [edge.owner, edge.fence] = [HERE, { number: 1, nonce: "n" }];
  for (let n = 0; n < 100; n += 1) edge.attachments.followed(`a/group/${String(n)}`, true);
  expect(edge.looked.length).toBeLessThanOrEqual(100);
});

it("[G5] looks at the streams of a shard that was lost and claimed again here: others may have published", async () => {
  [edge.owner, edge.fence] = [HERE, { number: 1, nonce: "n" }];
  edge.attachments.followed(ACTOR, true);
  edge.looked.length = 0;
  edge.fence = undefined;
  await vi.advanceTimersByTimeAsync(300);
  edge.fence = { number: 3, nonce: "m" };
  await vi.advanceTimersByTimeAsync(300);
  expect(edge.looked).toEqual([ACTOR]);
  await vi.advanceTimersByTimeAsync(5_000);
  expect(edge.looked).toEqual([ACTOR]);
});

it("[G5] an answer that is heard after its link was cut attaches nothing", async () => {
  edge.attachments.followed(ACTOR, true);
  edge.answers.shift()?.({ fence: { number: 1, nonce: "n" } });
  edge.attachments.lost(OTHER);
  edge.attached.clear();
  await vi.advanceTimersByTimeAsync(300);
  await edge.answer();
  expect([...edge.attached]).toEqual([ACTOR]);
});

it("[G5] an owner whose fence has risen is asked again: it may have forgotten who follows", async () => {
  edge.attachments.followed(ACTOR, true);
  await edge.answer(1);
  edge.attached.clear();
  edge.looked.length = 0;
  const mark = { lineage: "l", fence: 2, sequence: 0 };
  edge.attachments.noticed(OTHER, { kind: "alive", shards: [[0, mark]] });
  await edge.answer(2);
  expect([...edge.attached]).toEqual([ACTOR]);
  expect(edge.looked).toEqual([ACTOR]);
  edge.attachments.noticed(OTHER, { kind: "alive", shards: [[0, mark]] });
  expect(edge.answers).toEqual([]);
});

it("[G5] asks whose a shard is as soon as another node knows a later fence of it", async () => {
  edge.attachments.followed(ACTOR, true);
  await edge.answer(1);
  const shards = [[0, { lineage: "l", fence: 2, sequence: 0 }]] as const;
  edge.attachments.noticed("third", { kind: "alive", shards });
  await vi.advanceTimersByTimeAsync(300);
  expect(edge.answers).toHaveLength(1);
  edge.owner = "third";
  edge.answers.shift()?.({ owner: "third" });
  await vi.advanceTimersByTimeAsync(300);
  edge.looked.length = 0;
  await edge.answer(2);
  expect(edge.looked).toEqual([ACTOR]);
  edge.attachments.noticed("third", { kind: "alive", shards });
  await vi.advanceTimersByTimeAsync(300);
  expect(edge.answers).toEqual([]);
});
