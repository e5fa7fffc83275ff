// The proposals of an epoch: the same bytes stand once, those that older machines stored stay as they are.
import { expect, it } from "vitest";
import { EXTERNAL_PROPOSALS_MAX, PROPOSALS_MAX } from "../../src/actors/group-messages.ts";
import { machineCatalogue } from "../../src/actors/machine-catalogue.ts";
import { createGroup, SETTINGS, submitCommit } from "../support/actor-commands.ts";
import { address } from "../support/actor-world.ts";
import { Bench } from "../support/machine-bench.ts";

const propose = (digest: string | undefined, epoch = "0") => ({
  type: "submitProposal",
  epoch,
  message: Uint8Array.of(1),
  ...(digest === undefined ? {} : { digest }),
  proposalRef: Uint8Array.of(2),
  governed: SETTINGS,
});

function begun(): Bench {
  const bench = new Bench(machineCatalogue.group, address("group"));
  bench.send(createGroup());
  return bench;
}

it("the same bytes again are answered as the first time, and change nothing", () => {
  const bench = begun();
  const [first] = ["a", "b"].map((digest) => bench.send(propose(digest)).reply);
  const stored = bench.stored();
  expect(bench.copy().send(propose("a")).reply).toEqual(first);
  expect(bench.send(propose("a")).reply).toEqual(first);
  expect(bench.emitted).toMatchObject([{ type: "reply" }]);
  expect(bench.stored()).toEqual(stored);
});

it("they are new in the next epoch", () => {
  const bench = begun();
  bench.send(propose("a"));
  bench.send(submitCommit(0));
  expect(bench.send(propose("a", "1")).reply).toMatchObject({ offset: 3 });
});

it("also where the epoch holds as many as it may", () => {
  const bench = begun();
  for (let n = 0; n < PROPOSALS_MAX; n += 1) bench.send(propose(String(n)));
  expect(bench.send(propose("7")).reply).toMatchObject({ offset: 8 });
  expect(bench.send(propose("one more")).refusal?.reason).toBe("PROPOSALS_LIMIT");
});

it("[M6] as many of members leave room for those of external senders, the back-end's own", () => {
  const bench = begun();
  const external = (digest: string) => ({ ...propose(digest), sender: { type: "external" } });
  for (let n = 0; n < PROPOSALS_MAX; n += 1) bench.send(propose(String(n)));
  for (let n = 0; n < EXTERNAL_PROPOSALS_MAX; n += 1) {
    expect(bench.send(external(`external ${String(n)}`)).reply).toMatchObject({ offset: PROPOSALS_MAX + n + 1 });
  }
  expect(bench.send(external("one more")).refusal?.reason).toBe("PROPOSALS_LIMIT");
});

it("what came without its digest, as from older nodes, stands in its order and goes with the epoch", () => {
  const bench = begun();
  for (const digest of [undefined, "a", undefined, "b"]) bench.send(propose(digest));
  const names = ["proposal/000000", "proposal/000001/2/a", "proposal/000002", "proposal/000003/4/b"];
  expect(bench.directory.list("proposal/")).toEqual(names);
  bench.send(submitCommit(0));
  expect(bench.directory.count("proposal/")).toBe(0);
});
