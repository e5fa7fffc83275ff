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

it("keyPool.low is said once a crossing, whoever lets packages go, and again after the queue was filled", () => {
  const bench = new Bench(entry, pool);
  const low = { low: 2, target: 9 };
  const said: unknown[] = [];
  const send = (command: { type: string }): void => {
    bench.send(command);
    for (const effect of bench.emitted) {
      const told = effect as { command?: { event?: { type: string; body: { available: number } } } };
      if (told.command?.event?.type === "keyPool.low") said.push(told.command.event.body.available);
    }
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
