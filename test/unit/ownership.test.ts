import { getEventListeners } from "node:events";
import { afterEach, beforeEach, expect, it } from "vitest";
import { Watermarks } from "../../src/cluster/watermarks.ts";
import { Ownership, type OwnershipOptions } from "../../src/cluster/ownership.ts";
import type { ClaimedShard } from "../../src/actors/shard-claim.ts";
import { StoreRefused, StoreUnavailable } from "../../src/store/store.ts";
import { ActorWorld, until } from "../support/actor-world.ts";
import { FaultyStore } from "../support/faulty-store.ts";

let world: ActorWorld;
beforeEach(async () => {
  world = await ActorWorld.open(1);
});
afterEach(async () => {
  await world.close();
});

const never = new AbortController().signal;

function ownership(store: OwnershipOptions["store"], more: Partial<OwnershipOptions> = {}): Ownership {
  return new Ownership({
    store,
    nodeId: () => "n",
    address: () => "127.0.0.1:1",
    stance: () => "claim",
    watermarks: new Watermarks(16),
    lineageChanged: () => undefined,
    retryMinMs: 1,
    retryMaxMs: 4,
    ...more,
  });
}

async function claim(store: OwnershipOptions["store"], nodeId = "n"): Promise<ClaimedShard> {
  const claimed = await ownership(store, { nodeId: () => nodeId }).claim(0, never);
  if (claimed === undefined) throw new Error("the shard was left alone");
  return claimed;
}

it("claims a shard that nobody owned, then from whoever owned it, each time with a fence of its own", async () => {
  const first = await claim(world.store);
  expect(first).toMatchObject({ previous: undefined, receipt: undefined, record: { owner: "n", sequence: 0 } });
  const second = await claim(world.store, "m");
  expect(second.previous).toEqual(first.record);
  expect(second.record.fence.number).toBe(first.record.fence.number + 1);
  expect(second.record.fence.nonce).not.toBe(first.record.fence.nonce);
  expect(second.record.lineage).toBe(first.record.lineage);
});

it("[P8] hands over the last receipt, whoever's it is", async () => {
  const { record } = await claim(world.store);
  await world.store.commit(0, record.fence, 1, [
    { op: "putPart", actor: "a/group/1", name: "p", bytes: new Uint8Array([1]) },
  ]);
  await world.store.commit(0, record.fence, 2, [{ op: "takePart", actor: "a/group/1", name: "p" }]);
  const { receipt } = await claim(world.store, "m");
  expect(receipt).toEqual({ sequence: 2, taken: [new Uint8Array([1])] });
});

it("[P8] a claim whose answer was lost is asked about with the same nonce, not made twice", async () => {
  const store = new FaultyStore(world.store);
  let faults = 0;
  store.fault = (call) => (call === "claim" && (faults += 1) <= 3 ? "after" : undefined);
  const former = await claim(world.store, "m");
  const { record, previous } = await claim(store);
  expect(faults).toBe(4);
  expect(record.fence.number).toBe(2);
  // Whose record it replaced is still known: that decides what became of a batch on its way.
  expect(previous).toEqual(former.record);
});

it("[G7] goes on while the store is away or another claims first", async () => {
  const store = new FaultyStore(world.store);
  const faults = ["before", "fenced", "before", "fenced"] as const;
  let calls = 0;
  store.fault = (call) => (call === "claim" ? faults[calls++] : undefined);
  expect((await claim(store)).record.owner).toBe("n");
  expect(calls).toBe(5);
});

it("ends when it is told to, and leaves nothing behind on the signal however often it tried", async () => {
  const store = new FaultyStore(world.store);
  let calls = 0;
  store.fault = () => {
    calls += 1;
    return "before";
  };
  const stop = new AbortController();
  const claiming = ownership(store).claim(0, stop.signal);
  await until(() => calls > 40);
  expect(getEventListeners(stop.signal, "abort").length).toBeLessThan(3);
  stop.abort();
  await expect(claiming).rejects.toThrow();
  await expect(ownership(store).claim(0, stop.signal)).rejects.toThrow();
});

