// The store's promises about taking a part: once, into the receipt and the marks that name it.
import assert from "node:assert/strict";
import { actorOf, ALL_BYTES, bytes, Owner, type StoreCase } from "./store-case.ts";

export const takeCases: readonly StoreCase[] = [
  {
    name: "[P5] a part taken with `keep` goes into receipt and mark and stays, as often as it is taken",
    async run(context) {
      const { store, shard } = context;
      const actor = actorOf(context);
      const owner = await Owner.of(store, shard);
      await owner.apply({ op: "putPart", actor, name: "last", bytes: ALL_BYTES });
      const take = { op: "takePart", actor, name: "last", keep: true } as const;
      const mark = { op: "putMark", actor, name: "m", bytes: bytes("r"), takes: ["last"], expiresAt: 2 ** 52 } as const;
      const receipt = await owner.apply(take, take, mark);
      assert.deepEqual(receipt.taken, [ALL_BYTES, ALL_BYTES]);
      const [stored] = await store.readMarks(shard, actor, ["m"]);
      assert.deepEqual(stored?.taken, [ALL_BYTES]);
      assert.deepEqual(await store.readParts(shard, actor, ["last"]), [ALL_BYTES]);
      const listed = await store.listParts(shard, actor, { prefix: "last", limit: 10, namesOnly: true });
      assert.deepEqual(listed, [{ name: "last", bytes: new Uint8Array(0) }]);
    },
  },
  {
    name: "[P5] a part put in the same batch can be taken, once, and goes into receipt and mark",
    async run(context) {
      const { store, shard } = context;
      const actor = actorOf(context);
      const owner = await Owner.of(store, shard);
      const put = { op: "putPart", actor, name: "a", bytes: ALL_BYTES } as const;
      const take = { op: "takePart", actor, name: "a" } as const;
      assert.equal((await owner.commit(put, take, take)).kind, "invalid");
      const mark = {
        op: "putMark",
        actor,
        name: "m",
        bytes: bytes("r"),
        takes: ["b", "a"],
        expiresAt: 2 ** 52,
      } as const;
      const receipt = await owner.apply(
        put,
        { op: "putPart", actor, name: "b", bytes: bytes("B") },
        take,
        { op: "takePart", actor, name: "b" },
        mark,
      );
      assert.deepEqual(receipt.taken, [ALL_BYTES, bytes("B")]);
      const [stored] = await store.readMarks(shard, actor, ["m"]);
      assert.deepEqual(stored, { bytes: bytes("r"), taken: [bytes("B"), ALL_BYTES], expiresAt: 2 ** 52 });
      assert.equal((await owner.commit(take)).kind, "invalid");
    },
  },
  {
    name: "[G2] 64 owners race to take one part: one batch has its bytes",
    async run(context) {
      const { store, shard } = context;
      const actor = actorOf(context);
      const owner = await Owner.of(store, shard);
      await owner.apply({ op: "putPart", actor, name: "once/1", bytes: bytes("K") });
      const take = [{ op: "takePart", actor, name: "once/1" }] as const;
      const outcomes = await Promise.all(
        Array.from({ length: 64 }, async (_, index) => {
          // Each says something else, so that no outcome is a repetition of another's batch.
          const mark = { op: "putMark", actor, name: `m${index}`, bytes: bytes("r"), expiresAt: 2 ** 52 } as const;
          return store.commit(shard, owner.fence, 2, [...take, { ...mark, takes: ["once/1"] }]);
        }),
      );
      assert.equal(outcomes.filter(({ kind }) => kind === "applied").length, 1);
      assert.equal(outcomes.filter(({ kind }) => kind === "gap").length, 63);
    },
  },
];
