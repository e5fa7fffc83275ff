// The judges of chaos tests find what they are there to find: one bad history of each kind, beside a good one.
import { describe, expect, it, test } from "vitest";
import { groupFlaws, poolFlaws, type LogEntry } from "../support/history-checker.ts";
import { foldUnread, groupModel, identityModel, settleByLog } from "../support/history-models.ts";
import type { Facts, Operation, Outcome } from "../support/history.ts";
import { findOrder } from "../support/linearizability.ts";

type Times = readonly [invokedMs: number, answeredMs: number];

function operation(name: string, input: Facts, outcome: Outcome, [invokedMs, answeredMs]: Times): Operation {
  return { name, input, worker: 0, invokedMs, answeredMs, outcome };
}

const result = (facts: Facts): Outcome => ({ kind: "result", facts });
const conflict = (facts: Facts): Outcome => ({ kind: "refused", reason: "EPOCH_CONFLICT", facts });
const retryable: Outcome = { kind: "retryable", reason: "NOT_OWNER" };
const unknown: Outcome = { kind: "unknown" };

const commit = (id: string, epoch: number, outcome: Outcome, times: Times) =>
  operation("commit", { id, epoch }, outcome, times);
const send = (id: string, epoch: number, outcome: Outcome, times: Times) =>
  operation("send", { id, epoch }, outcome, times);

const good = [
  commit("a", 0, result({ epoch: 1, offset: 1 }), [0, 10]),
  commit("b", 0, conflict({ epoch: 1, offset: 1 }), [1, 12]),
  send("c", 1, result({ offset: 2 }), [13, 20]),
  send("d", 1, unknown, [14, Infinity]),
  send("e", 1, retryable, [15, 16]),
];
const log: LogEntry[] = [
  { offset: 1, type: "commit", id: "a" },
  { offset: 2, type: "application", id: "c" },
  { offset: 3, type: "application", id: "d" },
];

describe("what holds of every group's history", () => {
  it("is found in a good one", () => {
    expect(groupFlaws(good, log, [log])).toEqual([]);
    expect(groupFlaws(good, log.slice(0, 2), [log.slice(0, 2)])).toEqual([]);
  });

  const late = send("late", 1, result({ offset: 3 }), [0, 1]);
  test.each<[string, Operation[], LogEntry[], LogEntry[][]]>([
    ["two commits were acknowledged for epoch 0", [...good, commit("x", 0, result({ offset: 9 }), [30, 31])], log, []],
    ["the commit at 4 ends epoch 0, not 1", good, [...log, { offset: 4, type: "commit", id: "b" }], []],
    ["the log has 3 where 2 is due", good, [log[0]!, log[2]!], []],
    ["the send acknowledged at 2 is not there", good, log.slice(0, 1), []],
    ["the entry at 4 is there twice", good, [...log, { offset: 4, type: "application", id: "c" }], []],
    ["nobody sent the entry at 4", good, [...log, { offset: 4, type: "application", id: "?" }], []],
    ["was answered retryable", good, [...log, { offset: 4, type: "application", id: "e" }], []],
    ["was answered refused", good, [...log, { offset: 4, type: "commit", id: "b" }], []],
    ["2 was sent after 3 had been answered", [...good, late], log, []],
    ["subscriber 0 has 3 where 2 is due", good, log, [[log[0]!, log[2]!]]],
    ["subscriber 0 has 1 where 2 is due", good, log, [[log[0]!, log[0]!, log[1]!, log[2]!]]],
    ["subscriber 0 was given 2 of 3", good, log, [log.slice(0, 2)]],
    ["was given something else at 3", good, log, [[log[0]!, log[1]!, { ...log[2]!, id: "e" }]]],
  ])("is missed where %s", (flaw, operations, entries, seen) => {
    expect(groupFlaws(operations, entries, seen).join("; ")).toContain(flaw);
  });
});

describe("a pool's history", () => {
  const publish = operation("publish", { refs: "p q r" }, result({}), [0, 1]);
  const claim = (ref: string, times: Times) => operation("claim", {}, result({ ref }), times);
  const empty = (times: Times) => operation("claim", {}, { kind: "refused", reason: "POOL_EMPTY", facts: {} }, times);
  const lost = operation("claim", {}, unknown, [5, Infinity]);

  it("is good when each went out once", () => {
    expect(poolFlaws([publish, claim("p", [2, 3]), lost, claim("r", [6, 7]), empty([8, 9])], [])).toEqual([]);
    expect(poolFlaws([publish, claim("p", [2, 3])], ["q", "r"])).toEqual([]);
  });

  test.each<[string, Operation[], string[]]>([
    ["p was handed out twice", [publish, claim("p", [2, 3]), claim("p", [4, 5])], ["q", "r"]],
    ["x, which nobody published, was handed out", [publish, claim("x", [2, 3])], ["p", "q", "r"]],
    ["p was handed out and is there", [publish, claim("p", [2, 3])], ["p", "q", "r"]],
    ["2 packages are gone, 1 claims may have taken one", [publish, claim("p", [2, 3]), lost], []],
    ["was called empty", [publish, claim("p", [2, 3]), empty([4, 5])], ["q", "r"]],
  ])("is bad when %s", (flaw, operations, left) => {
    expect(poolFlaws(operations, left).join("; ")).toContain(flaw);
  });
});

