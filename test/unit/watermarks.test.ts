// How far a shard's history is known to go: marks rise and never fall, and a record below them is found out (rule 8).
import { expect, it } from "vitest";
import { Watermarks } from "../../src/cluster/watermarks.ts";
import type { OwnerRecord } from "../../src/store/store.ts";

const SHARDS = 8;

function record(lineage: string, number: number, sequence: number): OwnerRecord {
  return { lineage, fence: { number, nonce: "n" }, sequence, owner: "o", address: "a:1", digest: "" };
}

const KNOWN = { lineage: "a", fence: 5, sequence: 70 };

it.each([
  ["as far", record("a", 5, 70), false],
  ["a later batch", record("a", 5, 71), false],
  ["a later claim", record("a", 6, 70), false],
  ["a batch is gone", record("a", 5, 69), true],
  ["batches are gone and somebody has claimed since", record("a", 9, 69), true],
  ["a claim is gone", record("a", 4, 70), true],
  ["a renewed lineage, above", record("b", 6, 3), false],
  ["a lineage minted in an empty store", record("b", 1, 0), true],
  ["another lineage under the same fence number", record("b", 5, 99), true],
])("[F16] [F17] %s", (_, found, isBehind) => {
  const watermarks = new Watermarks(SHARDS);
  watermarks.hear(3, KNOWN);
  expect(watermarks.ahead(3, found)).toEqual(isBehind ? KNOWN : undefined);
  expect(watermarks.ahead(4, found)).toBeUndefined();
});

it.each([
  ["an older claim", { lineage: "a", fence: 4, sequence: 70 }],
  ["an older batch", { lineage: "a", fence: 5, sequence: 69 }],
  ["another lineage under the same fence number", { lineage: "b", fence: 5, sequence: 99 }],
])("[F17] hearing late of %s lowers no mark", (_, late) => {
  const watermarks = new Watermarks(SHARDS);
  for (const mark of [KNOWN, late]) watermarks.hear(0, mark);
  expect(watermarks.ahead(0, record("a", 5, 69))).toEqual(KNOWN);
});

it("[F17] [G2] a claim by a node that had not heard of the lost batches makes nobody forget them", () => {
  const watermarks = new Watermarks(SHARDS);
  for (const mark of [KNOWN, { lineage: "a", fence: 6, sequence: 60 }]) watermarks.hear(0, mark);
  expect(watermarks.of(0)).toEqual({ lineage: "a", fence: 6, sequence: 70 });
  expect(watermarks.ahead(0, record("a", 7, 65))).toBeDefined();
  expect(watermarks.ahead(0, record("a", 7, 70))).toBeUndefined();
  expect(watermarks.all).toEqual([[0, watermarks.of(0)]]);
});

it("[F17] a renewed lineage is remembered in the place of the lost one", () => {
  const watermarks = new Watermarks(SHARDS);
  const renewed = { lineage: "b", fence: 6, sequence: 60 };
  for (const mark of [KNOWN, renewed]) watermarks.hear(0, mark);
  expect(watermarks.ahead(0, record("b", 6, 60))).toBeUndefined();
  expect(watermarks.ahead(0, record("a", 5, 70))).toEqual(renewed);
});

it("[F22] remembers nothing of a shard that is none: its number would be as many to walk through", () => {
  const watermarks = new Watermarks(SHARDS);
  for (const shard of [2 ** 28, SHARDS, 3, -1, Number.NaN]) watermarks.hear(shard, KNOWN);
  expect(watermarks.all).toEqual([[3, KNOWN]]);
});
