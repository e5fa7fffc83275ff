// The whole cluster in one process, seed after seed: nothing that was promised may break, whatever goes wrong. A seed
// that fails is played again, with every step told, by `npm run simulate -- --seed SEED`.
import { expect, it } from "vitest";
import { simulate } from "./run.ts";

/** For a quick look: CI has a step of its own for 2,000 (`npm run simulate`). */
const SEEDS = Number(process.env["AEGIS_SIMULATION_SEEDS"] ?? 50);
const FIRST = Number(process.env["AEGIS_SIMULATION_FIRST"] ?? 1);
const A_TEST = 25;

for (let from = FIRST; from < FIRST + SEEDS; from += A_TEST) {
  const seeds = Array.from({ length: Math.min(A_TEST, FIRST + SEEDS - from) }, (_, n) => from + n);
  it(`[G1] [G2] [G3] [G4] [G5] [G6] [G7] [G8] hold under the faults of seeds ${from} to ${seeds.at(-1) ?? from}`, async () => {
    for (const seed of seeds) {
      const { violations, faults } = await simulate({ seed });
      expect(violations, `npm run simulate -- --seed ${seed}: ${faults.join("; ")}`).toEqual([]);
      // Between two runs the test runner gets its turn.
      await new Promise((resolve) => setImmediate(resolve));
    }
  }, 120_000);
}

it("one seed gives one run, and another seed another", async () => {
  const [one, again, other] = [await simulate({ seed: 7 }), await simulate({ seed: 7 }), await simulate({ seed: 8 })];
  expect(again).toEqual(one);
  expect(other.digest).not.toBe(one.digest);
  // In two runs together: in one, faults may leave little to be done.
  expect(one.done + other.done).toBeGreaterThan(20);
});
