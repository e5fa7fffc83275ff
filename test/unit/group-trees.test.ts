// How long the group's machine keeps the trees of epochs that are over.
import { expect, it } from "vitest";
import { machineCatalogue } from "../../src/actors/machine-catalogue.ts";
import { createGroup, SETTINGS as GOVERNED, submitCommit } from "../support/actor-commands.ts";
import { address } from "../support/actor-world.ts";
import { Bench, NOW } from "../support/machine-bench.ts";

const entry = machineCatalogue.group;
const group = address("group", "67726f7570");
const bytes = (length: number) => new Uint8Array(length).fill(1);
const tree = (length: number) => ({ encoded: bytes(length), treeHash: "aGFzaA==", bytes: length, members: 2 });

it("the tree of an epoch with Welcomes stays as long as they may be unread, and its timer takes it away", () => {
  const bench = new Bench(entry, group);
  const keepMs = GOVERNED.inboxRetention.ms;
  bench.send(createGroup({ tree: tree(5) }));
  bench.send(submitCommit(0, { added: [{ clientId: "c1", welcome: bytes(1) }], tree: tree(6) }));
  expect(bench.emitted).toContainEqual({ type: "deletePart", name: "tree/00000000000000000000/000000" });
  expect(bench.emitted.map(({ type }) => type)).not.toContain("setTimer");
  bench.send(submitCommit(1, { tree: tree(7) }));
  expect(bench.emitted).toContainEqual({ type: "setTimer", name: "trees", at: NOW + keepMs + 1_000 });
  expect((bench.context["trees"] as { epoch: string }[]).map(({ epoch }) => epoch)).toEqual(["1", "2"]);
  bench.now += keepMs + 1_000;
  bench.send({ type: "timer", name: "trees" });
  expect(bench.emitted).toEqual([{ type: "deletePart", name: "tree/00000000000000000001/000000" }]);
  expect((bench.context["trees"] as { epoch: string }[]).map(({ epoch }) => epoch)).toEqual(["2"]);
});
