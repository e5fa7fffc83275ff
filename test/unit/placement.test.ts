import { expect, it } from "vitest";
import { placedOn, placement } from "../../src/cluster/placement.ts";

const NODES = ["a", "b", "c", "d"];

it("places every shard on one node, whatever the order in which the nodes are named", () => {
  expect(placement(64, NODES)).toEqual(placement(64, [...NODES].reverse()));
  expect(placedOn(0, [])).toBeUndefined();
  expect(placement(8, ["only"])).toEqual(new Array(8).fill("only"));
});

it("spreads shards about evenly", () => {
  for (const node of NODES) {
    const share = placement(1024, NODES).filter((owner) => owner === node).length;
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