describe("[G4] the search for an order", () => {
  const start = { epoch: 0, offset: 0 };
  const head = (epoch: number, offset: number, times: Times) => operation("head", {}, result({ epoch, offset }), times);
  const judge = (operations: Operation[], entries: LogEntry[] = log) =>
    findOrder(groupModel(start), settleByLog(operations, entries)).kind;

  it("finds one where there is one, whichever of two that overlap came first", () => {
    expect(judge([...good, head(0, 0, [0, 11]), head(1, 3, [21, 22])])).toBe("ordered");
    expect(judge([...good, head(1, 2, [13, 30])])).toBe("ordered");
    expect(judge([])).toBe("ordered");
  });

  test.each<[string, Operation[]]>([
    ["a read from before a commit that was answered", [...good, head(0, 0, [11, 12])]],
    ["a read that goes back", [...good, head(1, 3, [30, 31]), head(1, 2, [32, 33])]],
    ["a read of what never was", [...good, head(5, 3, [30, 31])]],
    ["a refusal by a state that was over", [...good, commit("x", 0, conflict({ epoch: 1, offset: 1 }), [30, 31])]],
    ["a refusal of what was to be taken", [commit("x", 0, conflict({ epoch: 0, offset: 0 }), [0, 1])]],
    [
      "an unknown send that a reader saw and another then did not",
      [...good, head(1, 3, [21, 22]), head(1, 2, [23, 24])],
    ],
  ])("finds none for %s", (_what, operations) => {
    expect(judge(operations)).toBe("impossible");
  });

  const update = (tag: string, ifVersion: number | undefined, outcome: Outcome, times: Times) =>
    operation("update", { tag, ...(ifVersion === undefined ? {} : { ifVersion }) }, outcome, times);
  const get = (version: number, tag: string, times: Times) => operation("get", {}, result({ version, tag }), times);
  const mismatch = (version: number): Outcome => ({ kind: "refused", reason: "VERSION_MISMATCH", facts: { version } });
  const judgeIdentity = (operations: Operation[]) =>
    findOrder(identityModel({ version: 1, tag: "0" }), foldUnread(operations)).kind;

  it("lets an unknown update have happened late, or never", () => {
    const lost = update("x", undefined, unknown, [0, Infinity]);
    expect(judgeIdentity([lost, get(1, "0", [10, 11]), get(2, "x", [20, 21])])).toBe("ordered");
    expect(judgeIdentity([lost, get(1, "0", [10, 11])])).toBe("ordered");
    const between = [lost, update("y", undefined, result({ version: 3 }), [30, 31]), get(3, "y", [32, 33])];
    expect(judgeIdentity(between)).toBe("ordered");
  });

  test.each<[string, Operation[]]>([
    [
      "an unknown update that came and went",
      [update("x", undefined, unknown, [0, Infinity]), get(2, "x", [10, 11]), get(1, "0", [20, 21])],
    ],
    ["an update that was called not applied and was", [update("x", undefined, retryable, [0, 1]), get(2, "x", [2, 3])]],
    [
      "two that compared the same version and won",
      [update("x", 1, result({ version: 2 }), [0, 9]), update("y", 1, result({ version: 2 }), [0, 9])],
    ],
    ["a lost update", [update("x", undefined, result({ version: 2 }), [0, 1]), get(1, "0", [2, 3])]],
    ["a mismatch with the version that was there", [update("x", 1, mismatch(1), [0, 1])]],
  ])("finds none for %s", (_what, operations) => {
    expect(judgeIdentity(operations)).toBe("impossible");
  });

  it("judges 50 operations of 8 callers, 10 of unknown outcome, in no time", () => {
    const operations = Array.from({ length: 50 }, (_, n) =>
      n % 5 === 4
        ? update(`u${n}`, undefined, unknown, [n, Infinity])
        : update(`t${n}`, undefined, result({ version: n - Math.floor(n / 5) + 2 }), [n, n + 7.5]),
    );
    expect(judgeIdentity(operations)).toBe("ordered");
    expect(judgeIdentity([...operations, get(99, "nobody's", [100, 101])])).toBe("impossible");
  });
});
