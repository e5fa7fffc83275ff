import { afterEach, beforeEach, expect, it } from "vitest";
import { SingleNode } from "../../src/cluster/single-node.ts";
import { StoreRefused, StoreUnavailable, type NodeRecord } from "../../src/store/store.ts";
import { ActorWorld, until } from "../support/actor-world.ts";

let world: ActorWorld;
beforeEach(async () => {
  world = await ActorWorld.open(1);
});
afterEach(async () => {
  await Promise.all(started.splice(0).map((node) => node.stop()));
  await world.close();
});

const started: SingleNode[] = [];

function node(nodeId: string, more: Partial<ConstructorParameters<typeof SingleNode>[0]> = {}): SingleNode {
  const one = new SingleNode({
    store: world.store,
    nodeId,
    address: `${nodeId}:1`,
    heartbeatMs: 5,
    silenceMs: 80,
    onBeatFailed: () => undefined,
    ...more,
  });
  started.push(one);
  return one;
}

const counterOf = async (nodeId: string): Promise<number | undefined> =>
  (await world.store.readNodes()).find((each) => each.nodeId === nodeId)?.counter;

it("beats, so that others can see it, and is gone when it stops", async () => {
  const one = node("a");
  await one.start();
  const first = (await counterOf("a")) ?? 0;
  await until(async () => ((await counterOf("a")) ?? 0) > first + 2, "beats");
  await one.stop();
  expect(await world.store.readNodes()).toEqual([]);
});

it("[F18] refuses to start beside a node whose counter moves", async () => {
  await node("a").start();
  await expect(node("b").start()).rejects.toThrow(StoreRefused);
  expect((await world.store.readNodes()).map(({ nodeId }) => nodeId)).toEqual(["a"]);
});

it("[F18] refuses to start beside a node that comes while it looks", async () => {
  await world.store.heartbeat({ nodeId: "dead", address: "d:1", counter: 4 });
  const late = node("b").start();
  await new Promise((resolve) => setTimeout(resolve, 10));
  await world.store.heartbeat({ nodeId: "a", address: "a:1", counter: 1 });
  await expect(late).rejects.toThrow(/node a at a:1/);
});

it("takes the place of a node whose counter stands still, its own former self included", async () => {
  await world.store.heartbeat({ nodeId: "dead", address: "d:1", counter: 4 });
  await world.store.heartbeat({ nodeId: "b", address: "b:1", counter: 9 });
  await node("b").start();
  expect((await world.store.readNodes()).map(({ nodeId }) => nodeId)).toEqual(["b"]);
});

it("[F18] of two that start at the same instant at most one serves", async () => {
  for (let round = 0; round < 5; round += 1) {
    // Both look before either has written.
    let looked = 0;
    const store = {
      heartbeat: (record: NodeRecord) => world.store.heartbeat(record),
      removeNode: (nodeId: string) => world.store.removeNode(nodeId),
      readNodes: async () => {
        const nodes = await world.store.readNodes();
        looked += 1;
        await until(() => looked >= 2, "the other's look");
        return nodes;
      },
    };
    const both = [node(`a${String(round)}`, { store }), node(`b${String(round)}`, { store })];
    const outcomes = await Promise.allSettled(both.map((one) => one.start()));
    expect(outcomes.filter(({ status }) => status === "fulfilled").length).toBeLessThan(2);
    await Promise.all(both.map((one) => one.stop()));
  }
});

it("a beat that fails is told, and the next one comes all the same", async () => {
  let failing = false;
  const told: unknown[] = [];
  const store = {
    readNodes: () => world.store.readNodes(),
    removeNode: (nodeId: string) => world.store.removeNode(nodeId),
    heartbeat: (record: NodeRecord) =>
      failing ? Promise.reject(new StoreUnavailable("away")) : world.store.heartbeat(record),
  };
  await node("a", { store, onBeatFailed: (error) => told.push(error) }).start();
  failing = true;
  await until(() => told.length > 2, "failures");
  failing = false;
  const before = (await counterOf("a")) ?? 0;
  await until(async () => ((await counterOf("a")) ?? 0) > before, "another beat");
});
