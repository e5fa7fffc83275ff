// An owner that ignores the hand-off of its shards, under a recorded load: they are taken, and what it says later is
// worth nothing.
import path from "node:path";
import { expect, test } from "vitest";
import { ClusterUnderLoad } from "../support/cluster-under-load.ts";
import { randomFrom, seedOf } from "../support/seed.ts";

const entry = path.join(import.meta.dirname, "../support/sabotaged-server.mjs");
const handOverMs = 5_000;

test("[F10] [G1] [G4] shards whose owner ignores the hand-off are taken at 5 s, and its late output is discarded", async () => {
  const random = randomFrom(seedOf("ignored-hand-over"));
  const world = await ClusterUnderLoad.start(
    {
      nodes: 1,
      // All that the second node is to own are asked for at once.
      env: { AEGIS_INCOMING_SHARDS_MAX: "256" },
      each: (n) => (n === 0 ? { entry, env: { AEGIS_TEST_SABOTAGE: "handOverIgnored" } } : {}),
    },
    { random },
  );
  try {
    await world.goesOn();
    const second = await world.cluster.add();
    const tookMs = second.loggedAt("a shard was not handed over in time") - second.loggedAt("a node has joined");
    const taken = await second.metric("aegis_shards_taken_total");
    console.log(`${taken} shards taken, the first after ${tookMs} ms`);
    expect(tookMs).toBeGreaterThanOrEqual(handOverMs - 500);
    expect(tookMs).toBeLessThan(handOverMs + 2_000);
    expect(taken).toBe(await second.metric("aegis_shards_owned"));
    // The first still takes itself for the owner of each, until the store says no.
    await world.goesOn(400);
    expect(await world.cluster.server(0).metric("aegis_shards_lost_total")).toBeGreaterThan(0);
    await world.whole();
    console.log(await world.finish());
  } finally {
    await world.dispose();
  }
}, 120_000);
