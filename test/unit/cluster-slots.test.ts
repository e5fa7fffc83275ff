import { expect, test } from "vitest";
import { slotMapOf, slotOf } from "../../src/store/redis/cluster-slots.ts";
import { RedisKeys } from "../../src/store/redis/keys.ts";

// What CLUSTER KEYSLOT of Redis 7.0 answers.
test.each([
  ["123456789", 12_739],
  ["foo", 12_182],
  ["{user1000}.following", 3443],
  ["user1000", 3443],
  ["foo{}{bar}", 8363],
  ["foo{{bar}}zap", 4015],
  ["foo{bar}{zap}", 5061],
  ["", 0],
])("%j lies in slot %d", (key, slot) => {
  expect(slotOf(key)).toBe(slot);
  expect(slotOf(Buffer.from(key))).toBe(slot);
});

test("all keys of a shard lie in one slot, and those of a tag in another", () => {
  const keys = new RedisKeys("aegis");
  const actor = "app/group/{1}";
  const ofShard = [
    keys.own(17),
    keys.actor(17, actor),
    keys.parts(17, actor),
    keys.mark(17, actor, "}{"),
    keys.timers(17),
  ];
  expect(new Set(ofShard.map(slotOf))).toEqual(new Set([slotOf("{s17}")]));
  const { entries, live, dead } = keys.tag("app", "{}");
  expect(new Set([entries, live, dead].map(slotOf)).size).toBe(1);
});

test("of 256 shards three primaries with equal ranges get 80 to 89, as docs/OPERATIONS.md says", () => {
  const keys = new RedisKeys("any");
  const shares = [0, 0, 0];
  for (let shard = 0; shard < 256; shard += 1) {
    const primary = Math.floor((slotOf(keys.own(shard)) * 3) / 16_384);
    shares[primary] = (shares[primary] ?? 0) + 1;
  }
  expect(shares.sort()).toEqual([80, 87, 89]);
});

test("a map names primaries by range and everybody who can be asked; an unknown host is the asked one's", () => {
  const server = (host: string | null, port: number) => [host === null ? null : Buffer.from(host), port];
  const reply = [
    [0, 8191, server("10.0.0.1", 6379), server("10.0.0.2", 6379)],
    [8192, 8192, server(null, 7000)],
    [8193, 16_383, server("10.0.0.1", 6379)],
  ];
  const one = { host: "10.0.0.1", port: 6379 };
  const asked = { host: "localhost", port: 7000 };
  expect(slotMapOf(reply, { host: "localhost", port: 1 })).toEqual({
    ranges: [
      { first: 0, last: 8191, primary: one },
      { first: 8192, last: 8192, primary: asked },
      { first: 8193, last: 16_383, primary: one },
    ],
    servers: [one, { host: "10.0.0.2", port: 6379 }, asked],
  });
});
