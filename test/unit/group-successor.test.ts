// Reservations of an id under which groups are about to go on: remembered at the id's own actor, judged by creates.
import { expect, it } from "vitest";
import { RESERVATIONS_MAX } from "../../src/actors/group-state.ts";
import { machineCatalogue } from "../../src/actors/machine-catalogue.ts";
import { createGroup } from "../support/actor-commands.ts";
import { address } from "../support/actor-world.ts";
import { Bench } from "../support/machine-bench.ts";

const reserve = (predecessor: string) => ({ type: "reserve", predecessor });
const fresh = () => new Bench(machineCatalogue.group, address("group", "00"));

it("each predecessor is remembered once, each reservation counted", () => {
  const bench = fresh();
  for (const predecessor of ["p", "q", "p"]) expect(bench.send(reserve(predecessor)).reply).toEqual({});
  expect(bench.context["reservations"]).toEqual({ made: 3, by: [{ predecessor: "q" }, { predecessor: "p" }] });
  expect(bench.copy().context["reservations"]).toEqual(bench.context["reservations"]);
});

it("a create that was judged before the last reservation is judged again", () => {
  const bench = fresh();
  bench.send(reserve("p"));
  expect(bench.send(createGroup()).refusal?.reason).toBe("STATE_MOVED");
  bench.send(reserve("p"));
  expect(bench.send(createGroup({ reservations: 1 })).refusal?.reason).toBe("STATE_MOVED");
  expect(bench.send(createGroup({ reservations: 2 })).refusal).toBeUndefined();
  expect(bench.state).toBe("active");
});

it("[L6] so many groups may be about to go on under one id, and no more", () => {
  const bench = fresh();
  for (let n = 0; n < RESERVATIONS_MAX; n += 1) bench.send(reserve(String(n)));
  expect(bench.send(reserve("0")).refusal).toBeUndefined();
  expect(bench.send(reserve("one more")).refusal?.reason).toBe("GROUP_EXISTS");
});
