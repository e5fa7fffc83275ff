// The back-end's own Removes in a group's turns (M6).
import { expect, it } from "vitest";
import { machineCatalogue } from "../../src/actors/machine-catalogue.ts";
import { encodeRosterClients, encodeRosterPage } from "../../src/actors/roster.ts";
import { createGroup, SETTINGS, submitCommit } from "../support/actor-commands.ts";
import { address } from "../support/actor-world.ts";
import { Bench } from "../support/machine-bench.ts";

const bytes = Uint8Array.of(1);
const snapshot = { encoded: bytes, bytes: 1, treeHash: "h", members: 2, groupContext: bytes, confirmationTag: bytes };
const full = { entered: [], left: [], memberCount: 2, treeBytes: 10 };

function followed(): Bench {
  const bench = new Bench(machineCatalogue.group, address("group", "67"));
  bench.send(
    createGroup({
      tracking: "full",
      members: [encodeRosterPage(["c0", "c9"])],
      full: { snapshot, leaves: 2, clients: [encodeRosterClients({ c0: 0, c9: 1 })] },
    }),
  );
  return bench;
}

const proposes = (bench: Bench) => bench.emitted.some(({ type }) => type === "proposeRemovals");

it("[M6] a deleted client's removal is forgotten by the state that has no leaf of it, and by no other", () => {
  const bench = followed();
  const forget = (epoch: number) => ({ type: "forgetRemovals", epoch: String(epoch), clients: ["c8", "c9"] });
  bench.send({ type: "removeClient", clientId: "c9" });
  bench.send(submitCommit(0, { full }));
  expect(proposes(bench)).toBe(true);
  expect(bench.send(forget(0)).refusal?.reason).toBe("EPOCH_CONFLICT");
  bench.send(forget(1));
  expect(bench.emitted).toEqual([{ type: "deletePart", name: "removal/c9" }]);
  bench.send(submitCommit(1, { full }));
  expect(proposes(bench)).toBe(false);
});

it("[M6] a commit that was judged before a proposal from outside came is judged again, where they are enforced", () => {
  const byExternal = { type: "submitProposal", epoch: "0", message: bytes, sender: { type: "external" } };
  const judged = submitCommit(0, { full, externalProposals: 0 });
  const unenforced = { ...SETTINGS, enforceProposals: false };
  const refusedAfter = (proposal: object, commit: object) => {
    const bench = followed();
    bench.send({ ...byExternal, governed: SETTINGS, ...proposal });
    return bench.send(commit).refusal?.reason;
  };
  expect(refusedAfter({}, judged)).toBe("STATE_MOVED");
  expect(refusedAfter({}, { ...judged, externalProposals: 1 })).toBeUndefined();
  expect(refusedAfter({}, { ...judged, governed: unenforced })).toBeUndefined();
  expect(refusedAfter({}, submitCommit(0, { full }))).toBeUndefined();
  expect(refusedAfter({ sender: { type: "member", leaf: 0 } }, judged)).toBeUndefined();
  const bench = followed();
  bench.send({ ...byExternal, governed: SETTINGS });
  bench.send({ ...judged, externalProposals: 1 });
  expect(bench.send(submitCommit(1, { full, externalProposals: 0 })).refusal).toBeUndefined();
});
