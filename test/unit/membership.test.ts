// Membership against a store in which others strike this node from the record: it comes back, but not at once each time.
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { Membership } from "../../src/cluster/membership.ts";
import type { NodeRecord } from "../../src/store/store.ts";

const timings = { nodeHeartbeatMs: 1_000, selfFenceMs: 4_000, expelMs: 5_000, refusedExpelMs: 1_500 };

let records: Map<string, NodeRecord>;
let returned: number[];
let unreached: string[];
let membership: Membership;

beforeEach(async () => {
  vi.useFakeTimers();
  records = new Map();
  returned = [];
  unreached = [];
  membership = new Membership({
    store: {
      heartbeat: (node) => {
        if (node.counter === 1 || records.has(node.nodeId)) records.set(node.nodeId, node);
        return Promise.resolve([...records.values()]);
      },
      readNodes: () => Promise.resolve([...records.values()]),
      removeNode: (nodeId) => Promise.resolve(void records.delete(nodeId)),
    },
    nodeId: "first",
    address: () => "127.0.0.1:1",
    timings,
    alone: false,
    events: {
      memberJoined: () => undefined,
      memberGone: () => undefined,
      memberReached: () => undefined,
      memberUnreached: ({ nodeId }) => unreached.push(nodeId),
      heartbeatFailed: () => undefined,
      rejoined: () => returned.push(performance.now()),
    },
    changed: () => undefined,
    distrusted: () => undefined,
  });
  await membership.start();
});

afterEach(async () => {
  await membership.stop();
  vi.useRealTimers();
});

/** Strikes the node out and waits until it is back. @returns how long that took, in milliseconds */
async function expelled(): Promise<number> {
  const times = returned.length;
  records.clear();
  const since = performance.now();
  while (returned.length === times) await vi.advanceTimersByTimeAsync(100);
  expect(membership.trusted).toBe(true);
  expect([...records.keys()]).toEqual([membership.nodeId]);
  return performance.now() - since;
}

it("[F05] an expelled node comes back as somebody new, later each time that it is expelled again at once", async () => {
  const took: number[] = [];
  for (let time = 0; time < 6; time += 1) took.push(await expelled());
  expect(membership.nodeId).not.toBe("first");
  expect(took[0]).toBeLessThanOrEqual(1_100);
  expect(took[5]).toBeGreaterThanOrEqual(5_000);
  for (let time = 1; time < took.length; time += 1) expect(took[time]).toBeGreaterThanOrEqual(took[time - 1] as number);
  expect(Math.max(...took)).toBeLessThanOrEqual(7_100);
});

it("[F05] after a calm time it comes back at once again", async () => {
  for (let time = 0; time < 4; time += 1) await expelled();
  await vi.advanceTimersByTimeAsync(11_000);
  expect(await expelled()).toBeLessThanOrEqual(1_100);
});

it("[F23] what is too new for this node it says at once and in each beat, after an expulsion too", async () => {
  const said = (): unknown => records.get(membership.nodeId)?.tooNew;
  expect(said()).toBeUndefined();
  expect(await membership.tooNew(7)).toBe(true);
  expect(said()).toEqual([7]);
  expect(await membership.tooNew(7)).toBe(false);
  await membership.tooNew(9);
  await expelled();
  expect(said()).toEqual([7, 9]);
  expect(membership.takers).toMatchObject([{ nodeId: membership.nodeId, tooNew: [7, 9] }]);
});

it("a node that leaves and closes its links is not told as one that can't be reached", async () => {
  const other = { address: "127.0.0.1:2", counter: 1, unreachable: [] };
  for (const leaving of [false, true]) records.set(String(leaving), { ...other, nodeId: String(leaving), leaving });
  await membership.look();
  for (const nodeId of ["false", "true"]) membership.unreached(nodeId, "connection refused");
  expect(unreached).toEqual(["false"]);
  // The beat on its way began before it was said of both.
  await membership.look();
  await membership.look();
  expect(records.get(membership.nodeId)?.unreachable).toEqual(["false", "true"]);
});
