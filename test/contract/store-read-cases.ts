// The store's promises about reads: parts, streams, outbox, timers, nodes, whole applications.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import type { Operation } from "../../src/store/store.ts";
import { actorOf, bytes, entry, inARow, Owner, type StoreCase, text } from "./store-case.ts";

export const readCases: readonly StoreCase[] = [
  {
    name: "[P9] parts are listed in byte order, by prefix, page by page",
    async run(context) {
      const { store, shard } = context;
      const actor = actorOf(context);
      const owner = await Owner.of(store, shard);
      const names = ["a", "a/", "a/1", "a/10", "a/2", "a/~", "a0", "A/1", "b/1"];
      const shuffled = ["b/1", "a/2", "a0", "a", "a/10", "A/1", "a/~", "a/", "a/1"];
      await owner.apply(...shuffled.map((name): Operation => ({ op: "putPart", actor, name, bytes: bytes(name) })));
      await owner.apply({ op: "putPart", actor: actorOf(context, "12"), name: "a/3", bytes: bytes("other's") });
      const under = names.filter((name) => name.startsWith("a/"));
      const all = await store.listParts(shard, actor, { prefix: "a/", limit: 100 });
      assert.deepEqual(
        all.map(({ name }) => name),
        under,
      );
      for (const part of all) assert.equal(text(part.bytes), part.name);
      const paged: string[] = [];
      for (;;) {
        const after = paged.at(-1);
        const query = { prefix: "a/", limit: 2, ...(after === undefined ? {} : { after }) };
        const page = await store.listParts(shard, actor, query);
        if (page.length === 0) break;
        paged.push(...page.map(({ name }) => name));
      }
      assert.deepEqual(paged, under);
      const between = await store.listParts(shard, actor, { prefix: "a/", after: "a/1zzz", limit: 100 });
      assert.deepEqual(
        between.map(({ name }) => name),
        ["a/2", "a/~"],
      );
      const loaded = await store.load(shard, owner.fence, actor, ["b/", "a/1", "a/", "none/"]);
      assert.deepEqual(loaded.names, [...under, "b/1"].sort());
      assert.deepEqual((await store.load(shard, owner.fence, actor, [])).names, []);
      assert.deepEqual((await store.load(shard, owner.fence, actor, [""])).names, [...names].sort());
    },
  },
  {
    name: "[P9] a stream is read from any offset, bounded by count and by bytes, with at least one entry",
    async run(context) {
      const { store, shard } = context;
      const actor = actorOf(context);
      const owner = await Owner.of(store, shard);
      const lineage = (await store.readOwner(shard))?.lineage;
      const none = await store.readStream(shard, actor, { after: 0, limit: 5, bytesMax: 100 });
      assert.deepEqual(none, { entries: [], head: { first: 1, last: 0 }, lineage });
      const big = new Uint8Array(10_000);
      for (let from = 1; from <= 50; from += 10) {
        const many = Array.from({ length: 10 }, (_, index) => entry(from + index, big));
        await owner.apply(...many.map((each): Operation => ({ op: "append", actor, entry: each })));
      }
      const offsets = async (after: number, limit: number, bytesMax: number): Promise<number[]> =>
        (await store.readStream(shard, actor, { after, limit, bytesMax })).entries.map(({ offset }) => offset);
      assert.deepEqual(await offsets(0, 3, 1e9), [1, 2, 3]);
      assert.deepEqual(await offsets(48, 100, 1e9), [49, 50]);
      assert.deepEqual(await offsets(50, 100, 1e9), []);
      assert.deepEqual(await offsets(2 ** 52, 100, 1e9), []);
      assert.deepEqual(await offsets(9, 100, 1), [10]);
      const some = await offsets(0, 100, 100_000);
      assert.ok(some.length >= 8 && some.length <= 11, String(some.length));
      assert.deepEqual(
        await offsets(0, 100, 1e9),
        Array.from({ length: 50 }, (_, index) => index + 1),
      );
      await owner.apply({ op: "trim", actor, before: 21 });
      assert.deepEqual(await offsets(3, 1, 1e9), [21]);
    },
  },
  {
    name: "[P9] the outbox is read in order of id, page by page, by its shard alone",
    async run({ store, shard }) {
      const owner = await Owner.of(store, shard);
      const neighbour = await Owner.of(store, shard + 1);
      await neighbour.apply({ op: "putOutbox", id: "s/5", bytes: bytes("neighbour's") });
      const ids = Array.from({ length: 25 }, (_, index) => `s/${String(index).padStart(4, "0")}`);
      await owner.apply(...ids.map((id): Operation => ({ op: "putOutbox", id, bytes: bytes(id) })));
      const read: string[] = [];
      for (;;) {
        const page = await store.readOutbox(shard, owner.fence, read.at(-1) ?? "", 10);
        for (const { id, bytes: value } of page) assert.equal(text(value), id);
        read.push(...page.map(({ id }) => id));
        if (page.length < 10) break;
      }
      assert.deepEqual(read, ids);
      await owner.apply(...ids.slice(0, 24).map((id): Operation => ({ op: "deleteOutbox", id })));
      assert.deepEqual(
        (await store.readOutbox(shard, owner.fence, "", 10)).map(({ id }) => id),
        ids.slice(24),
      );
    },
  },
  {
    name: "[P9] timers are read soonest first; putting one again moves it",
    async run(context) {
      const { store, shard } = context;
      const owner = await Owner.of(store, shard);
      const timer = (id: string, name: string, at: number): Operation => ({
        op: "putTimer",
        actor: actorOf(context, id),
        name,
        at,
      });
      await owner.apply(timer("1", "x", 300), timer("1", "y", 100), timer("2", "x", 200), timer("2", "y", 2 ** 50));
      await owner.apply(timer("1", "x", 50), { op: "deleteTimer", actor: actorOf(context, "9"), name: "x" });
      const expected = [
        { actor: actorOf(context, "1"), name: "x", at: 50 },
        { actor: actorOf(context, "1"), name: "y", at: 100 },
        { actor: actorOf(context, "2"), name: "x", at: 200 },
        { actor: actorOf(context, "2"), name: "y", at: 2 ** 50 },
      ];
      assert.deepEqual(await store.readTimers(shard, owner.fence, 10), expected);
      assert.deepEqual(await store.readTimers(shard, owner.fence, 2), expected.slice(0, 2));
      await owner.apply({ op: "deleteTimer", actor: actorOf(context, "1"), name: "x" });
      assert.deepEqual(await store.readTimers(shard, owner.fence, 10), expected.slice(1));
    },
  },
  {
    name: "[G9] purging an application leaves nothing of it and everything of its neighbours",
    async run(context) {
      const { store, shard } = context;
      const owner = await Owner.of(store, shard);
      // The neighbour's id begins like the purged one's.
      const neighbour = `${context.applicationId}0`;
      const actors = [context.applicationId, neighbour].map((id) => `${id}/group/1`) as [string, string];
      for (const actor of actors) {
        await owner.apply(
          { op: "putSnapshot", actor, bytes: bytes("s") },
          { op: "putPart", actor, name: "once/1", bytes: bytes("p") },
          { op: "putMark", actor, name: "m", bytes: bytes("m"), expiresAt: 2 ** 52 },
          { op: "putTimer", actor, name: "t", at: 1 },
          ...inARow(actor, 1, 3),
        );
        const applicationId = actor.split("/")[0] as string;
        await store.writeTags({ applicationId, clientId: "c", version: 1, tags: ["t"], removed: [] });
      }
      await store.purgeApplication(context.applicationId);
      await store.purgeApplication(context.applicationId);
      const seen = await Promise.all(
        actors.map(async (actor) => [
          (await store.readSnapshots([{ shard, actor }]))[0]?.length,
          (await store.listParts(shard, actor, { prefix: "", limit: 9 })).length,
          (await store.readMarks(shard, actor, ["m"]))[0]?.bytes.length,
          (await store.readStreamHead(shard, actor)).head.last,
          await store.countTag(actor.split("/")[0] as string, "t"),
          (await store.readTag(actor.split("/")[0] as string, "t", "", 9)).length,
        ]),
      );
      assert.deepEqual(seen, [
        [undefined, 0, undefined, 0, 0, 0],
        [1, 1, 1, 3, 1, 1],
      ]);
      const timers = await store.readTimers(shard, owner.fence, 9);
      assert.deepEqual(
        timers.map(({ actor }) => actor),
        [actors[1]],
      );
      await owner.apply({ op: "append", actor: actors[0], entry: entry(1) });
    },
  },
  {
    name: "[P9] every node's last heartbeat is seen by all until it is removed",
    async run({ store }) {
      const [a, b] = [randomUUID(), randomUUID()];
      const first = { nodeId: a, address: "127.0.0.1:1", counter: 1, leaving: false, unreachable: [b] };
      const other = { nodeId: b, address: "127.0.0.1:2", counter: 1, leaving: true, unreachable: [] };
      await store.heartbeat(first);
      const seen = await store.heartbeat(other);
      assert.deepEqual(
        seen.filter(({ nodeId }) => nodeId === a),
        [first],
      );
      await store.heartbeat({ ...first, counter: 2 });
      const counters = new Map((await store.readNodes()).map(({ nodeId, counter }) => [nodeId, counter]));
      assert.deepEqual([counters.get(a), counters.get(b)], [2, 1]);
      await store.removeNode(a);
      // Expelled: a heartbeat that is not its first brings nobody back.
      const after = await store.heartbeat({ ...first, counter: 3 });
      assert.ok(!after.some(({ nodeId }) => nodeId === a));
      await store.removeNode(a);
      await store.removeNode(b);
      assert.ok(!(await store.readNodes()).some(({ nodeId }) => nodeId === a || nodeId === b));
    },
  },
  {
    name: "[G3] everything acknowledged is there after the store was closed and opened again",
    async run(context) {
      const { shard } = context;
      const actor = actorOf(context);
      const owner = await Owner.of(context.store, shard);
      await owner.apply(
        { op: "putSnapshot", actor, bytes: bytes("s") },
        { op: "putPart", actor, name: "a", bytes: bytes("a") },
        { op: "takePart", actor, name: "a" },
        ...inARow(actor, 1, 2),
      );
      const deployment = context.store.deploymentId;
      const store = await context.reopen();
      assert.equal(store.deploymentId, deployment);
      assert.equal(await store.check(shard, owner.fence), true);
      assert.equal(text((await store.readSnapshots([{ shard, actor }]))[0]), "s");
      assert.deepEqual((await store.readStreamHead(shard, actor)).head, { first: 1, last: 2 });
      const claimed = await store.claim(shard, owner.fence, {
        nonce: "n",
        owner: "o",
        address: "a",
        freshLineage: "l",
      });
      assert.ok(claimed.kind === "claimed");
      assert.deepEqual(claimed.receipt, { sequence: 1, taken: [bytes("a")] });
    },
  },
];
