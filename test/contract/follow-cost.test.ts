// What following costs, at two sizes: ratios of processor time in one run, and bytes. The whole range is measured by
// `npm run bench -- follow-commits`.
import { describe, expect, onTestFinished, test } from "vitest";
import { COMMIT_KINDS, CommitStream, type CommitKind, type MadeCommit } from "../support/commit-stream.ts";
import { runPeer } from "../support/follow-peer.ts";
import { memoryAMember } from "../support/group-memory.ts";
import { GroupServiceWorld, payloadBytes } from "../support/group-service-world.ts";

const [SMALL, LARGE] = [10, 1000];
const WARM_ROUNDS = 10;
const ROUNDS = 25;

function middle(figures: readonly number[]): number {
  return [...figures].sort((a, b) => a - b)[Math.floor(figures.length / 2)] ?? Number.NaN;
}

async function* twoRounds(stream: CommitStream): AsyncGenerator<MadeCommit> {
  yield* stream.round();
  yield* stream.round();
}

test("[M9] each kind of commit costs in a group of 1,000 at most 3 times what it costs in one of 10", async () => {
  const streams = [new CommitStream(SMALL), new CommitStream(LARGE)];
  const micros = streams.map(() => new Map<CommitKind, number[]>(COMMIT_KINDS.map((kind) => [kind, []])));
  for (let round = 0; round < WARM_ROUNDS + ROUNDS; round += 1) {
    // In turns: what else the machine does hits both.
    for (const [n, stream] of streams.entries()) {
      for await (const { kind, followMicros } of stream.round()) {
        if (round >= WARM_ROUNDS) micros[n]?.get(kind)?.push(followMicros);
      }
    }
  }
  for (const kind of COMMIT_KINDS) {
    const [small, large] = micros.map((kinds) => middle(kinds.get(kind) ?? [])) as [number, number];
    expect(large / small, kind).toBeLessThanOrEqual(3);
  }
});

test("[M9] following costs less than a fiftieth of what ts-mls' functions cost at 500 members", async () => {
  const { ownMicros, peerMicros } = await runPeer(500);
  expect(peerMicros / ownMicros).toBeGreaterThanOrEqual(50);
});

test.each([SMALL, LARGE])("a group of %i weighs at most 1 KiB a member beyond its credential", (members) => {
  expect(memoryAMember(new CommitStream(members).group.group.snapshot())).toBeLessThanOrEqual(1024);
});

describe("[M9] what a commit writes", () => {
  /** Of one commit of each kind: what was written beside the commit's own bytes. */
  async function written(size: number): Promise<Map<CommitKind, { bytes: number; operations: number }>> {
    const world = await GroupServiceWorld.open();
    onTestFinished(() => world.close());
    const stream = new CommitStream(size);
    const { group } = stream;
    const groupId = group.group.groupId;
    const { ratchetTree } = group.group.snapshot();
    const created = await world.create({ groupInfo: group.groupInfoMessage(), ratchetTree, tracking: "full" });
    expect(created.kind).toBe("done");
    const found = new Map<CommitKind, { bytes: number; operations: number }>();
    // Twice: in the first round the group's creation may still have something to write.
    for await (const { kind, message, groupInfo, welcomes } of twoRounds(stream)) {
      world.written.length = 0;
      const answer = await world.commit({ groupId, commit: message, groupInfo, welcomes: [...welcomes] });
      expect(answer).toMatchObject({ kind: "done" });
      expect(world.written.some((operation) => "name" in operation && operation.name.startsWith("tree/"))).toBe(false);
      found.set(kind, { bytes: payloadBytes(world.written) - message.length, operations: world.written.length });
    }
    return found;
  }

  test("is its own bytes and the same few others in a group of 10 and in one of 1,000", async () => {
    const small = await written(SMALL);
    const large = await written(LARGE);
    for (const kind of COMMIT_KINDS) {
      expect(large.get(kind)?.operations, kind).toBe(small.get(kind)?.operations);
      expect(Math.abs((large.get(kind)?.bytes ?? 0) - (small.get(kind)?.bytes ?? 0)), kind).toBeLessThan(128);
      expect(large.get(kind)?.bytes, kind).toBeLessThan(2048);
    }
  });
});
