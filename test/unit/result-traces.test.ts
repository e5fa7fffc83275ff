import { expect, it } from "vitest";
import { ResultTraces } from "../../src/actors/result-traces.ts";

const KEPT_MS = 1000;

function traces(): { readonly traces: ResultTraces; at(nowMs: number): ResultTraces } {
  let now = 0;
  const made = new ResultTraces(KEPT_MS, () => now);
  return {
    traces: made,
    at(nowMs) {
      now = nowMs;
      return made;
    },
  };
}

it("[E4] a trace is found for as long as it must be kept, whenever it was left", () => {
  for (let leftMs = 0; leftMs <= 2 * KEPT_MS; leftMs += 50) {
    const { at } = traces();
    at(leftMs).leave("app/identity/1", "r/key");
    for (let ageMs = 0; ageMs <= KEPT_MS; ageMs += 50) {
      expect(at(leftMs + ageMs).has("app/identity/1", "r/key"), `left at ${String(leftMs)}, age ${String(ageMs)}`).toBe(
        true,
      );
    }
    expect(at(leftMs + 3 * KEPT_MS).has("app/identity/1", "r/key")).toBe(false);
  }
});

it("[E4] what left none is hardly ever taken for what did, by actor and by key", () => {
  const { at } = traces();
  const count = 20_000;
  for (let n = 0; n < count; n += 1) at(0).leave(`app/identity/${String(n % 100)}`, `r/${String(n)}`);
  let mistaken = 0;
  for (let n = 0; n < count; n += 1) {
    if (at(0).has(`app/identity/${String(n % 100)}`, `r/other-${String(n)}`)) mistaken += 1;
    if (at(0).has(`app/identity/other-${String(n % 100)}`, `r/${String(n)}`)) mistaken += 1;
  }
  // 20,000 of 67 million bits: 12 are to be expected of 40,000.
  expect(mistaken).toBeLessThan(60);
  for (let n = 0; n < count; n += 1) {
    expect(at(0).has(`app/identity/${String(n % 100)}`, `r/${String(n)}`)).toBe(true);
  }
});
