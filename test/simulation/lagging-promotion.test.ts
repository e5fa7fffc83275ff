// [F17] A replica that lags is promoted: what was acknowledged is lost, which no run can make good. But it is noticed:
// the lineage changes, nobody gets a package that somebody else has, and no follower goes on without a word.
import { expect, it } from "vitest";
import { simulate } from "./run.ts";

const SEEDS = 20;
/** In which the newcomer served what was lost. */
const NEWCOMER_SEEDS = [10, 16, 46, 56];
/** What must not happen even then. */
const NEVER =
  /went out twice|a follower got|was told CLOSED of a group that goes on|no owner|is not ready|is no member|a bug/;

it("[F17] [G2] shards that go to a newcomer at once, before their owners have looked, change their lineage all the same", async () => {
  for (const seed of NEWCOMER_SEEDS) {
    const faults = ["lagging promotion and a newcomer"];
    const profile = { faults, faultsMax: 1, nodes: 3, shards: 8, mix: "pools" } as const;
    const { violations } = await simulate({ seed, profile });
    expect(
      violations.filter((violation) => NEVER.test(violation)),
      `npm run simulate -- --seed ${seed} --profile '${JSON.stringify(profile)}'`,
    ).toEqual([]);
    await new Promise((resolve) => setImmediate(resolve));
  }
}, 120_000);

it("[F17] a lagging promotion changes the lineage; packages are not handed out again, followers are told", async () => {
  let lossesSeen = 0;
  for (let seed = 1; seed <= SEEDS; seed += 1) {
    const profile = { faults: ["lagging promotion"], faultsMax: 1 };
    const { violations, lineageChanges } = await simulate({ seed, profile });
    expect(
      violations.filter((violation) => NEVER.test(violation)),
      `npm run simulate -- --seed ${seed} --profile '${JSON.stringify(profile)}'`,
    ).toEqual([]);
    if (violations.some((violation) => violation.startsWith("[G3]"))) {
      lossesSeen += 1;
      expect(lineageChanges).toBeGreaterThan(0);
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(lossesSeen).toBeGreaterThan(SEEDS / 2);
}, 120_000);
