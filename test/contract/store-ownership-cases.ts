// The store's promises about who may write: claims, fences, sequences, receipts, lineages.
import assert from "node:assert/strict";
import { Fenced, type Fence } from "../../src/store/store.ts";
import { actorOf, applied, bytes, claimant, inARow, Owner, type StoreCase, takeShard, text } from "./store-case.ts";

export const ownershipCases: readonly StoreCase[] = [
  {
    name: "[P8] the first claim of a shard starts at fence 1 with the claimer's lineage",
    async run({ store, shard }) {
      assert.equal(await store.readOwner(shard), undefined);
      const by = claimant();
      const outcome = await store.claim(shard, undefined, by);
      const record = { fence: { number: 1, nonce: by.nonce }, owner: by.owner, address: by.address };
      assert.deepEqual(outcome, {
        kind: "claimed",
        record: { ...record, lineage: by.freshLineage, sequence: 0, digest: "" },
        receipt: undefined,
      });
      assert.deepEqual(await store.readOwner(shard), outcome.record);
    },
  },
  {
    name: "[P8] a claim compares both number and nonce with what was seen, and keeps the lineage",
    async run({ store, shard }) {
      const first = await takeShard(store, shard);
      const otherNonce: Fence = { number: first.fence.number, nonce: "other" };
      const otherNumber: Fence = { number: first.fence.number + 1, nonce: first.fence.nonce };
      for (const seen of [undefined, otherNonce, otherNumber]) {
        assert.deepEqual(await store.claim(shard, seen, claimant()), { kind: "lost", record: first });
      }
      const second = await takeShard(store, shard, claimant("node-b"));
      assert.equal(second.fence.number, 2);
      assert.equal(second.owner, "node-b");
      assert.equal(second.lineage, first.lineage);
    },
  },
  {
    name: "[P8] repeating one's own nonce answers the same, with the last receipt",
    async run(context) {
      const { store, shard } = context;
      const by = claimant();
      const record = await takeShard(store, shard, by);
      const actor = actorOf(context);
      const operations = [
        { op: "putPart", actor, name: "a", bytes: bytes("taken") },
        { op: "takePart", actor, name: "a" },
      ] as const;
      applied(await store.commit(shard, record.fence, 1, operations));
      const again = await store.claim(shard, undefined, by);
      assert.ok(again.kind === "claimed");
      assert.deepEqual(again.record.fence, record.fence);
      assert.equal(again.record.sequence, 1);
      assert.deepEqual(again.receipt, { sequence: 1, taken: [bytes("taken")] });
    },
  },
  {
    name: "[P8] of 64 concurrent claims on what all have seen exactly one wins, and all learn who",
    async run({ store, shard }) {
      for (const seen of [undefined, (await takeShard(store, shard + 1)).fence]) {
        const target = seen === undefined ? shard : shard + 1;
        const claimants = Array.from({ length: 64 }, (_, index) => claimant(`node-${index}`));
        const outcomes = await Promise.all(claimants.map((by) => store.claim(target, seen, by)));
        const winners = outcomes.filter(({ kind }) => kind === "claimed");
        assert.equal(winners.length, 1);
        for (const { record } of outcomes) assert.deepEqual(record, winners[0]?.record);
      }
    },
  },
  {
    name: "[P2] a batch under another number, another nonce or a deposed fence changes nothing",
    async run(context) {
      const { store, shard } = context;
      const actor = actorOf(context);
      const old = await Owner.of(store, shard);
      await old.apply({ op: "putSnapshot", actor, bytes: bytes("old") });
      const owner = await Owner.of(store, shard);
      const wrong: Fence[] = [
        old.fence,
        { number: owner.fence.number, nonce: old.fence.nonce },
        { number: owner.fence.number - 1, nonce: owner.fence.nonce },
        { number: owner.fence.number + 1, nonce: owner.fence.nonce },
        { number: owner.fence.number + 1, nonce: "unknown" },
      ];
      for (const fence of wrong) {
        const outcome = await store.commit(shard, fence, 2, [{ op: "putSnapshot", actor, bytes: bytes("stale") }]);
        assert.deepEqual(outcome, { kind: "fenced" });
        assert.equal(await store.check(shard, fence), false);
      }
      assert.equal(await store.check(shard, owner.fence), true);
      assert.equal(text((await store.readSnapshots([{ shard, actor }]))[0]), "old");
    },
  },
  {
    name: "[P2] a newer fence number than the shard's is refused like an older one",
    async run(context) {
      const { store, shard } = context;
      const owner = await Owner.of(store, shard);
      const ahead = { number: owner.fence.number + 5, nonce: "from-a-lost-future" };
      assert.deepEqual(await store.commit(shard, ahead, 1, []), { kind: "fenced" });
    },
  },
  {
    name: "[P2] a shard that nobody claimed takes no batch",
    async run({ store, shard }) {
      const fence = { number: 1, nonce: "n" };
      assert.deepEqual(await store.commit(shard, fence, 1, []), { kind: "fenced" });
      assert.equal(await store.check(shard, fence), false);
    },
  },
  {
    name: "[P2] fenced reads throw Fenced for anyone but the owner",
    async run(context) {
      const { store, shard } = context;
      const old = await takeShard(store, shard);
      await takeShard(store, shard);
      const actor = actorOf(context);
      const reads = [
        () => store.load(shard, old.fence, actor, []),
        () => store.readMarksFenced(shard, old.fence, actor, ["a"]),
        () => store.readOutbox(shard, old.fence, "", 1),
        () => store.readTimers(shard, old.fence, 1),
        () => store.renewLineage(shard, old.fence),
      ];
      for (const read of reads) await assert.rejects(read, Fenced);
    },
  },
  {
    name: "[P12] an owner whose last batch the store does not have is fenced",
    async run(context) {
      const { store, shard } = context;
      const owner = await Owner.of(store, shard);
      const actor = actorOf(context);
      await owner.apply({ op: "putSnapshot", actor, bytes: bytes("one") });
      const { sequence } = owner;
      for (const known of [sequence - 1, sequence]) {
        const hold = { ...owner.fence, sequence: known };
        assert.equal(await store.check(shard, hold), true);
        assert.equal(text((await store.load(shard, hold, actor, [])).snapshot), "one");
      }
      const ahead = { ...owner.fence, sequence: sequence + 1 };
      assert.equal(await store.check(shard, ahead), false);
      const reads = [
        () => store.load(shard, ahead, actor, []),
        () => store.readMarksFenced(shard, ahead, actor, ["a"]),
        () => store.readOutbox(shard, ahead, "", 1),
        () => store.readTimers(shard, ahead, 1),
      ];
      for (const read of reads) await assert.rejects(read, Fenced);
    },
  },
  {
    name: "[P3] a gap and a reused sequence number with other operations are refused",
    async run(context) {
      const { store, shard } = context;
      const actor = actorOf(context);
      const owner = await Owner.of(store, shard);
      await owner.apply({ op: "putSnapshot", actor, bytes: bytes("one") });
      await owner.apply({ op: "putSnapshot", actor, bytes: bytes("two") });
      for (const sequence of [0, 1, 2, 4, 100]) {
        const operations = [{ op: "putSnapshot", actor, bytes: bytes(`other ${sequence}`) }] as const;
        const outcome = await store.commit(shard, owner.fence, sequence, operations);
        assert.deepEqual(outcome, { kind: "gap", last: 2 }, `sequence ${sequence}`);
      }
      assert.equal(text((await store.readSnapshots([{ shard, actor }]))[0]), "two");
    },
  },
  {
    name: "[P3] the last batch sent again answers the stored receipt word for word and applies nothing twice",
    async run(context) {
      const { store, shard } = context;
      const actor = actorOf(context);
      const owner = await Owner.of(store, shard);
      await owner.apply(
        { op: "putPart", actor, name: "a", bytes: bytes("A") },
        { op: "putPart", actor, name: "b", bytes: new Uint8Array(0) },
      );
      const operations = [
        { op: "takePart", actor, name: "b" },
        { op: "takePart", actor, name: "a" },
        ...inARow(actor, 1, 2),
      ] as const;
      const first = await store.commit(shard, owner.fence, 2, operations);
      const receipt = { sequence: 2, taken: [new Uint8Array(0), bytes("A")] };
      assert.deepEqual(first, { kind: "applied", receipt, repeated: false });
      const again = await store.commit(shard, owner.fence, 2, operations);
      assert.deepEqual(again, { kind: "applied", receipt, repeated: true });
      assert.deepEqual((await store.readStreamHead(shard, actor)).head, { first: 1, last: 2 });
    },
  },
  {
    name: "[P3] a new owner under the same sequence still finds the receipt of the last batch",
    async run(context) {
      const { store, shard } = context;
      const actor = actorOf(context);
      const owner = await Owner.of(store, shard);
      await owner.apply({ op: "putPart", actor, name: "a", bytes: bytes("A") });
      await owner.apply({ op: "takePart", actor, name: "a" });
      const outcome = await store.claim(shard, owner.fence, claimant());
      assert.ok(outcome.kind === "claimed");
      assert.deepEqual(outcome.receipt, { sequence: 2, taken: [bytes("A")] });
      const again = await store.commit(shard, outcome.record.fence, 2, [{ op: "takePart", actor, name: "a" }]);
      assert.deepEqual(again, { kind: "applied", receipt: outcome.receipt, repeated: true });
    },
  },
  {
    name: "[P11] a new lineage destroys the shard's parts under once/ and nothing else",
    async run(context) {
      const { store, shard } = context;
      const owner = await Owner.of(store, shard);
      const before = (await store.readOwner(shard))?.lineage;
      const actors = ["1", "2", "3"].map((id) => actorOf(context, id));
      for (const actor of actors) {
        await owner.apply(
          { op: "putSnapshot", actor, bytes: bytes("kept") },
          { op: "putPart", actor, name: "once/1", bytes: bytes("x") },
          { op: "putPart", actor, name: "once/2", bytes: bytes("x") },
          { op: "putPart", actor, name: "once", bytes: bytes("kept") },
          { op: "putPart", actor, name: "last/1", bytes: bytes("kept") },
        );
      }
      const neighbour = await Owner.of(store, shard + 1);
      await neighbour.apply({ op: "putPart", actor: actorOf(context, "n"), name: "once/1", bytes: bytes("kept") });
      const beyond = owner.fence.number + 6;
      const { lineage, fence } = await store.renewLineage(shard, owner.fence, beyond);
      assert.notEqual(lineage, before);
      // Marks of the lost history must all stand below it.
      assert.deepEqual(fence, { number: beyond + 1, nonce: owner.fence.nonce });
      const record = await store.readOwner(shard);
      assert.deepEqual([record?.lineage, record?.fence, record?.sequence], [lineage, fence, owner.sequence]);
      assert.equal(await store.check(shard, owner.fence), false);
      owner.fence = fence;
      for (const actor of actors) {
        const names = (await store.listParts(shard, actor, { prefix: "", limit: 10 })).map(({ name }) => name);
        assert.deepEqual(names, ["last/1", "once"]);
        assert.deepEqual((await store.load(shard, owner.fence, actor, ["once/"])).names, []);
        const taken = await owner.commit({ op: "takePart", actor, name: "once/1" });
        assert.equal(taken.kind, "invalid");
      }
      assert.equal((await store.readParts(shard + 1, actorOf(context, "n"), ["once/1"]))[0]?.length, 4);
      await owner.apply({ op: "putPart", actor: actors[0] as string, name: "once/3", bytes: bytes("new") });
    },
  },
];
