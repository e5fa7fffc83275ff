// A simulation that can't fail proves nothing: each way to break the server on purpose must turn it red within a few
// dozen seeds, under the faults in which it shows. Without it the same seeds are green.
import { describe, expect, it } from "vitest";
import { simulate, type RunProfile } from "./run.ts";

/** Owners are deposed before they know it, while everybody asks for the same few things. */
const DEPOSED: RunProfile = {
  faults: ["cut from peers", "slow way to the store", "freeze"],
  nodes: 3,
  shards: 2,
  clients: 6,
  pauseMsMax: 25,
};
/** Requests to the store are lost, answered late or not at all, or arrive twice. */
const STORMS: RunProfile = { faults: ["storm"], nodes: 2, shards: 2, clients: 5, pauseMsMax: 40 };

const SWITCHES: readonly { readonly name: string; readonly profile: RunProfile; readonly caught: RegExp }[] = [
  { name: "fenceOff", profile: DEPOSED, caught: /\[G[1-4]\]/ },
  { name: "refusalsUnchecked", profile: DEPOSED, caught: /\[G4\]/ },
  { name: "selfFenceOff", profile: DEPOSED, caught: /\[G7\]/ },
  { name: "sequenceOff", profile: STORMS, caught: /\[G[1-8]\]/ },
  { name: "receiptsNotStored", profile: STORMS, caught: /\[G[23]\]/ },
  { name: "reclaimSkipped", profile: STORMS, caught: /\[G[1-8]\]/ },
  { name: "replyBeforeWrite", profile: STORMS, caught: /\[G3\]/ },
];
const SEEDS_MAX = 60;
const GREEN_SEEDS = 4;

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

for (const [name, profile] of Object.entries({ DEPOSED, STORMS })) {
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
