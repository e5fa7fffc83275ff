// What a publish was judged by outlasts claims, and what they took is not taken in again (G2).
import { expect, it } from "vitest";
import { machineCatalogue } from "../../src/actors/machine-catalogue.ts";
import { claim, HOUR_MS, offered, publish, remove } from "../support/actor-commands.ts";
import { address } from "../support/actor-world.ts";
import { Bench, LINEAGE, NOW } from "../support/machine-bench.ts";

const later = NOW + HOUR_MS;
const first = offered(1, later);
const second = offered(2, later + 1);
const known = { ...first, keysKnown: true, cameBefore: true };
const atOne = { generation: 1 };

/** A pool with two packages, at generation 1; then what is done to it. */
function pool(...commands: readonly object[]): Bench {
  const bench = new Bench(machineCatalogue.keyPool, address("keyPool", "c1"));
  for (const command of [publish([first, second]), ...commands]) bench.send(command);
  return bench;
}

function rejected(bench: Bench, command: object): string[] {
  const { reply, refusal } = bench.send(command);
  expect(refusal).toBeUndefined();
  return (reply as { rejected: { reason: string }[] }).rejected.map(({ reason }) => reason);
}

it("claims keep no publish from its turn; a removal does", () => {
  expect(rejected(pool(claim(), claim()), publish([offered(3, later)], atOne))).toEqual([]);
  const { refusal } = pool(remove([first.refHex])).send(publish([offered(3, later)], atOne));
  expect(refusal?.reason).toBe("STATE_MOVED");
});

it("[G2] a publish that was judged by a generation of another history is refused; of a node that does not say, taken", () => {
  const { refusal } = pool().send(publish([offered(3, later)], { ...atOne, begunIn: "lost" }));
  expect(refusal?.reason).toBe("STATE_MOVED");
  for (const judged of [atOne, { ...atOne, begunIn: LINEAGE }]) {
    expect(rejected(pool(), publish([offered(3, later)], judged))).toEqual([]);
  }
});

it("[G2] a package that was handed out since its marks were read is USED; while it stands it is accepted", () => {
  expect(rejected(pool(), publish([known], atOne))).toEqual([]);
  expect(rejected(pool(claim()), publish([known], atOne))).toEqual(["USED"]);
  expect(rejected(pool(claim()), publish([known], { ...atOne, reset: true }))).toEqual(["USED"]);
  expect(rejected(pool(), publish([known], { ...atOne, reset: true }))).toEqual([]);
});

it("[G2] an older node does not say that it came before: it goes out no second time either", () => {
  const { cameBefore: _, ...fromOlder } = known;
  expect(rejected(pool(claim()), publish([fromOlder], atOne))).toEqual(["INIT_KEY"]);
});
