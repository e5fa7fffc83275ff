// The run queue and the intake of a socket's frames: order is kept, everybody has a turn, and the event loop is held
// for a few milliseconds at a time.
import { expect, it } from "vitest";
import { FrameIntake } from "../../src/frame-intake.ts";
import { RunQueue, type Lane } from "../../src/run-queue.ts";
import { blocking } from "../support/event-loop-block.ts";

const turnMs = 10;

/** Holds the thread for so long. */
function work(ms: number): void {
  const until = performance.now() + ms;
  while (performance.now() < until);
}

function laneOf(pieces: number, does: () => void): Lane {
  let left = pieces;
  return {
    share: 1,
    step: () => {
      does();
      left -= 1;
      return left > 0;
    },
  };
}

it("does at once what little there is", () => {
  const queue = new RunQueue({ turnMs });
  let done = 0;
  queue.add(laneOf(5, () => (done += 1)));
  expect(done).toBe(5);
});

it("gives each lane its turn: a late one with little does not wait for the end of a long one", async () => {
  const queue = new RunQueue({ turnMs: 1_000 });
  const done: string[] = [];
  queue.add(laneOf(1_000, () => done.push("long")));
  queue.add(laneOf(3, () => done.push("short")));
  await expect.poll(() => done.length).toBe(1_003);
  expect(done.lastIndexOf("short")).toBeLessThan(100);
});

it.each(["in the piece", "in what it begins"])(
  "[F19] 400 ms of work, %s, holds the event loop for a few pieces at a time",
  async (where) => {
    const queue = new RunQueue({ turnMs });
    let done = 0;
    const one = (): void => {
      work(1);
      done += 1;
    };
    const begin = where === "in the piece" ? one : () => void Promise.resolve().then(one);
    const { blockCpuMs } = await blocking(async () => {
      for (let n = 0; n < 100; n += 1) queue.add(laneOf(4, begin));
      await expect.poll(() => done).toBe(400);
    });
    // At most a stretch that began within the time, and what it began.
    expect(blockCpuMs).toBeLessThan(100);
  },
);

it("callers go on in the order in which they asked, some in each turn of the event loop", async () => {
  const queue = new RunQueue({ turnMs });
  const went: number[] = [];
  const { blockCpuMs } = await blocking(() =>
    Promise.all(
      Array.from({ length: 300 }, async (_, n) => {
        await queue.turn();
        work(1);
        went.push(n);
      }),
    ),
  );
  expect(went).toEqual(Array.from({ length: 300 }, (_, n) => n));
  expect(blockCpuMs).toBeLessThan(150);
});

interface Reader {
  readonly intake: FrameIntake<number>;
  readonly taken: number[];
  readonly full: boolean[];
  readonly errors: unknown[];
}

/** A message is a byte a frame; 255 is none. */
function reader(queue: RunQueue, taking: (frame: number) => void = () => undefined): Reader {
  const [taken, full, errors]: [number[], boolean[], unknown[]] = [[], [], []];
  const intake = new FrameIntake<number>({
    queue,
    share: 1,
    decode: (message) => {
      if (message.includes(255)) throw new Error("no frame");
      return [...message];
    },
    take: (frame) => {
      taking(frame);
      taken.push(frame);
    },
    failed: (error) => errors.push(error),
    backlog: { bytesMax: 100, changed: (isFull) => full.push(isFull) },
  });
  return { intake, taken, full, errors };
}

const messages = Array.from({ length: 10 }, (_, n) => Uint8Array.from({ length: 20 }, (_, at) => n * 20 + at));
const frames = messages.flatMap((message) => [...message]);

it("takes a socket's frames in their order, and tells when too much waits and when no more", async () => {
  const { intake, taken, full } = reader(new RunQueue({ turnMs }));
  for (const message of messages) intake.add(message);
  let emptied = 0;
  intake.whenEmpty(() => (emptied = taken.length));
  expect(taken.length).toBeLessThan(frames.length);
  expect(full).toEqual([true]);
  await expect.poll(() => emptied).toBe(frames.length);
  expect(taken).toEqual(frames);
  expect(full).toEqual([true, false]);
});

it("takes what came before bytes that are no frame, and nothing behind them", async () => {
  const { intake, taken, errors } = reader(new RunQueue({ turnMs }));
  for (const message of messages.slice(0, 2)) intake.add(message);
  intake.add(Uint8Array.of(255));
  intake.add(Uint8Array.of(1));
  await expect.poll(() => errors.length).toBe(1);
  expect(taken).toEqual(frames.slice(0, 40));
});

it("drops what waits when it is stopped, by a frame too", async () => {
  const stopping = reader(new RunQueue({ turnMs }), (frame) => {
    if (frame === 30) stopping.intake.stop();
  });
  for (const message of messages) stopping.intake.add(message);
  let emptied = false;
  stopping.intake.whenEmpty(() => (emptied = true));
  await expect.poll(() => emptied).toBe(true);
  expect(stopping.taken).toEqual(frames.slice(0, 31));
  expect(stopping.full).toEqual([true, false]);
});
