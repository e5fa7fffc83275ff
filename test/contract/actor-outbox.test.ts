// What actors owe each other and what they owe the clock: delivered until it is durable, applied once, in
// order, over restarts, lost shards and full memories (G8).
import { afterEach, beforeEach, expect, it } from "vitest";
import { actorKey } from "../../src/actors/actor-address.ts";
import type { ActorAddress } from "../../src/actors/actor-port.ts";
import type { HostLimits } from "../../src/actors/host-options.ts";
import type { Operation } from "../../src/store/store.ts";
import { ActorWorld, address, applied, breathe, call, reasonOf, until, type Node } from "../support/actor-world.ts";
import { probeCatalogue } from "../support/probe-machine.ts";

let world: ActorWorld;
beforeEach(async () => {
  world = await ActorWorld.open();
});
afterEach(async () => {
  await world.close();
});

const node = (limits: Partial<HostLimits> = {}): Promise<Node> => world.node({ catalogue: probeCatalogue, limits });
const owe = (note: number, ...to: ActorAddress[]) => ({ type: "owe", note, to });
const upTo = (count: number): number[] => Array.from({ length: count }, (_, n) => n);
const puts = (operations: readonly Operation[], op: Operation["op"]): boolean =>
  operations.some((each) => each.op === op);

async function notesOf(probe: ActorAddress): Promise<readonly unknown[]> {
  return ((await world.state(probe))?.context["notes"] as unknown[] | undefined) ?? [];
}

/** Two probes in different shards. */
function apart(): [ActorAddress, ActorAddress] {
  const sender = address("registry");
  for (;;) {
    const receiver = address("registry");
    if (world.shardOf(receiver) !== world.shardOf(sender)) return [sender, receiver];
  }
}

/** Another probe in the same shard. */
function neighbourOf(probe: ActorAddress): ActorAddress {
  for (;;) {
    const other = address("registry");
    if (world.shardOf(other) === world.shardOf(probe)) return other;
  }
}

async function storedOutbox(probe: ActorAddress): Promise<number> {
  const owner = await world.store.readOwner(world.shardOf(probe));
  return owner === undefined ? 0 : (await world.store.readOutbox(world.shardOf(probe), owner.fence, "", 10_000)).length;
}

async function storedTimers(probe: ActorAddress): Promise<number> {
  const owner = await world.store.readOwner(world.shardOf(probe));
  return owner === undefined ? 0 : (await world.store.readTimers(world.shardOf(probe), owner.fence, 10_000)).length;
}

it("[G8] what a turn owes has arrived when `settled` says so, and its entry leaves the store", async () => {
  const { host } = await node();
  const [sender, receiver] = apart();
  const outcome = applied(await call(host, sender, owe(7, receiver)));
  await outcome.settled;
  expect(await notesOf(receiver)).toEqual([7]);
  await until(async () => (await storedOutbox(sender)) === 0, "an empty outbox");
});

it("[G8] messages of one sender to one receiver arrive in order, each once, while shards are lost and calls fail", async () => {
  const running = await node();
  const [sender, receiver] = apart();
  let calls = 0;
  running.store.fault = (what, shard) => {
    if (what !== "commit" || shard !== world.shardOf(receiver)) return undefined;
    calls += 1;
    return ([undefined, "before", "after", "fenced", 3] as const)[calls % 5];
  };
  for (const note of upTo(40)) applied(await call(running.host, sender, owe(note, receiver), { key: String(note) }));
  await until(async () => (await notesOf(receiver)).length >= 40, "all notes");
  await until(async () => (await storedOutbox(sender)) === 0, "an empty outbox");
  expect(await notesOf(receiver)).toEqual(upTo(40));
});

it("[G8] a message survives kill -9 before it was delivered", async () => {
  const first = await node();
  const [sender, receiver] = apart();
  first.store.fault = (what, shard) => (what === "commit" && shard === world.shardOf(receiver) ? "before" : undefined);
  applied(await call(first.host, sender, owe(1, receiver)));
  expect(await storedOutbox(sender)).toBe(1);
  world.kill(first);
  await node();
  await until(async () => (await notesOf(receiver)).length > 0, "the note");
  await until(async () => (await storedOutbox(sender)) === 0, "an empty outbox");
  expect(await notesOf(receiver)).toEqual([1]);
});

