// Whole trees judged on worker threads (PROTOCOL M9): the same verdicts as on the event loop, a bounded wait, and
// nothing but the one request lost when a thread ends.
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import type { Refused } from "../../src/actors/actor-port.ts";
import { judgeWholeTree, type WholeTreeTask } from "../../src/mls/whole-tree.ts";
import { TreeWorkers, type TreeWorkerLimits } from "../../src/services/tree-workers.ts";
import { SyntheticGroup } from "../support/synthetic-group.ts";
import { NOW_MS } from "../support/synthetic-structs.ts";

const LIMITS: TreeWorkerLimits = { treeWorkers: 1, treesWaitingMax: 2, treeWorkerMebibytes: 128 };
const DYING = new URL("../support/dying-tree-worker.mjs", import.meta.url);
const APPLICATION = "first";
const FAR = Number.POSITIVE_INFINITY;

let group: SyntheticGroup;
beforeAll(() => {
  group = SyntheticGroup.create(300, { historyEvery: 3 });
});

const open: TreeWorkers[] = [];
afterEach(() => Promise.all(open.splice(0).map((workers) => workers.close())));

function workers(limits: Partial<TreeWorkerLimits> = {}, entry?: URL): { workers: TreeWorkers; lost: unknown[] } {
  const lost: unknown[] = [];
  const made = new TreeWorkers({ ...LIMITS, ...limits }, (error) => lost.push(error), entry);
  open.push(made);
  return { workers: made, lost };
}

function taskOf(changes: Partial<WholeTreeTask> = {}): WholeTreeTask {
  return {
    groupInfo: group.groupInfoMessage(),
    ratchetTree: group.group.snapshot().ratchetTree,
    joiner: { provider: { type: "basic" }, nowMs: NOW_MS, rulesOff: [] },
    ...changes,
  };
}

function dying(how: number): WholeTreeTask {
  return { groupInfo: Uint8Array.of(how), ratchetTree: undefined };
}

function reasonOf(answer: object): string | undefined {
  return "refusal" in answer ? (answer as Refused).refusal.reason : undefined;
}

describe("[M9] a whole tree on a worker thread", () => {
  test("gets the verdict that it gets on the event loop: who stands where, and whom the provider sees", async () => {
    const there = await workers().workers.judge(APPLICATION, taskOf(), FAR);
    expect(there).toEqual(await judgeWholeTree(taskOf()));
    if (there.kind !== "valid") throw new Error("refused");
    expect([...there.leaves]).toEqual(Array.from({ length: 300 }, (_, leaf) => leaf));
    expect(there.holders?.[299]).toEqual({ handle: "member 299" });
  });

  test.each([
    [
      "a tree that is another's",
      () => taskOf({ groupInfo: group.groupInfoMessage({ context: { epoch: 9n, treeHash: new Uint8Array(32) } }) }),
      "TREE_HASH",
    ],
    [
      "a signer that is no member",
      () => taskOf({ groupInfo: group.groupInfoMessage({ signer: 511, signWith: group.member(0) }) }),
      "GROUP_INFO_SIGNER",
    ],
    ["bytes that are no tree", () => taskOf({ ratchetTree: Uint8Array.of(1, 2) }), "MALFORMED"],
    ["bytes that are no GroupInfo", () => taskOf({ groupInfo: Uint8Array.of(1, 2) }), "MALFORMED"],
  ])("refuses %s under its rule", async (_, task, rule) => {
    const there = await workers().workers.judge(APPLICATION, task(), FAR);
    expect(there).toMatchObject({ kind: "refused", rule });
    expect(there).toEqual(await judgeWholeTree(task()));
  });

  test("leaves the caller's bytes as they are, though they be a view on more", async () => {
    const { ratchetTree } = group.group.snapshot();
    const frame = new Uint8Array(ratchetTree.length + 20);
    frame.set(ratchetTree, 10);
    const view = frame.subarray(10, 10 + ratchetTree.length);
    expect(await workers().workers.judge(APPLICATION, taskOf({ ratchetTree: view }), FAR)).toMatchObject({
      kind: "valid",
    });
    expect(view).toEqual(ratchetTree);
  });

  test("waits its turn among a bounded number; more may come again later", async () => {
    const pool = workers().workers;
    const answers = await Promise.all(Array.from({ length: 5 }, () => pool.judge(APPLICATION, taskOf(), FAR)));
    expect(answers.map(reasonOf)).toEqual([undefined, undefined, undefined, "TREES_WAITING", "TREES_WAITING"]);
    expect((answers[3] as Refused).refusal).toMatchObject({ retryable: true, retryAfterMs: 1000 });
    expect(await pool.judge(APPLICATION, taskOf(), FAR)).toMatchObject({ kind: "valid" });
  });

  test("[G9] takes turns with other applications' trees, and gives way to them where there is no room", async () => {
    const pool = workers({ treesWaitingMax: 4 }).workers;
    const order: string[] = [];
    const judged = async (applicationId: string, n: number): Promise<string | undefined> => {
      const reason = reasonOf(await pool.judge(applicationId, taskOf(), FAR));
      order.push(`${applicationId} ${String(n)}`);
      return reason;
    };
    const many = [0, 1, 2, 3, 4].map((n) => judged("many", n));
    const few = [judged("few", 0), judged("few", 1), judged("few", 2)];
    // The first of many has the thread. Its last two gave way; at two and two nobody does.
    expect(await Promise.all(many)).toEqual([undefined, undefined, undefined, "TREES_WAITING", "TREES_WAITING"]);
    expect(await Promise.all(few)).toEqual([undefined, undefined, "TREES_WAITING"]);
    const turns = order.filter((one) => !["many 3", "many 4", "few 2"].includes(one));
    expect(turns).toEqual(["many 0", "many 1", "few 0", "many 2", "few 1"]);
  });

  test("is not begun when its time ran out while it waited", async () => {
    const pool = workers().workers;
    const [first, late] = await Promise.all([
      pool.judge(APPLICATION, taskOf(), FAR),
      pool.judge(APPLICATION, taskOf(), performance.now()),
    ]);
    expect([first.kind, reasonOf(late)]).toEqual(["valid", "DEADLINE_EXCEEDED"]);
  });
});

describe("[M9] a worker thread that ends", () => {
  test.each([
    ["by itself", 0],
    ["with an error", 1],
    ["for want of memory", 2],
  ])("%s takes its own tree with it; those that wait get a new thread", async (_, how) => {
    const { workers: pool, lost } = workers({}, DYING);
    const [first, second] = await Promise.all([
      pool.judge(APPLICATION, dying(how), FAR),
      pool.judge(APPLICATION, dying(3), FAR),
    ]);
    expect((first as Refused).refusal).toMatchObject({ reason: "TREE_WORKER_LOST", retryable: true });
    expect(second).toMatchObject({ kind: "refused", rule: "TREE_HASH" });
    expect(lost).toHaveLength(how === 0 ? 0 : 1);
  });

  test("at the end of the server answers all that wait", async () => {
    const pool = workers().workers;
    const answers = Promise.all([pool.judge(APPLICATION, taskOf(), FAR), pool.judge(APPLICATION, taskOf(), FAR)]);
    await pool.close();
    expect((await answers).map(reasonOf)).toEqual(["DRAINING", "DRAINING"]);
    expect(reasonOf(await pool.judge(APPLICATION, taskOf(), FAR))).toBe("DRAINING");
  });
});
