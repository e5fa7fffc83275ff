// A service judges by the state that it read; the group's turn compares the epoch, and what began it (L4).
import { beforeEach, expect, it } from "vitest";
import { machineCatalogue } from "../../src/actors/machine-catalogue.ts";
import { createGroup, SETTINGS, submitCommit } from "../support/actor-commands.ts";
import { address } from "../support/actor-world.ts";
import { Bench } from "../support/machine-bench.ts";

const message = Uint8Array.of(3);
const judged = [
  submitCommit(1),
  { type: "submitProposal", epoch: "1", message, governed: SETTINGS },
  { type: "putGroupInfo", epoch: "1", groupInfo: message },
];

let bench: Bench;

beforeEach(() => {
  bench = new Bench(machineCatalogue.group, address("group", "67"));
  for (const command of [createGroup(), submitCommit(0, { digest: "this" })]) bench.send(command);
});

it.each(judged)("[G1] takes a $type that was judged by the very commit that began its epoch", (command) => {
  expect(bench.send({ ...command, begunBy: "this" }).refusal).toBeUndefined();
});

it.each(judged)("[G1] refuses a $type that was judged by another commit's epoch of that number", (command) => {
  const { context } = bench;
  expect(bench.send({ ...command, begunBy: "that" }).refusal?.reason).toBe("STATE_MOVED");
  expect(bench.context).toEqual(context);
});

it.each(judged)("takes a $type of a node that does not say what it judged by", (command) => {
  expect(bench.send(command).refusal).toBeUndefined();
});