it("[G8] [F24] kill -9 between the receiver's write and the sender's delete applies the message once", async () => {
  const first = await node();
  const [sender, receiver] = apart();
  first.store.fault = (what, _shard, operations) =>
    what === "commit" && puts(operations, "deleteOutbox") ? "before" : undefined;
  applied(await call(first.host, sender, owe(1, receiver)));
  await until(async () => (await notesOf(receiver)).length > 0, "the note");
  expect(await storedOutbox(sender)).toBe(1);
  world.kill(first);
  const second = await node();
  await until(async () => (await storedOutbox(sender)) === 0, "an empty outbox");
  applied(await call(second.host, sender, owe(2, receiver)));
  await until(async () => (await notesOf(receiver)).length > 1, "the second note");
  expect(await notesOf(receiver)).toEqual([1, 2]);
});

it("[G8] a dropped speculative turn's outbox number is used again without harm", async () => {
  const running = await node();
  const [sender, receiver] = apart();
  applied(await call(running.host, sender, owe(1, receiver)));
  await until(async () => (await storedOutbox(sender)) === 0);
  running.store.hold();
  running.store.fault = (what, _shard, operations) =>
    what === "commit" && puts(operations, "putOutbox") ? "before" : undefined;
  const lost = [2, 3].map((note) => call(running.host, sender, owe(note, receiver)));
  await until(() => running.store.held > 0);
  running.store.release();
  expect((await Promise.all(lost)).map(reasonOf)).toEqual(["NOT_OWNER", "NOT_OWNER"]);
  running.store.fault = () => undefined;
  await until(async () => reasonOf(await call(running.host, sender, owe(4, receiver), { key: "k" })) === "applied");
  await until(async () => (await notesOf(receiver)).length > 1);
  expect(await notesOf(receiver)).toEqual([1, 4]);
});

it("[G8] `settled` of a reply outlives the loss of the sender's shard", async () => {
  const running = await node();
  const [sender, receiver] = apart();
  let away = true;
  running.store.fault = (what, shard) =>
    what === "commit" && away && shard === world.shardOf(receiver) ? "before" : undefined;
  const { settled } = applied(await call(running.host, sender, owe(1, receiver)));
  let arrived = false;
  void settled.then(() => (arrived = true));
  running.store.fault = (what, shard) => {
    if (what === "check" && shard === world.shardOf(sender)) return "fenced";
    return what === "commit" && away && shard === world.shardOf(receiver) ? "before" : undefined;
  };
  expect(reasonOf(await call(running.host, sender, { type: "no" }))).toBe("NOT_OWNER");
  expect(arrived).toBe(false);
  away = false;
  running.store.fault = () => undefined;
  await until(() => arrived, "settled");
  expect(await notesOf(receiver)).toEqual([1]);
});

it("[L6] more messages than memory holds wait in the store, in order, and arrive once", async () => {
  const running = await node({ outboxMessagesMax: 4 });
  const [sender, receiver] = apart();
  const third = address("registry");
  for (const note of upTo(30)) applied(await call(running.host, sender, owe(note, receiver, third)));
  await until(async () => (await storedOutbox(sender)) === 0, "an empty outbox");
  expect(await notesOf(receiver)).toEqual(upTo(30));
  expect(await notesOf(third)).toEqual(upTo(30));
});

it("[L6] a backlog larger than memory and than a batch is delivered after a restart", async () => {
  const first = await node();
  const [sender, receiver] = apart();
  first.store.fault = (what, shard) => (what === "commit" && shard === world.shardOf(receiver) ? "before" : undefined);
  for (const note of upTo(60)) applied(await call(first.host, sender, owe(note, receiver)));
  world.kill(first);
  const second = await node({ outboxMessagesMax: 7, batchOperationsMax: 5 });
  await until(async () => (await storedOutbox(sender)) === 0, "an empty outbox");
  expect(await notesOf(receiver)).toEqual(upTo(60));
  expect(Math.max(...second.store.commits.map(({ operations }) => operations.length))).toBeLessThan(20);
  // Each message is delivered once or twice, not again and again.
  const marks = second.store.commits.flatMap(({ operations }) => operations).filter(({ op }) => op === "deleteOutbox");
  expect(marks.length).toBeLessThan(2 * 60);
});

