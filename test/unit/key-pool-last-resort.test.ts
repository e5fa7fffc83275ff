// A last resort goes out again and again as what it is, and never as anything else (G2).
import { expect, it } from "vitest";
import { handedOutPart, keyMark, usedMark } from "../../src/actors/key-pool-queues.ts";
import { machineCatalogue } from "../../src/actors/machine-catalogue.ts";
import { claim, HOUR_MS, offered, publish, remove } from "../support/actor-commands.ts";
import { address } from "../support/actor-world.ts";
import { Bench, NOW } from "../support/machine-bench.ts";

const entry = machineCatalogue.keyPool;
const pool = address("keyPool", "c1");
const later = NOW + HOUR_MS;
const last = offered(9, later, { index: -1 });
const next = offered(1, later, { index: -1 });
const keyMarks = last.keyHashes.map(keyMark);

/** A pool whose last resort stands, and was claimed so many times. */
function poolWithLast(claims: number): Bench {
  const bench = new Bench(entry, pool);
  bench.send(publish([last]));
  for (let n = 0; n < claims; n += 1) bench.send(claim());
  return bench;
}

function marks(bench: Bench, type: "putMark" | "deleteMark"): string[] {
  return bench.emitted.flatMap((effect) => (effect.type === type ? [effect.name] : []));
}

function told(bench: Bench): number {
  return bench.emitted.filter(({ type }) => type === "tell").length;
}

function rejections(bench: Bench): string[] {
  const replies = bench.emitted.flatMap((effect) => (effect.type === "reply" ? [effect.value] : []));
  return replies.flatMap((value) => (value as { rejected: { reason: string }[] }).rejected.map(({ reason }) => reason));
}

it("[G2] a last resort is marked as used, and its client told, when it first goes out, and not again", () => {
  const bench = poolWithLast(0);
  bench.send(claim());
  expect(marks(bench, "putMark")).toEqual([usedMark(last.refHex)]);
  expect(bench.directory.has(handedOutPart(last.refHex))).toBe(true);
  expect(told(bench)).toBe(1);
  bench.send(claim());
  expect(marks(bench, "putMark")).toEqual([]);
  expect(told(bench)).toBe(0);
});

it.each([
  ["displaced", publish([next], { generation: 1 })],
  ["removed", remove("all")],
  ["reset away", publish([], { generation: 1, reset: true })],
  ["of an older identity", { type: "changeIdentity", identityVersion: 2 }],
])("[M1] the keys of a last resort that went out and was then %s stay known", (_, command) => {
  const bench = poolWithLast(1);
  bench.send(command);
  expect(marks(bench, "deleteMark")).toEqual([]);
  expect(bench.directory.has(handedOutPart(last.refHex))).toBe(false);
  const neverOut = poolWithLast(0);
  neverOut.send(command);
  expect(marks(neverOut, "deleteMark")).toEqual(keyMarks);
});

it("[M1] a reset does not free the keys of a last resort that went out", () => {
  const bench = poolWithLast(1);
  const sameKeys = { ...offered(2, later), keyHashes: last.keyHashes, keysKnown: true };
  bench.send(publish([sameKeys], { generation: 1, reset: true }));
  expect(rejections(bench)).toEqual(["INIT_KEY"]);
});

it("[G2] one that went out is USED as one-time, and accepted again as the last resort that it still is", () => {
  const again = { ...last, used: true, keysKnown: true };
  const once = poolWithLast(1);
  once.send(publish([{ ...again, index: 0 }], { generation: 1 }));
  expect(rejections(once)).toEqual(["USED"]);
  const still = poolWithLast(1);
  still.send(publish([again], { generation: 1 }));
  expect(rejections(still)).toEqual([]);
  const displaced = poolWithLast(1);
  displaced.send(publish([next], { generation: 1 }));
  displaced.send(publish([again], { generation: 2 }));
  expect(rejections(displaced)).toEqual(["USED"]);
});

it("[G2] one that went out since its marks were read is USED as one-time too, whether it stands or a reset threw it out", () => {
  const unmarked = { ...last, keysKnown: true, cameBefore: true };
  for (const reset of [false, true]) {
    const once = poolWithLast(1);
    once.send(publish([{ ...unmarked, index: 0 }], { generation: 1, reset }));
    expect(rejections(once)).toEqual(["USED"]);
    const neverOut = poolWithLast(0);
    neverOut.send(publish([{ ...unmarked, index: 0 }], { generation: 1, reset }));
    expect(rejections(neverOut)).toEqual([]);
  }
  const still = poolWithLast(1);
  still.send(publish([unmarked], { generation: 1 }));
  expect(rejections(still)).toEqual([]);
});
