import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { ShardTimers } from "../../src/actors/timers.ts";
import type { Timer } from "../../src/store/store.ts";

/** Timers of a shard whose store and actors are this test. */
class World {
  readonly stored = new Map<string, Timer>();
  readonly fired: string[] = [];
  reloads = 0;
  /** Turns that wait for their batch; empty: every turn is durable at once. */
  holding = false;
  readonly #held: ((done: boolean) => void)[] = [];
  readonly timers: ShardTimers;
  readonly #max: number;

  constructor(timersMax: number) {
    this.#max = timersMax;
    this.timers = new ShardTimers({
      clock: { now: () => Date.now() },
      timersMax,
      fire: (timer) => this.#fire(timer),
      reload: () => {
        this.reloads += 1;
        this.timers.loading();
        this.load();
      },
    });
  }

  put(name: string, inMs: number): void {
    const timer = { actor: "a", name, at: Date.now() + inMs };
    this.stored.set(name, timer);
    this.timers.set(timer);
  }

  clear(name: string): void {
    this.stored.delete(name);
    this.timers.clear("a", name);
  }

  load(): void {
    const sorted = [...this.stored.values()].sort((a, b) => a.at - b.at);
    this.timers.load(sorted.slice(0, this.#max));
  }

  async settle(done: boolean): Promise<void> {
    for (const resolve of this.#held.splice(0)) resolve(done);
    await vi.advanceTimersByTimeAsync(0);
  }

  async #fire({ name, at }: Timer): Promise<boolean> {
    this.fired.push(name);
    const done = this.holding ? await new Promise<boolean>((resolve) => this.#held.push(resolve)) : true;
    if (done && this.stored.get(name)?.at === at) this.stored.delete(name);
    return done;
  }
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

it("fires each timer at its time, the soonest first, and none that was cleared or moved", async () => {
  const world = new World(10);
  world.load();
  world.put("late", 300);
  world.put("soon", 100);
  world.put("never", 150);
  world.put("moved", 200);
  world.clear("never");
  world.put("moved", 400);
  await vi.advanceTimersByTimeAsync(99);
  expect(world.fired).toEqual([]);
  await vi.advanceTimersByTimeAsync(1);
  expect(world.fired).toEqual(["soon"]);
  await vi.advanceTimersByTimeAsync(1000);
  expect(world.fired).toEqual(["soon", "late", "moved"]);
  expect(vi.getTimerCount()).toBe(0);
});

it("fires a timer far ahead too: the alarm is set again and again", async () => {
  const world = new World(10);
  world.load();
  world.put("far", 10 * 86_400_000);
  await vi.advanceTimersByTimeAsync(10 * 86_400_000 - 1);
  expect(world.fired).toEqual([]);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(world.fired).toEqual(["far"]);
});

it("[L6] holds the soonest only, and finds the others in the store when their time comes", async () => {
  const world = new World(3);
  for (let n = 0; n < 12; n += 1)
    world.stored.set(`t${String(n)}`, { actor: "a", name: `t${String(n)}`, at: Date.now() + 100 * (n + 1) });
  world.load();
  world.put("t12", 1300);
  await vi.advanceTimersByTimeAsync(2000);
  expect(world.fired).toEqual(Array.from({ length: 13 }, (_, n) => `t${String(n)}`));
  expect(world.stored.size).toBe(0);
});

it("does not fire again what is on its way, however often the store is read", async () => {
  const world = new World(2);
  world.holding = true;
  for (const name of ["a", "b", "c"]) world.stored.set(name, { actor: "a", name, at: Date.now() + 10 });
  world.load();
  await vi.advanceTimersByTimeAsync(5000);
  expect(world.fired).toEqual(["a", "b"]);
  expect(world.reloads).toBe(0);
  await world.settle(true);
  await vi.advanceTimersByTimeAsync(10);
  expect(world.fired).toEqual(["a", "b", "c"]);
});

it("tries again, after a pause, what its actor could not take, and not when it was moved meanwhile", async () => {
  const world = new World(10);
  world.load();
  world.holding = true;
  world.put("busy", 10);
  world.put("moved", 10);
  await vi.advanceTimersByTimeAsync(10);
  world.put("moved", 60_000);
  await world.settle(false);
  await vi.advanceTimersByTimeAsync(999);
  expect(world.fired).toEqual(["busy", "moved"]);
  await vi.advanceTimersByTimeAsync(1);
  expect(world.fired).toEqual(["busy", "moved", "busy"]);
  await world.settle(true);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(world.fired).toEqual(["busy", "moved", "busy", "moved"]);
});

it("[L6] actors that take no timer cost a look into the store a second, not a loop", async () => {
  const world = new World(2);
  for (const name of ["a", "b", "c"]) world.stored.set(name, { actor: "a", name, at: Date.now() + 10 });
  world.load();
  world.holding = true;
  for (let second = 0; second < 10; second += 1) {
    await vi.advanceTimersByTimeAsync(1000);
    await world.settle(false);
  }
  expect(world.reloads).toBeLessThan(15);
  expect(world.fired.length).toBeLessThan(30);
});

it("keeps what changes while the store is read: what is read may be older", async () => {
  const world = new World(10);
  world.put("gone", 50);
  world.timers.loading();
  const read = [...world.stored.values()];
  world.clear("gone");
  world.put("fresh", 60);
  world.timers.load(read);
  await vi.advanceTimersByTimeAsync(1000);
  expect(world.fired).toEqual(["fresh"]);
});

it("a stopped shard fires nothing, and what was on its way does not come back", async () => {
  const world = new World(10);
  world.load();
  world.holding = true;
  world.put("flying", 10);
  world.put("waiting", 500);
  await vi.advanceTimersByTimeAsync(10);
  world.timers.stop();
  await world.settle(false);
  await vi.advanceTimersByTimeAsync(10_000);
  expect(world.fired).toEqual(["flying"]);
  expect(vi.getTimerCount()).toBe(0);
});
