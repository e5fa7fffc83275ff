// `keyPool.low`: once as a queue falls to the mark, once more as it becomes empty, whoever lets packages go.
import { expect, it } from "vitest";
import { LOW_QUEUES_MAX } from "../../src/actors/key-pool-low.ts";
import { machineCatalogue } from "../../src/actors/machine-catalogue.ts";
import { claim, HOUR_MS, offered, publish, remove } from "../support/actor-commands.ts";
import { address } from "../support/actor-world.ts";
import { Bench, NOW } from "../support/machine-bench.ts";

const entry = machineCatalogue.keyPool;
const pool = address("keyPool", "c1");
const later = NOW + HOUR_MS;

/** How many packages were left, for each `keyPool.low` of the last turn. */
function lowSaid(bench: Bench): number[] {
  return bench.emitted.flatMap((effect) => {
    const told = effect as { command?: { event?: { type: string; body: { available: number } } } };
    return told.command?.event?.type === "keyPool.low" ? [told.command.event.body.available] : [];
  });
}

it("keyPool.low is said once a crossing, whoever lets packages go, and again after the queue was filled", () => {
  const bench = new Bench(entry, pool);
  const low = { low: 2, target: 9 };
  const said: unknown[] = [];
  const send = (command: { type: string }): void => {
    bench.send(command);
    said.push(...lowSaid(bench));
  };
  const soon = Array.from({ length: 3 }, (_, n) => offered(n, later, { index: n }));
  const late = Array.from({ length: 3 }, (_, n) => offered(10 + n, later + HOUR_MS, { index: 3 + n }));
  send(publish([...soon, ...late], low));
  send(claim(low));
  send(remove([soon[1]?.refHex as string], low));
  expect(said).toEqual([]);
  send(remove([soon[2]?.refHex as string, late[0]?.refHex as string], low));
  expect(said).toEqual([2]);
  send(claim(low));
  expect(said).toEqual([2]);
  const more = Array.from({ length: 3 }, (_, n) => offered(20 + n, later + HOUR_MS, { index: n }));
  send(publish(more, { ...low, generation: bench.context["generation"] as number }));
  bench.now = later + HOUR_MS;
  send({ type: "timer", name: "expiry" } as { type: string });
  expect(said).toEqual([2, 0]);
});

const five = Array.from({ length: 5 }, (_, n) => offered(n, later, { index: n }));
const again = { generation: 1, reset: true, low: 2, target: 9 };
it.each([
  ["a reset to nothing", publish([], again), [0]],
  ["a reset to the mark", publish([offered(7, later), offered(0, later, { keysKnown: true })], again), [2]],
  ["a reset to more than the mark", publish(five.slice(1), again), []],
  ["a reset whose packages are all rejected", publish([offered(7, later, { used: true })], again), [0]],
  ["a reset that leaves only a last resort", publish([offered(7, later, { index: -1 })], again), [0]],
  [
    "a publish under a newer identity",
    publish([offered(7, later)], { ...again, reset: false, identityVersion: 2 }),
    [1],
  ],
  ["a change of identity", { type: "changeIdentity", identityVersion: 2 }, [0]],
])("keyPool.low after %s", (_, command, expected) => {
  const bench = new Bench(entry, pool);
  bench.send(publish(five, { low: 2, target: 9 }));
  bench.send(command);
  expect(lowSaid(bench)).toEqual(expected);
});

it("[L6] a turn tells of so many queues and no more", () => {
  const bench = new Bench(entry, pool);
  for (let label = 0; label <= LOW_QUEUES_MAX; label += 1) {
    const generation = (bench.context["generation"] as number | undefined) ?? 0;
    bench.send(publish([offered(label, later)], { generation, labelHex: Buffer.from([label]).toString("hex") }));
  }
  bench.send(remove("all"));
  const told = bench.emitted.filter(({ type }) => type === "tell");
  expect(told).toHaveLength(LOW_QUEUES_MAX);
});
