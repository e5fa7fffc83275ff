import { expect, it } from "vitest";
import { toExpel, type SeenMember } from "../../src/cluster/expulsion.ts";

const timings = { expelMs: 5000, refusedExpelMs: 1500 };

function member(nodeId: string, more: Partial<SeenMember> = {}): SeenMember {
  return { nodeId, unreachable: [], silentMs: 0, ...more };
}

function judge(self: string, ...members: SeenMember[]): string[] {
  return toExpel({ self, members }, timings);
}

it("expels nobody who beats and is reached", () => {
  expect(judge("a", member("a"), member("b"), member("c"))).toEqual([]);
});

it("expels whose heartbeat stands still for 5 s, and never itself", () => {
  expect(judge("a", member("a", { silentMs: 9000 }), member("b", { silentMs: 4999 }))).toEqual([]);
  expect(judge("a", member("a"), member("b", { silentMs: 5000 }))).toEqual(["b"]);
});

it("with two nodes, a refused connection alone is not enough, nor is silence", () => {
  const a = member("a", { unreachable: ["b"] });
  expect(judge("a", a, member("b", { silentMs: 1499 }))).toEqual([]);
  expect(judge("a", member("a"), member("b", { silentMs: 1500 }))).toEqual([]);
  expect(judge("a", a, member("b", { silentMs: 1500 }))).toEqual(["b"]);
});

it("with more, two reports from the larger part expel at once", () => {
  const [a, b] = [member("a", { unreachable: ["c"] }), member("b", { unreachable: ["c"] })];
  expect(judge("a", a, member("b"), member("c"))).toEqual([]);
  expect(judge("a", a, b, member("c"))).toEqual(["c"]);
});

it("[F05] the smaller part expels nobody, whatever it can't reach", () => {
  const a = member("a", { unreachable: ["c"] });
  const b = member("b", { unreachable: ["c"] });
  const c = member("c", { unreachable: ["a", "b"] });
  expect(judge("a", a, b, c)).toEqual(["c"]);
  expect(judge("c", a, b, c)).toEqual([]);
});

it("of two equal parts the one with the lowest id stays", () => {
  const cut = (nodeId: string, ...unreachable: string[]) => member(nodeId, { unreachable });
  const members = [cut("a", "c", "d"), cut("b", "c", "d"), cut("c", "a", "b"), cut("d", "a", "b")];
  expect(judge("b", ...members).sort()).toEqual(["c", "d"]);
  expect(judge("c", ...members)).toEqual([]);
});
