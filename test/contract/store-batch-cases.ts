// The store's promises about what a batch does: wholly or not at all, takes, offsets, marks, timers, outbox.
import assert from "node:assert/strict";
import type { Operation } from "../../src/store/store.ts";
import { actorOf, ALL_BYTES, applied, bytes, entry, inARow, Owner, type StoreCase, text } from "./store-case.ts";

export const batchCases: readonly StoreCase[] = [
  {
    name: "[P1] a batch with every operation is applied in order, bytes and all",
    async run(context) {
      const { store, shard } = context;
      const [actor, other] = [actorOf(context, "1"), actorOf(context, "2")];
      const owner = await Owner.of(store, shard);
      const expiresAt = (await store.time()) + 60_000;
      const receipt = await owner.apply(
        { op: "putSnapshot", actor, bytes: ALL_BYTES },
        { op: "putPart", actor, name: "p/1", bytes: ALL_BYTES },
        { op: "putPart", actor, name: "p/2", bytes: new Uint8Array(0) },
        { op: "putPart", actor, name: "p/3", bytes: bytes("gone") },
        { op: "putPart", actor: other, name: "p/1", bytes: bytes("other") },
        { op: "deletePart", actor, name: "p/3" },
        { op: "deletePart", actor, name: "never there" },
        { op: "takePart", actor: other, name: "p/1" },
        ...inARow(actor, 1, 3),
        { op: "append", actor: other, entry: { ...entry(1), body: ALL_BYTES, time: 2 ** 53 - 1 } },
        { op: "trim", actor, before: 3 },
        { op: "putMark", actor: other, name: "m", bytes: ALL_BYTES, takes: ["p/1"], expiresAt },
        { op: "putMark", actor, name: "m", bytes: bytes("first"), expiresAt },
        { op: "deleteMark", actor, name: "m" },
        { op: "putOutbox", id: "o/1", bytes: ALL_BYTES },
        { op: "putOutbox", id: "o/2", bytes: bytes("2") },
        { op: "deleteOutbox", id: "o/2" },
        { op: "putTimer", actor, name: "t", at: 2 ** 53 - 1 },
        { op: "putTimer", actor, name: "u", at: 5 },
        { op: "deleteTimer", actor, name: "u" },
      );
      assert.deepEqual(receipt.taken, [bytes("other")]);
      assert.deepEqual(
        await store.readSnapshots([
          { shard, actor },
          { shard, actor: other },
        ]),
        [ALL_BYTES, undefined],
      );
      assert.deepEqual(await store.readParts(shard, actor, ["p/1", "p/2", "p/3"]), [
        ALL_BYTES,
        new Uint8Array(0),
        undefined,
      ]);
      assert.deepEqual(await store.readParts(shard, other, ["p/1"]), [undefined]);
      const stream = await store.readStream(shard, other, { after: 0, limit: 10, bytesMax: 1000 });
      assert.deepEqual(stream.entries, [{ offset: 1, time: 2 ** 53 - 1, type: "commit", body: ALL_BYTES }]);
      assert.deepEqual((await store.readStreamHead(shard, actor)).head, { first: 3, last: 3 });
      assert.deepEqual(await store.readMarks(shard, other, ["m"]), [
        { bytes: ALL_BYTES, taken: [bytes("other")], expiresAt },
      ]);
      assert.deepEqual(await store.readMarksFenced(shard, owner.fence, actor, ["m"]), [undefined]);
      assert.deepEqual(await store.readOutbox(shard, owner.fence, "", 10), [{ id: "o/1", bytes: ALL_BYTES }]);
      assert.deepEqual(await store.readTimers(shard, owner.fence, 10), [{ actor, name: "t", at: 2 ** 53 - 1 }]);
      assert.deepEqual(await store.load(shard, owner.fence, actor, ["p/", "q/"]), {
        snapshot: ALL_BYTES,
        names: ["p/1", "p/2"],
      });
    },
  },
  {
    name: "[P1] what a batch holds is copied: later changes by the caller are not stored",
    async run(context) {
      const { store, shard } = context;
      const actor = actorOf(context);
      const owner = await Owner.of(store, shard);
      const mine = bytes("mine");
      await owner.apply({ op: "putSnapshot", actor, bytes: mine });
      const [read] = await store.readSnapshots([{ shard, actor }]);
      read?.fill(0);
      mine.fill(0);
      assert.equal(text((await store.readSnapshots([{ shard, actor }]))[0]), "mine");
      assert.equal(Object.getPrototypeOf(read), Uint8Array.prototype);
    },
  },
  {
    name: "[P1] one impossible operation makes the whole batch invalid, wherever it stands",
    async run(context) {
      const { store, shard } = context;
      const actor = actorOf(context);
      const owner = await Owner.of(store, shard);
      await owner.apply(
        { op: "putSnapshot", actor, bytes: bytes("before") },
        { op: "putPart", actor, name: "a", bytes: bytes("A") },
        { op: "append", actor, entry: entry(1) },
      );
      const good: Operation[] = [
        { op: "putSnapshot", actor, bytes: bytes("after") },
        { op: "takePart", actor, name: "a" },
        { op: "append", actor, entry: entry(2) },
        { op: "putOutbox", id: "o", bytes: bytes("o") },
        { op: "putTimer", actor, name: "t", at: 1 },
        { op: "putMark", actor, name: "m", bytes: bytes("m"), expiresAt: 2 ** 52 },
      ];
      for (const bad of impossible(actor)) {
        for (const operations of [
          [bad, ...good],
          [...good, bad],
        ]) {
          const outcome = await owner.commit(...operations);
          assert.equal(outcome.kind, "invalid", JSON.stringify(bad));
        }
      }
      assert.equal(text((await store.readSnapshots([{ shard, actor }]))[0]), "before");
      assert.equal(text((await store.readParts(shard, actor, ["a"]))[0]), "A");
      assert.deepEqual((await store.readStreamHead(shard, actor)).head, { first: 1, last: 1 });
      assert.deepEqual(await store.readOutbox(shard, owner.fence, "", 10), []);
      assert.deepEqual(await store.readTimers(shard, owner.fence, 10), []);
      assert.deepEqual(await store.readMarks(shard, actor, ["m"]), [undefined]);
      assert.equal((await store.readOwner(shard))?.sequence, 1);
      await owner.apply(...good);
    },
  },
  {
    name: "[P6] offsets rise by one from 1, across batches, trims and purges",
    async run(context) {
      const { store, shard } = context;
      const actor = actorOf(context);
      const owner = await Owner.of(store, shard);
      for (const offset of [0, 2]) {
        assert.equal((await owner.commit({ op: "append", actor, entry: entry(offset) })).kind, "invalid");
      }
      await owner.apply(...inARow(actor, 1, 5));
      for (const offset of [1, 5, 7]) {
        assert.equal((await owner.commit({ op: "append", actor, entry: entry(offset) })).kind, "invalid");
      }
      assert.equal((await owner.commit(...inARow(actor, 6, 6), ...inARow(actor, 6, 6))).kind, "invalid");
      await owner.apply({ op: "trim", actor, before: 4 }, ...inARow(actor, 6, 6));
      const kept = await store.readStream(shard, actor, { after: 0, limit: 10, bytesMax: 1e6 });
      assert.deepEqual(
        kept.entries,
        [4, 5, 6].map((offset) => entry(offset)),
      );
      assert.deepEqual(kept.head, { first: 4, last: 6 });
      await owner.apply({ op: "trim", actor, before: 2 });
      await owner.apply({ op: "trim", actor, before: 100 });
      assert.deepEqual((await store.readStreamHead(shard, actor)).head, { first: 7, last: 6 });
      await owner.apply(...inARow(actor, 7, 8), { op: "purge", actor }, ...inARow(actor, 9, 9));
      const purged = await store.readStream(shard, actor, { after: 0, limit: 10, bytesMax: 1e6 });
      assert.deepEqual(purged.entries, [entry(9)]);
      assert.deepEqual(purged.head, { first: 9, last: 9 });
    },
  },
  {
    name: "[P1] purge removes the parts and the stream of one actor and leaves its snapshot, marks and timers",
    async run(context) {
      const { store, shard } = context;
      const [actor, longer] = [actorOf(context, "1"), actorOf(context, "11")];
      const owner = await Owner.of(store, shard);
      for (const each of [actor, longer]) {
        await owner.apply(
          { op: "putSnapshot", actor: each, bytes: bytes("s") },
          { op: "putPart", actor: each, name: "a", bytes: bytes("a") },
          { op: "putMark", actor: each, name: "m", bytes: bytes("m"), expiresAt: 2 ** 52 },
          { op: "putTimer", actor: each, name: "t", at: 1 },
          ...inARow(each, 1, 2),
        );
      }
      const overlay = await owner.commit({ op: "purge", actor }, { op: "takePart", actor, name: "a" });
      assert.equal(overlay.kind, "invalid");
      await owner.apply({ op: "purge", actor }, { op: "putPart", actor, name: "b", bytes: bytes("b") });
      const names = (await store.listParts(shard, actor, { prefix: "", limit: 9 })).map(({ name }) => name);
      assert.deepEqual(names, ["b"]);
      assert.equal(text((await store.readSnapshots([{ shard, actor }]))[0]), "s");
      assert.equal((await store.readMarks(shard, actor, ["m"]))[0]?.bytes.length, 1);
      assert.equal((await store.readTimers(shard, owner.fence, 9)).length, 2);
      assert.equal((await store.listParts(shard, longer, { prefix: "", limit: 9 })).length, 1);
      assert.deepEqual((await store.readStreamHead(shard, longer)).head, { first: 1, last: 2 });
    },
  },
  {
    name: "[P6] [G5] the head of a purged stream says that it is over, empty before or not, until it is appended to",
    async run(context) {
      const { store, shard } = context;
      const [told, silent] = [actorOf(context, "1"), actorOf(context, "2")];
      const owner = await Owner.of(store, shard);
      await owner.apply(...inARow(told, 1, 2), { op: "purge", actor: told }, { op: "purge", actor: silent });
      await owner.apply({ op: "trim", actor: told, before: 9 });
      const heads = async () =>
        Promise.all([told, silent].map(async (actor) => (await store.readStreamHead(shard, actor)).head));
      assert.deepEqual(await heads(), [
        { first: 3, last: 2, purged: true },
        { first: 1, last: 0, purged: true },
      ]);
      const read = await store.readStream(shard, told, { after: 0, limit: 9, bytesMax: 1e6 });
      assert.deepEqual([read.entries, read.head], [[], { first: 3, last: 2, purged: true }]);
      await owner.apply(...inARow(told, 3, 3), ...inARow(silent, 1, 1));
      assert.deepEqual(await heads(), [
        { first: 3, last: 3 },
        { first: 1, last: 1 },
      ]);
    },
  },
  {
    name: "[P7] a mark is there until its expiry and never after it; a renewed one lives on",
    async run(context) {
      const { store, shard } = context;
      const actor = actorOf(context);
      const owner = await Owner.of(store, shard);
      const now = await store.time();
      const mark = (name: string, expiresAt: number): Operation => ({
        op: "putMark",
        actor,
        name,
        bytes: bytes(name),
        expiresAt,
      });
      await owner.apply(mark("short", now + 300), mark("renewed", now + 300), mark("past", now - 1));
      await owner.apply(mark("renewed", now + 60_000));
      assert.equal((await store.readMarks(shard, actor, ["past"]))[0], undefined);
      for (;;) {
        const [short, renewed] = await store.readMarks(shard, actor, ["short", "renewed"]);
        const seenAt = await store.time();
        assert.equal(text(renewed?.bytes), "renewed");
        if (short === undefined) {
          assert.ok(seenAt >= now + 300, "gone too early");
          break;
        }
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    },
  },
  {
    name: "[P1] a batch of tens of thousands of operations is applied",
    async run(context) {
      const { store, shard } = context;
      const actor = actorOf(context, "1");
      const owner = await Owner.of(store, shard);
      const operations = Array.from({ length: 40_000 }, (_, n): Operation => {
        return n === 0
          ? { op: "putSnapshot", actor, bytes: bytes("whole") }
          : { op: "deletePart", actor, name: `p/${String(n)}` };
      });
      applied(await store.commit(shard, owner.fence, 1, operations));
      assert.equal(text((await store.readSnapshots([{ shard, actor }]))[0]), "whole");
    },
  },
];

function impossible(actor: string): Operation[] {
  const part = { actor, name: "a" };
  const expiresAt = 2 ** 52;
  return [
    { op: "takePart", actor, name: "absent" },
    { op: "append", actor, entry: entry(9) },
    { op: "append", actor, entry: { ...entry(2), time: 1.5 } },
    { op: "append", actor, entry: { ...entry(2), offset: Number.NaN } },
    { op: "putMark", actor, name: "m", bytes: bytes("m"), takes: ["never taken"], expiresAt },
    { op: "putMark", actor, name: "m", bytes: bytes("m"), expiresAt: -1 },
    { op: "putPart", ...part, name: "", bytes: bytes("") },
    { op: "putPart", ...part, name: "n".repeat(401), bytes: bytes("") },
    { op: "putPart", ...part, name: "nul\x00nul", bytes: bytes("") },
    { op: "putPart", ...part, name: "ümlaut", bytes: bytes("") },
    { op: "putSnapshot", actor: "no-slashes", bytes: bytes("") },
    { op: "putSnapshot", actor: `a/b/${"c".repeat(510)}`, bytes: bytes("") },
    { op: "putOutbox", id: "", bytes: bytes("") },
    { op: "putTimer", actor, name: "t", at: 2 ** 53 },
  ];
}
