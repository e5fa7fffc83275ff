// The router on actors that are elsewhere for a while: what waits keeps its order, and nothing waits for ever.
import { expect, it } from "vitest";
import type { Call, Outcome } from "../../src/actors/actor-port.ts";
import { Router } from "../../src/cluster/router.ts";
import { refuse } from "../../src/protocol/errors.ts";
import { RunQueue } from "../../src/run-queue.ts";

interface World {
  readonly router: Router;
  readonly taken: number[];
  owned: boolean;
}

function open(movingCallsMax = 100): World {
  const taken: number[] = [];
  const world: { owned: boolean; taken: number[]; router?: Router } = { owned: false, taken };
  world.router = new Router({
    store: { shardCount: 1, readOwner: () => Promise.resolve(undefined) },
    local: {
      call: ({ command }) => {
        if (!world.owned) return Promise.resolve<Outcome>({ kind: "refused", refusal: refuse("NOT_OWNER") });
        taken.push((command as unknown as { n: number }).n);
        const settled = Promise.resolve(true);
        return Promise.resolve({ kind: "applied", value: {}, taken: [], lineage: "", repeated: false, settled });
      },
    },
    limits: { movingCallsMax },
    runQueue: new RunQueue({ turnMs: 10 }),
    fenceOf: () => undefined,
    nodeId: () => "here",
    isMember: () => true,
    placedOn: () => "here",
    request: () => Promise.reject(new Error("nobody is elsewhere")),
    forwarded: () => undefined,
    marked: () => undefined,
  });
  return world as World;
}

function call(n: number, withinMs = 5_000): Call {
  const to = { applicationId: "a", kind: "group" as const, id: "1" };
  return { to, command: { type: "do", n } as Call["command"], deadline: performance.now() + withinMs };
}

it("calls that wait for a shard on its way go in the order in which they came", async () => {
  const world = open();
  const calls = Array.from({ length: 30 }, (_, n) => world.router.call(call(n)));
  await new Promise((resolve) => setTimeout(resolve, 30));
  calls.push(...Array.from({ length: 10 }, (_, n) => world.router.call(call(30 + n))));
  world.owned = true;
  expect((await Promise.all(calls)).every(({ kind }) => kind === "applied")).toBe(true);
  expect(world.taken).toEqual(Array.from({ length: 40 }, (_, n) => n));
});

it("[G6] a call that waits is refused as not applied before its deadline, and those behind it go on", async () => {
  const world = open();
  const short = world.router.call(call(0, 60));
  const long = world.router.call(call(1));
  expect(await short).toMatchObject({ kind: "refused", refusal: { reason: "NOT_OWNER", retryable: true } });
  world.owned = true;
  expect((await long).kind).toBe("applied");
  expect(world.taken).toEqual([1]);
});

it("a call that was cancelled while it waited goes nowhere, and those behind it go on", async () => {
  const world = open();
  const cancellation = { cancelled: false };
  const [first, second] = [world.router.call({ ...call(0), cancellation }), world.router.call(call(1))];
  await new Promise((resolve) => setTimeout(resolve, 5));
  cancellation.cancelled = true;
  expect(await first).toMatchObject({ kind: "refused", refusal: { reason: "CANCELLED", retryable: false } });
  world.owned = true;
  expect((await second).kind).toBe("applied");
  expect(world.taken).toEqual([1]);
});

it("no more calls wait than the limit says", async () => {
  const world = open(2);
  const waiting = [world.router.call(call(0)), world.router.call(call(1))];
  await new Promise((resolve) => setTimeout(resolve, 5));
  expect((await world.router.call(call(2))).kind).toBe("refused");
  world.owned = true;
  expect((await Promise.all(waiting)).map(({ kind }) => kind)).toEqual(["applied", "applied"]);
});
