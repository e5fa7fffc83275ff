// A simulation that can't fail proves nothing: each way to break the server on purpose must turn it red within a few
// dozen seeds, under the faults in which it shows. Without it the same seeds are green.
import { describe, expect, it } from "vitest";
import { simulate, type RunProfile } from "./run.ts";

/** Owners are deposed before they know it, while everybody asks for the same few groups. */
const DEPOSED: RunProfile = {
  faults: ["cut from peers", "slow way to the store", "freeze"],
  faultsMs: 5_000,
  faultsMax: 4,
  nodes: 3,
  shards: 2,
  clients: 6,
  pauseMsMax: 60,
  mix: "groups",
};
/** Requests to the store arrive twice, while chains go through the outbox. */
const DOUBLED: RunProfile = {
  faults: ["requests doubled"],
  faultsMs: 1_500,
  faultsMax: 6,
  nodes: 2,
  shards: 1,
  clients: 5,
  pauseMsMax: 40,
  mix: "identities",
};
/** The store does what it is asked, and its owner does not hear of it. */
const UNHEARD: RunProfile = { ...DOUBLED, faults: ["answers lost"], mix: "pools" };
/** Nor does it know what may yet arrive. */
const LATE: RunProfile = { ...DOUBLED, faults: ["answers lost", "requests late"], mix: "all" };

const SWITCHES: readonly { readonly name: string; readonly profile: RunProfile; readonly caught: RegExp }[] = [
  { name: "fenceOff", profile: DEPOSED, caught: /\[G[1-4]\]/ },
  { name: "refusalsUnchecked", profile: DEPOSED, caught: /\[G4\]/ },
  { name: "selfFenceOff", profile: DEPOSED, caught: /\[G7\]/ },
  { name: "sequenceOff", profile: DOUBLED, caught: /\[G[1-8]\]/ },
  { name: "receiptsNotStored", profile: UNHEARD, caught: /\[G[23]\]/ },
  { name: "reclaimSkipped", profile: LATE, caught: /\[G[1-8]\]/ },
  { name: "replyBeforeWrite", profile: LATE, caught: /\[G3\]/ },
];
const SEEDS_MAX = 60;
const GREEN_SEEDS = 3;

describe("a broken server is caught", () => {
  for (const { name, profile, caught } of SWITCHES) {
    it(`${name} turns the simulation red`, async () => {
      const broken = await firstViolation(profile, new Set([name]), SEEDS_MAX);
      expect(broken).toMatch(caught);
    }, 300_000);
  }
});

it("a store that loses its last writes turns the simulation red", async () => {
  expect(await firstViolation({ faults: ["lagging promotion"] }, new Set(), 3)).toMatch(/\[G3\]/);
});

for (const [name, profile] of Object.entries({ DEPOSED, DOUBLED, UNHEARD, LATE })) {
  it(`${name}: the same seeds are green in a server that is whole`, async () => {
    expect(await firstViolation(profile, new Set(), GREEN_SEEDS)).toBe("");
  }, 120_000);
}

/** All of what the first seed finds that finds anything; "" if none does. */
async function firstViolation(profile: RunProfile, sabotage: ReadonlySet<string>, seeds: number): Promise<string> {
  for (let seed = 1; seed <= seeds; seed += 1) {
    const { violations } = await simulate({ seed, sabotage, profile });
    if (violations.length > 0) return `seed ${seed}: ${violations.join("\n")}`;
    await new Promise((resolve) => setImmediate(resolve));
  }
  return "";
}