it("[G6] a message whose batch no store takes does not keep its shard from serving others", async () => {
  const running = await node();
  const sender = address("registry");
  const [receiver, neighbour] = [neighbourOf(sender), neighbourOf(sender)];
  running.store.fault = (what, _shard, operations) => {
    const toReceiver = operations.some((each) => each.op === "putMark" && each.actor === actorKey(receiver));
    return what === "commit" && toReceiver ? "fenced" : undefined;
  };
  applied(await call(running.host, sender, owe(1, receiver)));
  const began = performance.now();
  for (let served = 0; served < 20;) {
    if (reasonOf(await call(running.host, neighbour, { type: "note", note: served })) === "applied") served += 1;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  expect(performance.now() - began).toBeLessThan(5_000);
  expect(running.events.filter((event) => event.startsWith("lost")).length).toBeLessThan(20);
  running.store.fault = () => undefined;
  await until(async () => (await notesOf(receiver)).length > 0, "the note", 12_000);
});

it("[L7] a timer fires when it is due, once, and leaves the store with its turn", async () => {
  const { host } = await node();
  const probe = address("registry");
  applied(await call(host, probe, { type: "arm", name: "t", at: world.clock.now() + 30 }));
  expect(await storedTimers(probe)).toBe(1);
  await until(async () => (await notesOf(probe)).length > 0, "the timer");
  expect(await storedTimers(probe)).toBe(0);
  await breathe(50);
  expect(await notesOf(probe)).toEqual(["t"]);
});

it("[L7] timers survive a restart, the cleared ones do not", async () => {
  const first = await node();
  const probe = address("registry");
  for (const name of ["a", "b", "c"]) {
    applied(await call(first.host, probe, { type: "arm", name, at: world.clock.now() + 3_600_000 }));
  }
  applied(await call(first.host, probe, { type: "disarm", name: "b" }));
  world.kill(first);
  const second = await node();
  await breathe(50);
  expect(await notesOf(probe)).toEqual([]);
  world.kill(second);
  world.jump(3_600_001);
  await node();
  await until(async () => (await storedTimers(probe)) === 0, "the timers");
  expect([...(await notesOf(probe))].sort()).toEqual(["a", "c"]);
});

for (const fault of ["before", "after", "fenced"] as const) {
  it(`[L7] a timer whose turn met a fault (${fault}) is applied exactly once`, async () => {
    const running = await node();
    const probe = address("registry");
    applied(await call(running.host, probe, { type: "arm", name: "t", at: world.clock.now() + 20 }));
    let faults = 0;
    running.store.fault = (what, _shard, operations) =>
      what === "commit" && puts(operations, "deleteTimer") && (faults += 1) <= 2 ? fault : undefined;
    await until(async () => (await storedTimers(probe)) === 0 && (await notesOf(probe)).length > 0, "the timer");
    await breathe(50);
    expect(await notesOf(probe)).toEqual(["t"]);
  });
}

it("[L6] more timers than memory holds all fire, each once", async () => {
  const { host } = await node({ timersMax: 3 });
  const probe = address("registry");
  const at = world.clock.now();
  for (const n of upTo(20))
    applied(await call(host, probe, { type: "arm", name: `t${String(n)}`, at: at + 60 + (n % 5) }));
  await until(async () => (await storedTimers(probe)) === 0, "all timers");
  expect([...(await notesOf(probe))].sort()).toEqual(
    upTo(20)
      .map((n) => `t${String(n)}`)
      .sort(),
  );
});

it("[G3] stop writes what is pending before it lets go", async () => {
  const { host } = await node();
  const probe = address("registry");
  const calls = upTo(20).map((note) => call(host, probe, { type: "note", note }));
  await breathe(1);
  await host.stop();
  const done = (await Promise.all(calls)).filter(({ kind }) => kind === "applied").length;
  expect((await notesOf(probe)).length).toBe(done);
});

it("[G6] stop does not wait for a store that is away, and every call is answered", async () => {
  const running = await node();
  const probe = address("registry");
  running.store.fault = () => "before";
  const calls = upTo(20).map((note) => call(running.host, probe, { type: "note", note }, { withinMs: 60_000 }));
  await breathe(3);
  const began = performance.now();
  await running.host.stop();
  const reasons = (await Promise.all(calls)).map(reasonOf);
  expect(performance.now() - began).toBeLessThan(2_000);
  expect(reasons.every((reason) => reason === "NOT_OWNER" || reason === "OUTCOME_UNKNOWN")).toBe(true);
  expect(actorKey(probe)).toContain("registry");
});
