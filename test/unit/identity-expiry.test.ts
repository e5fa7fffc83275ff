// The word before a credential expires (PROTOCOL §4, `identity.expiring`): a timer of the identity machine.
import { expect, it } from "vitest";
import { machineCatalogue } from "../../src/actors/machine-catalogue.ts";
import { decode } from "../../src/protocol/codec.ts";
import type { Operation } from "../../src/store/store.ts";
import { identityFacts, RETENTION } from "../support/actor-commands.ts";
import { address } from "../support/actor-world.ts";
import { Bench, NOW } from "../support/machine-bench.ts";

const DAY_MS = 86_400_000;
const client = address("identity", "c1");

const until = (notAfter: number, credential = "AAAA") => ({ ...identityFacts("alice"), credential, notAfter });
const create = (identity: object) => ({ type: "create", reservation: "r1", identity, tags: [], retention: RETENTION });
const update = (more: object) => ({ type: "update", retention: RETENTION, ...more });
const rings = { type: "timer", name: "expiring" };

function born(identity: object): { readonly bench: Bench; readonly timers: readonly Operation[] } {
  const bench = new Bench(machineCatalogue.identity, client);
  return { bench, timers: timersIn(bench.send(create(identity)).operations) };
}

function timersIn(operations: readonly Operation[]): readonly Operation[] {
  return operations.filter(({ op }) => op === "putTimer" || op === "deleteTimer");
}

const timerAt = (bench: Bench, at: number) => ({ op: "putTimer", actor: bench.key, name: "expiring", at });

it("rings seven days before the end, or when a quarter of what was left is left", () => {
  const long = born(until(NOW + 365 * DAY_MS));
  expect(long.timers).toEqual([timerAt(long.bench, NOW + 358 * DAY_MS)]);
  const short = born(until(NOW + DAY_MS));
  expect(short.timers).toEqual([timerAt(short.bench, NOW + 0.75 * DAY_MS)]);
  // Judged just before the turn, over at the turn.
  const over = born(until(NOW - 1));
  expect(over.timers).toEqual([timerAt(over.bench, NOW)]);
  expect(born(identityFacts("alice")).timers).toEqual([]);
});

it("puts one event into the inbox, and nothing more until the identity changes", () => {
  const { bench } = born(until(NOW + DAY_MS));
  bench.now += 0.75 * DAY_MS;
  const restarted = bench.copy();
  const { appended, operations } = restarted.send(rings);
  expect(appended.map(({ type, body }) => [type, decode(body)])).toEqual([
    ["identity.expiring", { notAfter: NOW + DAY_MS }],
  ]);
  expect(timersIn(operations)).toEqual([]);
  expect(timersIn(restarted.send(update({ tags: { add: ["x"] } })).operations)).toEqual([]);
});

it("is set anew with each identity, and cleared with one that never expires and with the client", () => {
  const { bench } = born(until(NOW + DAY_MS));
  const renewed = bench.send(update({ identity: until(NOW + 100 * DAY_MS, "BBBB") }));
  expect(timersIn(renewed.operations)).toEqual([timerAt(bench, NOW + 93 * DAY_MS)]);
  const cleared = { op: "deleteTimer", actor: bench.key, name: "expiring" };
  const deleted = bench.copy().send({ type: "delete" });
  expect(timersIn(deleted.operations)).toEqual([cleared]);
  const endless = bench.send(update({ identity: identityFacts("alice") }));
  expect(timersIn(endless.operations)).toEqual([cleared]);
  expect(bench.send(rings).appended).toEqual([]);
});

it("a basic identity writes nothing for it", () => {
  const { bench } = born(identityFacts("alice"));
  expect(bench.context["inboxRetention"]).toBeUndefined();
  expect(
    timersIn(bench.send(update({ identity: { ...identityFacts("alice"), credential: "CCCC" } })).operations),
  ).toEqual([]);
  expect(timersIn(bench.send({ type: "delete" }).operations)).toEqual([]);
});
