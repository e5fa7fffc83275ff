// What a stream keeps, against a model that keeps every event one by one (S7).
import fc from "fast-check";
import { expect, it } from "vitest";
import {
  appended,
  dropBefore,
  EMPTY_WINDOW,
  firstKept,
  retained,
  type StreamWindow,
} from "../../src/actors/stream-window.ts";
import { seedOf } from "../support/seed.ts";

interface Kept {
  readonly offset: number;
  readonly time: number;
  readonly bytes: number;
}

const step = fc.record({
  ms: fc.nat(40),
  bytes: fc.nat(30),
  acknowledge: fc.option(fc.nat(100), { freq: 5, nil: undefined }),
});
const limits = fc.record({
  ms: fc.integer({ min: 1, max: 2000 }),
  events: fc.integer({ min: 1, max: 100 }),
  bytes: fc.integer({ min: 1, max: 2000 }),
});

it("[S7] drops from the front only, never what is within every limit, and never more than a share too little", () => {
  const seed = seedOf("stream window");
  const property = fc.property(limits, fc.array(step, { maxLength: 300 }), (retention, steps) => {
    let window: StreamWindow = EMPTY_WINDOW;
    let kept: Kept[] = [];
    let now = 1000;
    for (const { ms, bytes, acknowledge } of steps) {
      now += ms;
      window = appended(window, now, bytes, retention);
      kept.push({ offset: window.last, time: now, bytes });
      window = retained(window, now, retention, window.last);
      expect(window.last).toBe(kept.at(-1)?.offset);
      const first = firstKept(window);
      const dropped = kept.filter(({ offset }) => offset < first);
      kept = kept.filter(({ offset }) => offset >= first);
      for (const event of dropped) expect(isOver(event, [...dropped, ...kept], now, retention)).toBe(true);
      // A segment is a thirty-second of a limit, and one more is always open.
      expect(kept.length).toBeLessThanOrEqual(retention.events + Math.ceil(retention.events / 32) + 1);
      expect(window.segments.length).toBeLessThan(3 * 33 + 3);
      expect(window.segments.reduce((sum, [, , events]) => sum + events, 0)).toBe(kept.length);
      if (acknowledge === undefined) continue;
      const before = Math.min(first + acknowledge, window.last + 1);
      window = dropBefore(window, before);
      kept = kept.filter(({ offset }) => offset >= before);
      expect(firstKept(window)).toBe(before);
    }
  });
  fc.assert(property, { numRuns: Number(process.env["AEGIS_PROPERTY_RUNS"] ?? 200), seed });
});

/** Whether one of the limits is exceeded by this event and those behind it. */
function isOver(
  event: Kept,
  all: readonly Kept[],
  now: number,
  retention: { ms: number; events: number; bytes: number },
): boolean {
  const behind = all.filter(({ offset }) => offset >= event.offset);
  // Bytes of a segment that an acknowledgement cut are estimated by share, rounded up.
  const slack = 30 * behind.length;
  return (
    behind.length > retention.events ||
    behind.reduce((sum, { bytes }) => sum + bytes, 0) + slack > retention.bytes ||
    event.time <= now - retention.ms
  );
}

it("[S7] a limit that is narrowed later takes no more than it would have taken from the beginning", () => {
  const wide = { ms: 1_000_000, events: 100_000, bytes: 1_000_000 };
  const property = fc.property(fc.integer({ min: 1, max: 400 }), limits, (count, narrow) => {
    let window: StreamWindow = EMPTY_WINDOW;
    for (let n = 0; n < count; n += 1) window = appended(window, 1000, 10, wide);
    const retention = { ...narrow, ms: wide.ms };
    window = appended(window, 1000, 10, retention);
    const kept = window.last + 1 - firstKept(retained(window, 1000, retention, window.last));
    // All have one size; the newest stays whatever the limits say.
    const within = Math.max(1, Math.min(count + 1, retention.events, Math.floor(retention.bytes / 10)));
    expect(kept).toBeLessThanOrEqual(within + Math.ceil(within / 32) + 1);
    expect(kept).toBeGreaterThanOrEqual(within - Math.ceil(within / 32) - 1);
  });
  fc.assert(property, { seed: seedOf("narrowed window") });
});

it("an empty window begins where the last event ended", () => {
  expect(firstKept(EMPTY_WINDOW)).toBe(1);
  const one = appended(EMPTY_WINDOW, 1, 1, { ms: 10, events: 10, bytes: 10 });
  expect(firstKept(dropBefore(one, 2))).toBe(2);
});
