// The directory of part names against a plain set of strings, and the addresses of actors.
import fc from "fast-check";
import { expect, it } from "vitest";
import { actorKey, parseActorKey, shardOf } from "../../src/actors/actor-address.ts";
import { SortedDirectory } from "../../src/actors/directory.ts";
import { seedOf } from "../support/seed.ts";

const PREFIXES = ["once/", "last/"];
const name = fc
  .tuple(fc.constantFrom("once/", "last/", "rate/", "onc"), fc.stringMatching(/^[0-9a-z/]{0,6}$/))
  .map(([prefix, rest]) => `${prefix}${rest}`);

it("a directory has, counts, finds and lists what a set of names would", () => {
  const change = fc.record({ name, add: fc.boolean() });
  const property = fc.property(fc.array(name), fc.array(change), name, (first, changes, probe) => {
    const model = new Set(first.filter((each) => PREFIXES.some((prefix) => each.startsWith(prefix))));
    const directory = new SortedDirectory(PREFIXES, [...model].sort());
    for (const { name: each, add } of changes) {
      if (add) directory.add(each);
      else directory.delete(each);
      if (!add) model.delete(each);
      else if (PREFIXES.some((prefix) => each.startsWith(prefix))) model.add(each);
    }
    const sorted = [...model].sort();
    expect(directory.has(probe)).toBe(model.has(probe));
    for (const prefix of [...PREFIXES, probe]) {
      const under = sorted.filter((each) => each.startsWith(prefix));
      expect(directory.list(prefix)).toEqual(under);
      expect(directory.count(prefix)).toBe(under.length);
      expect(directory.first(prefix)).toBe(under[0]);
      expect(directory.first(prefix, probe)).toBe(under.find((each) => each >= probe));
    }
  });
  fc.assert(property, { seed: seedOf("sorted directory") });
});

it("an actor's key leads back to its address, and its kind does not move it to another shard", () => {
  const id = fc.stringMatching(/^[0-9a-f]{1,64}$/);
  const property = fc.property(fc.uuid(), id, fc.integer({ min: 1, max: 16_384 }), (applicationId, own, shards) => {
    const identity = { applicationId, kind: "identity" as const, id: own };
    expect(parseActorKey(actorKey(identity))).toEqual(identity);
    const shard = shardOf(actorKey(identity), shards);
    expect(shard).toBeGreaterThanOrEqual(0);
    expect(shard).toBeLessThan(shards);
    expect(shardOf(actorKey({ ...identity, kind: "keyPool" }), shards)).toBe(shard);
  });
  fc.assert(property, { seed: seedOf("actor addresses") });
});

it("actors spread evenly over the shards", () => {
  const counts = new Array<number>(64).fill(0);
  for (let n = 0; n < 64_000; n += 1) {
    const shard = shardOf(actorKey({ applicationId: "a", kind: "identity", id: String(n) }), 64);
    counts[shard] = (counts[shard] ?? 0) + 1;
  }
  expect(Math.min(...counts)).toBeGreaterThan(800);
  expect(Math.max(...counts)).toBeLessThan(1_200);
});
