// What a commit stores of leaves: beside the pages of the group's beginning, which are never written again.
import { it, expect } from "vitest";
import { machineCatalogue } from "../../src/actors/machine-catalogue.ts";
import { encodeRosterClients, encodeRosterPage } from "../../src/actors/roster.ts";
import { createGroup, submitCommit } from "../support/actor-commands.ts";
import { address } from "../support/actor-world.ts";
import { Bench } from "../support/machine-bench.ts";

const bytes = Uint8Array.of(1);
const snapshot = {
  encoded: bytes,
  treeHash: "aGFzaA==",
  bytes: 1,
  members: 2,
  groupContext: bytes,
  confirmationTag: bytes,
};
const followed = createGroup({
  tracking: "full",
  members: [encodeRosterPage(["c0", false])],
  full: { snapshot, leaves: 2, clients: [encodeRosterClients({ c0: 0 })] },
});
const follows = (more: object) => ({ full: { entered: [], left: [], memberCount: 2, treeBytes: 1, ...more } });

it("[M5] whose a leaf is goes with the leaf: one that another took at once stays", () => {
  const bench = new Bench(machineCatalogue.group, address("group"));
  bench.send(followed);
  bench.send(submitCommit(0, follows({ entered: [{ leaf: 2, clientId: "c6" }, { leaf: 3 }] })));
  bench.send(submitCommit(1, follows({ left: [2, 3], entered: [{ leaf: 3, clientId: "c7" }] })));
  expect(bench.emitted).toContainEqual({ type: "deletePart", name: "leaf/0000000002" });
  expect(bench.emitted).not.toContainEqual({ type: "deletePart", name: "leaf/0000000003" });
  expect(bench.emitted).toMatchObject([{}, {}, {}, {}, { type: "putPart", name: "leaf/0000000003" }, {}]);
});

it("[M5] a leaf of the beginning that is left says so: the roster is never written again", () => {
  const bench = new Bench(machineCatalogue.group, address("group"));
  bench.send(followed);
  bench.send(submitCommit(0, follows({ left: [0, 1], entered: [{ leaf: 1, clientId: "c7" }] })));
  const leaves = bench.emitted.filter((effect) => "name" in effect && effect.name.startsWith("leaf/"));
  expect(leaves).toMatchObject([
    { type: "putPart", name: "leaf/0000000000", bytes: new Uint8Array(0) },
    { type: "putPart", name: "leaf/0000000001" },
  ]);
});
