import { expect, it } from "vitest";
import { placedOn, placement } from "../../src/cluster/placement.ts";

const NODES = ["a", "b", "c", "d"].map((nodeId) => ({ nodeId }));

it("places every shard on one node, whatever the order in which the nodes are named", () => {
  expect(placement(64, NODES)).toEqual(placement(64, [...NODES].reverse()));
  expect(placedOn(0, [])).toBeUndefined();
  expect(placement(8, [{ nodeId: "only" }])).toEqual(new Array(8).fill("only"));
});

it("spreads shards about evenly", () => {
  for (const { nodeId } of NODES) {
    const share = placement(1024, NODES).filter((owner) => owner === nodeId).length;
    expect(share).toBeGreaterThan(200);
    expect(share).toBeLessThan(320);
  }
});

it("a node that comes or goes moves its own share and nothing else", () => {
  const before = placement(1024, NODES);
  const after = placement(1024, NODES.slice(0, 3));
  for (const [shard, owner] of before.entries()) {
    if (owner !== "d") expect(after[shard]).toBe(owner);
  }
});

it("[F23] a shard that is too new for a node goes to one for which it is not, and nothing else moves", () => {
  const before = placement(1024, NODES);
  const tooNew = before.flatMap((owner, shard) => (owner === "a" && shard % 2 === 0 ? [shard] : []));
  const after = placement(1024, [{ nodeId: "a", tooNew }, ...NODES.slice(1)]);
  const withoutA = placement(1024, NODES.slice(1));
  for (const [shard, owner] of after.entries()) {
    expect(owner).toBe(tooNew.includes(shard) ? withoutA[shard] : before[shard]);
  }
});

it("[F23] what is too new for all of them stays where it was: its other actors can be served there", () => {
  const before = placement(64, NODES);
  const all = NODES.map((node) => ({ ...node, tooNew: [7] }));
  expect(placement(64, all)).toEqual(before);
});
