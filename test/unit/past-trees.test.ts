// `ordering` tracking: the trees of epochs that are over stay as long as their Welcomes may be unread, and no head grows.
import { expect, it } from "vitest";
import { machineCatalogue } from "../../src/actors/machine-catalogue.ts";
import { PAST_TREE_BYTES_MAX, PAST_TREE_PREFIX, PAST_TREES_MAX } from "../../src/actors/past-trees.ts";
import { encode } from "../../src/protocol/codec.ts";
import { createGroup, SETTINGS as GOVERNED, submitCommit } from "../support/actor-commands.ts";
import { address } from "../support/actor-world.ts";
import { Bench, NOW } from "../support/machine-bench.ts";

const entry = machineCatalogue.group;
const group = address("group", "67726f7570");
const keepMs = GOVERNED.inboxRetention.ms;
const bytes = (length: number) => new Uint8Array(length).fill(1);
const tree = (length: number) => ({ encoded: bytes(1), treeHash: "aGFzaA==", bytes: length, members: 2 });
const timer = { type: "timer", name: "trees" };

/** Commits this epoch away; somebody is welcomed into the one that begins. */
function welcome(bench: Bench, epoch: number, treeBytes = 5): void {
  const added = [{ clientId: `c${String(epoch)}`, welcome: bytes(1) }];
  bench.send(submitCommit(epoch, { added, tree: tree(treeBytes) }));
}

function started(): Bench {
  const bench = new Bench(entry, group);
  bench.send(createGroup({ tree: tree(5) }));
  return bench;
}

const epochsKept = ({ directory }: Bench): number[] =>
  directory.list(PAST_TREE_PREFIX).map((name) => Number(name.split("/")[1]));
const partsDeleted = ({ emitted }: Bench): string[] =>
  emitted.flatMap((effect) => (effect.type === "deletePart" ? [effect.name] : []));
const timersSet = ({ emitted }: Bench): number[] =>
  emitted.flatMap((effect) => (effect.type === "setTimer" ? [effect.at] : []));

it("the tree of an epoch with Welcomes stays as long as they may be unread, and its timer takes it away", () => {
  const bench = started();
  welcome(bench, 0);
  expect(partsDeleted(bench)).toEqual(["tree/00000000000000000000/000000"]);
  expect(timersSet(bench)).toEqual([]);
  bench.send(submitCommit(1, { tree: tree(7) }));
  expect(partsDeleted(bench)).toEqual([]);
  expect(timersSet(bench)).toEqual([NOW + keepMs + 1_000]);
  expect(epochsKept(bench)).toEqual([1]);
  const [name] = bench.directory.list(PAST_TREE_PREFIX);
  bench.now += keepMs - 1;
  bench.send(timer);
  expect(partsDeleted(bench)).toEqual([]);
  expect(timersSet(bench)).toEqual([NOW + keepMs + 1_000]);
  bench.now += 1;
  bench.send(timer);
  expect(partsDeleted(bench)).toEqual([name, "tree/00000000000000000001/000000"]);
  expect(timersSet(bench)).toEqual([]);
  expect(bench.context).toMatchObject({ trees: [{ epoch: "2" }], pastTrees: { bytes: 0, endsAt: 0 } });
});

it("the tree of a Welcome that may be unread stays, however many commits came since; each goes at its time", () => {
  const bench = started();
  for (let epoch = 0; epoch < 300; epoch += 1) {
    welcome(bench, epoch);
    bench.now += keepMs / 100;
    bench.send(timer);
    const oldest = Math.max(1, epoch - 97);
    expect(epochsKept(bench)).toEqual(Array.from({ length: epoch + 1 - oldest }, (_, n) => oldest + n));
  }
});

it("[L5] a head says the same of one past tree and of thousands", () => {
  const bench = started();
  const headBytes = (): number => encode({ ...bench.context, window: undefined }).length;
  for (let epoch = 0; epoch < 10; epoch += 1) welcome(bench, epoch);
  const few = headBytes();
  for (let epoch = 10; epoch < 2000; epoch += 1) welcome(bench, epoch);
  expect(epochsKept(bench)).toHaveLength(1999);
  expect(headBytes()).toBeLessThanOrEqual(few + 16);
});

it("[L6] a group keeps so many past trees and so many bytes of them, and the oldest goes first", () => {
  const bench = started();
  for (let epoch = 0; epoch < PAST_TREES_MAX + 3; epoch += 1) welcome(bench, epoch);
  expect(epochsKept(bench)).toHaveLength(PAST_TREES_MAX);
  expect(epochsKept(bench)[0]).toBe(3);
  expect(partsDeleted(bench)).toHaveLength(2);
  const large = started();
  const third = PAST_TREE_BYTES_MAX / 3;
  for (let epoch = 0; epoch < 9; epoch += 1) welcome(large, epoch, epoch < 5 ? 5 : third);
  expect(epochsKept(large)).toEqual([6, 7, 8]);
  expect(large.context["pastTrees"]).toMatchObject({ bytes: PAST_TREE_BYTES_MAX });
});

it("what goes at the limit is no longer what the timer rings for", () => {
  const bench = started();
  welcome(bench, 0);
  bench.now += 1_000;
  welcome(bench, 1, PAST_TREE_BYTES_MAX);
  welcome(bench, 2);
  expect(epochsKept(bench)).toEqual([2]);
  expect(timersSet(bench)).toEqual([NOW + 1_000 + keepMs + 1_000]);
});

it.each(["a commit", "the timer"])("[F23] trees that an older machine kept in the head are kept on by %s", (what) => {
  const older = started();
  const { context, ...state } = older.stored();
  const trees = [3, 4, 5].map((epoch) => ({ epoch: String(epoch), bytes: 5, treeHash: "aGFzaA==", offset: 0 }));
  const head = trees.map((one, n) => (n === 2 ? one : { ...one, keepUntil: NOW + n + 1 }));
  older.stored = () => ({ ...state, context: { ...context, epoch: "5", trees: head } });
  const bench = new Bench(entry, group, older);
  if (what === "the timer") bench.send(timer);
  else welcome(bench, 5);
  expect(epochsKept(bench)).toEqual([3, 4]);
  expect(timersSet(bench)).toEqual([NOW + 1 + 1_000]);
  expect(bench.context["trees"]).toMatchObject([{ epoch: what === "the timer" ? "5" : "6" }]);
  bench.now += 1;
  bench.send(timer);
  expect(epochsKept(bench)).toEqual([4]);
});

it("a group that is deleted forgets them", () => {
  const bench = started();
  for (let epoch = 0; epoch < 3; epoch += 1) welcome(bench, epoch);
  bench.send({ type: "delete", governed: GOVERNED });
  expect(epochsKept(bench)).toEqual([]);
  expect(bench.context["pastTrees"]).toEqual({ bytes: 0, endsAt: 0 });
});