it("what is no outage is not tried again", async () => {
  const refusing = {
    readOwner: () => Promise.reject(new StoreRefused("not yours")),
    claim: () => Promise.reject(new StoreUnavailable("-")),
    renewLineage: () => Promise.reject(new StoreUnavailable("-")),
  };
  await expect(ownership(refusing).claim(0, never)).rejects.toThrow(StoreRefused);
});

it("leaves a shard alone, or waits, as it is told before each try", async () => {
  const { record } = await claim(world.store, "m");
  const stances: ("claim" | "wait" | "leave")[] = ["wait", "wait", "leave"];
  const asked: (string | undefined)[] = [];
  const stance = (_: number, owner: string | undefined): "claim" | "wait" | "leave" => {
    asked.push(owner);
    return stances[asked.length - 1] ?? "claim";
  };
  expect(await ownership(world.store, { stance }).claim(0, never)).toBeUndefined();
  expect(asked).toEqual(["m", "m", "m"]);
  expect((await world.store.readOwner(0))?.fence).toEqual(record.fence);
  expect((await ownership(world.store, { stance }).claim(0, never))?.record.owner).toBe("n");
});

it("[F17] a record that goes less far than was heard of gets a new lineage, above every fence that was heard of", async () => {
  const { record } = await claim(world.store);
  const watermarks = new Watermarks(16);
  const changed: number[] = [];
  const heard = { lineage: record.lineage, fence: record.fence.number + 4, sequence: record.sequence + 9 };
  watermarks.hear(0, heard);
  const more = { watermarks, lineageChanged: (shard: number) => changed.push(shard) };
  const renewed = await ownership(world.store, more).claim(0, never);
  expect(renewed?.record.lineage).not.toBe(record.lineage);
  expect(renewed?.record.fence.number).toBe(heard.fence + 1);
  expect(renewed?.receipt).toBeUndefined();
  expect(changed).toEqual([0]);
  expect(await world.store.readOwner(0)).toEqual(renewed?.record);
  // Once: the next claim finds what this one left.
  const next = await ownership(world.store, more).claim(0, never);
  expect(next?.record.lineage).toBe(renewed?.record.lineage);
  expect(changed).toEqual([0]);
});

it("[F16] [F17] what the claimer itself had written counts as heard of", async () => {
  const { record } = await claim(world.store);
  const changed: number[] = [];
  const known = { lineage: record.lineage, fence: record.fence.number, sequence: record.sequence + 1 };
  const owner = ownership(world.store, { lineageChanged: (shard) => changed.push(shard) });
  expect((await owner.claim(0, never, known))?.record.lineage).not.toBe(record.lineage);
  expect(changed).toEqual([0]);
});

it("[G7] a claim that lands after its node was expelled is made again under the node's new id", async () => {
  const store = new FaultyStore(world.store);
  let now = "old";
  store.fault = (call) => {
    // Its claim is on its way.
    if (call === "claim") now = "new";
    return undefined;
  };
  const claimed = await ownership(store, { nodeId: () => now }).claim(0, never);
  expect(claimed?.record.owner).toBe("new");
  expect(await world.store.readOwner(0)).toEqual(claimed?.record);
});

it("[F16] lost history is told of, even when another node claims before it is renewed", async () => {
  const { record } = await claim(world.store);
  const changed: number[] = [];
  const known = { lineage: "lost", fence: record.fence.number + 1, sequence: 9 };
  const store: OwnershipOptions["store"] = {
    readOwner: (shard) => world.store.readOwner(shard),
    claim: (shard, seen, claimant) => world.store.claim(shard, seen, claimant),
    renewLineage: async (shard, fence, beyond) => {
      await claim(world.store, "m");
      return await world.store.renewLineage(shard, fence, beyond);
    },
  };
  const owner = ownership(store, { lineageChanged: (shard) => changed.push(shard) });
  expect((await owner.claim(0, never, known))?.record.owner).toBe("n");
  expect(changed).toEqual([0]);
});
