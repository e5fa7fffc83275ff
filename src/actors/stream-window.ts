// What a stream keeps: counts, times and bytes of its kept events in at most a few dozen segments, so
// that retention is decided from a small head (L5). Pure; the store keeps the events themselves.

export interface Retention {
  readonly ms: number;
  readonly events: number;
  readonly bytes: number;
}

/** `[first offset, time of the first event, events, bytes]` */
export type Segment = readonly [number, number, number, number];

export interface StreamWindow {
  /** Offset of the newest event ever appended; 0 before the first. */
  readonly last: number;
  /** Oldest first; whole segments are dropped. */
  readonly segments: readonly Segment[];
}

export const EMPTY_WINDOW: StreamWindow = { last: 0, segments: [] };

/** A segment closes at this fraction of each limit, so trimming overshoots by no more than it. */
const SEGMENTS_PER_LIMIT = 32;

/** Oldest kept offset; `last + 1` when nothing is kept. */
export function firstKept(window: StreamWindow): number {
  return window.segments[0]?.[0] ?? window.last + 1;
}

export function appended(window: StreamWindow, time: number, bytes: number, retention: Retention): StreamWindow {
  const last = window.last + 1;
  const newest = window.segments.at(-1);
  const full =
    newest === undefined ||
    newest[2] >= Math.floor(retention.events / SEGMENTS_PER_LIMIT) ||
    newest[3] >= Math.floor(retention.bytes / SEGMENTS_PER_LIMIT) ||
    time - newest[1] >= retention.ms / SEGMENTS_PER_LIMIT;
  const segments = full
    ? [...window.segments, [last, time, 1, bytes] as const]
    : [...window.segments.slice(0, -1), [newest[0], newest[1], newest[2] + 1, newest[3] + bytes] as const];
  return { last, segments };
}

/** Drops the oldest segments that retention no longer covers, never offsets from `keepFrom` on. */
export function retained(window: StreamWindow, now: number, retention: Retention, keepFrom: number): StreamWindow {
  let events = 0;
  let bytes = 0;
  for (const segment of window.segments) {
    events += segment[2];
    bytes += segment[3];
  }
  const segments = [...window.segments];
  while (segments.length > 0) {
    const [oldest, next] = segments as [Segment, Segment?];
    const end = next?.[0] ?? window.last + 1;
    const endTime = next?.[1] ?? oldest[1];
    const over = events > retention.events || bytes > retention.bytes || endTime <= now - retention.ms;
    if (!over || end > keepFrom) break;
    const excess = endTime <= now - retention.ms ? oldest[2] : excessIn(oldest, events, bytes, retention);
    if (excess < oldest[2]) return dropBefore({ last: window.last, segments }, oldest[0] + excess);
    events -= oldest[2];
    bytes -= oldest[3];
    segments.shift();
  }
  return segments.length === window.segments.length ? window : { last: window.last, segments };
}

/** How much of the oldest segment goes: all of it, unless it is larger than segments are under this retention. */
function excessIn([, , held, size]: Segment, events: number, bytes: number, retention: Retention): number {
  const isSmall =
    held <= Math.ceil(retention.events / SEGMENTS_PER_LIMIT) && size <= Math.ceil(retention.bytes / SEGMENTS_PER_LIMIT);
  if (isSmall) return held;
  const share = Math.ceil((Math.max(bytes - retention.bytes, 0) * held) / Math.max(size, 1));
  return Math.min(held, Math.max(events - retention.events, share));
}

/** Drops everything below `before` (an acknowledgement); the bytes of a cut segment are estimated by share. */
export function dropBefore(window: StreamWindow, before: number): StreamWindow {
  const segments: Segment[] = [];
  window.segments.forEach((segment, n) => {
    const end = window.segments[n + 1]?.[0] ?? window.last + 1;
    if (end <= before) return;
    if (segment[0] >= before) {
      segments.push(segment);
      return;
    }
    const events = end - before;
    segments.push([before, segment[1], events, Math.ceil((segment[3] * events) / Math.max(segment[2], 1))]);
  });
  return { last: window.last, segments };
}
