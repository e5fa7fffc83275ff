import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { Outbox } from "../../src/actors/outbox.ts";
import type { OutboxMessage } from "../../src/actors/turn.ts";
import { randomFrom } from "../support/seed.ts";

/** The store and the receivers of one shard's outbox. */
class World {
  stored: OutboxMessage[] = [];
  readonly delivered: string[] = [];
  readonly tried: string[] = [];
  /** Receivers that take nothing. */
  readonly away = new Set<string>();
  reloads = 0;
  /** From the reading of the store to its answer. */
  readMs = 0;
  deliverMs = 0;
  readonly outbox: Outbox;
  #number = 0;

  constructor(messagesMax = 100) {
    this.outbox = new Outbox({
      messagesMax,
      retryMinMs: 50,
      retryMaxMs: 5_000,
      deliver: (message) => this.#deliver(message),
      delivered: ({ id }) => {
        this.stored = this.stored.filter((each) => each.id !== id);
      },
      reload: () => {
        this.reloads += 1;
        this.#reloaded(messagesMax);
      },
    });
  }

  load(limit = 100): void {
    this.#loaded(this.#read(limit), limit);
  }

  /** In order of id, as the store has them. */
  #read(limit: number): OutboxMessage[] {
    return [...this.stored].sort((a, b) => (a.id < b.id ? -1 : 1)).slice(0, limit);
  }

  #loaded(read: readonly OutboxMessage[], limit: number): void {
    this.outbox.loaded(read, read.length === limit);
  }

  #reloaded(limit: number): void {
    if (this.readMs === 0) queueMicrotask(() => this.load(limit));
    else {
      const read = this.#read(limit);
      setTimeout(() => this.#loaded(read, limit), this.readMs);
    }
  }

  owe(sender: string, receiver: string): string {
    this.#number += 1;
    const id = `${sender}/${String(this.#number).padStart(16, "0")}`;
    const to = { applicationId: "a", kind: "handle" as const, id: receiver };
    const duty = { kind: "tell" as const, to, command: { type: "x" } };
    const message = { id, sender, lineage: "l", number: this.#number, duty };
    this.stored.push(message);
    this.outbox.add([message]);
    return id;
  }

  async #deliver({ id, duty }: OutboxMessage): Promise<void> {
    this.tried.push(id);
    await (this.deliverMs === 0 ? undefined : new Promise((resolve) => setTimeout(resolve, this.deliverMs)));
    if (duty.kind === "tell" && this.away.has(duty.to.id)) throw new Error("away");
    this.delivered.push(id);
  }
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const rest = (ms = 0) => vi.advanceTimersByTimeAsync(ms);

it("[G8] delivers nothing before it knows what the store has, and then that first", async () => {
  const world = new World();
  const before = world.owe("s", "r");
  world.stored = world.stored.filter(({ id }) => id !== before);
  world.stored.push({
    id: "s/0",
    sender: "s",
    lineage: "l",
    number: 0,
    duty: { kind: "purgeApplication", applicationId: "a" },
  });
  await rest();
  expect(world.tried).toEqual([]);
  world.load();
  await rest();
  expect(world.delivered).toEqual(["s/0", before]);
});

it("[G8] keeps the order of one sender to one receiver, and lets nobody else wait", async () => {
  const world = new World();
  world.load();
  world.away.add("r");
  const first = world.owe("s", "r");
  const second = world.owe("s", "r");
  const other = world.owe("s", "q");
  const stranger = world.owe("t", "r2");
  await rest(1_000);
  expect(world.delivered).toEqual([other, stranger]);
  expect(world.tried).not.toContain(second);
  world.away.clear();
  await rest(10_000);
  expect(world.delivered.slice(2)).toEqual([first, second]);
});

it("tries again after pauses that grow to their limit", async () => {
  const world = new World();
  world.load();
  world.away.add("r");
  world.owe("s", "r");
  await rest(2_000);
  const early = world.tried.length;
  expect(early).toBeGreaterThan(4);
  expect(early).toBeLessThan(12);
  await rest(60_000);
  expect(world.tried.length - early).toBeLessThan(26);
});

it("`settled` is true when all of that sender has arrived, false when the outbox was stopped before", async () => {
  const world = new World();
  world.load();
  world.away.add("r");
  world.owe("s", "r");
  world.owe("t", "q");
  expect(await world.outbox.settled("t")).toBe(true);
  expect(await world.outbox.settled("nobody")).toBe(true);
  const settled = world.outbox.settled("s");
  world.outbox.stop();
  expect(await settled).toBe(false);
  expect(await world.outbox.settled("s")).toBe(false);
  const tried = world.tried.length;
  await rest(60_000);
  expect(world.tried.length).toBe(tried);
});

it("[L6] beyond its limit it leaves messages in the store, in order, and fetches them when it has room", async () => {
  const world = new World(3);
  world.load(3);
  world.away.add("r");
  const ids = Array.from({ length: 10 }, () => world.owe("s", "r"));
  const settled = Array.from({ length: 50 }, () => world.outbox.settled("s"));
  await rest(500);
  // Only the message on its way has a timer: waiting costs nothing.
  expect(vi.getTimerCount()).toBe(1);
  world.away.clear();
  await rest(10_000);
  expect(world.delivered).toEqual(ids);
  expect(world.reloads).toBeGreaterThan(0);
  expect(await Promise.all(settled)).toEqual(settled.map(() => true));
});

it("[L6] messages that came while it read more than it holds are not lost", async () => {
  const world = new World(2);
  const ids = Array.from({ length: 7 }, () => world.owe("s", "r"));
  world.load(2);
  await rest(10_000);
  expect(world.delivered).toEqual(ids);
});

it("[G8] [L6] beyond its limit a receiver that takes nothing keeps no other receiver's messages in the store", async () => {
  const world = new World(8);
  world.load(8);
  world.away.add("away");
  const first = world.owe("s", "away");
  const later = Array.from({ length: 40 }, (_, n) => world.owe(n % 2 === 0 ? "s" : "t", `r${String(n % 5)}`));
  const second = world.owe("s", "away");
  await rest(20_000);
  expect([...world.delivered].sort()).toEqual([...later].sort());
  expect(world.tried).not.toContain(second);
  world.away.clear();
  await rest(20_000);
  expect(world.delivered.slice(later.length)).toEqual([first, second]);
});

it("[G8] the order of each sender to each receiver holds however reads of the store and new messages meet", async () => {
  for (let seed = 1; seed <= 40; seed += 1) {
    const random = randomFrom(seed);
    const world = new World(8);
    world.load(8);
    world.away.add("r0");
    const owed: { id: string; lane: string }[] = [];
    for (let n = 0; n < 120; n += 1) {
      const [sender, receiver] = [`s${String(Math.floor(random() * 2))}`, `r${String(Math.floor(random() * 6))}`];
      owed.push({ id: world.owe(sender, receiver), lane: `${sender} ${receiver}` });
      [world.readMs, world.deliverMs] = [Math.floor(random() * 40), Math.floor(random() * 20)];
      if (random() < 0.4) await rest(Math.floor(random() * 30));
      if (n === 100) world.away.clear();
    }
    await rest(60_000);
    for (const lane of new Set(owed.map((each) => each.lane))) {
      const ids = owed.filter((each) => each.lane === lane).map(({ id }) => id);
      const first = new Set<string>();
      const arrived = world.delivered.filter((id) => ids.includes(id) && !first.has(id) && first.add(id));
      expect(arrived, `seed ${String(seed)}, ${lane}`).toEqual(ids);
    }
  }
});
