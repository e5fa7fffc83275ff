// What following a group costs on the server, at one size: each kind of commit, what is stored of it, the whole tree,
// memory. In this process, without sockets; every figure is processor time or bytes.
import { setImmediate as nextTurn } from "node:timers/promises";
import {
  loadPublicGroupWork,
  type PublicGroup,
  type PublicGroupSnapshot,
} from "../src/mls/public-group/public-group.ts";
import { finishInSteps } from "../src/mls/work.ts";
import type { Operation } from "../src/store/store.ts";
import { COMMIT_KINDS, CommitStream, type CommitKind, type MadeCommit } from "../test/support/commit-stream.ts";
import { quietest, type Blocking } from "../test/support/event-loop-block.ts";
import { memoryAMember } from "../test/support/group-memory.ts";
import { GroupServiceWorld, payloadBytes } from "../test/support/group-service-world.ts";

export interface CommitFigures {
  /** Decoding and following. */
  readonly followMicros: number;
  /** The service from the parsed request to the answer: following, actor, store (fsync). */
  readonly serviceMicros: number;
  readonly messageBytes: number;
  /** Names and values handed to the store, without trees. */
  readonly writtenBytes: number;
  readonly operations: number;
}

export interface SizeFigures {
  readonly size: number;
  readonly kinds: Readonly<Record<CommitKind, CommitFigures>>;
  /** Of the commits with a path. */
  readonly ciphertextsMax: number;
  /** Bytes of trees written during all rounds, and of commits. */
  readonly treeBytesWritten: number;
  readonly handshakeBytes: number;
  readonly treeBytes: number;
  /** A whole tree judged as by a joiner, on a worker thread, and loaded on the event loop. */
  readonly judged: Blocking;
  readonly loaded: Blocking;
  /** Memory of a loaded group for each member, without the bytes of its credential. */
  readonly bytesAMember: number;
}

/** Rounds whose figures are left out: the code is not compiled yet. */
const WARM_ROUNDS = 30;

export async function runSize(size: number, rounds: number): Promise<SizeFigures> {
  const stream = new CommitStream(size);
  const snapshot = stream.group.group.snapshot();
  const world = await GroupServiceWorld.open();
  try {
    const groupInfo = stream.group.groupInfoMessage();
    const judged = await quietest(thrice(() => judge(world, groupInfo, snapshot.ratchetTree)));
    const created = await world.create({ groupInfo, ratchetTree: snapshot.ratchetTree, tracking: "full" });
    if (created.kind === "refused") throw new Error(JSON.stringify(created.refusal));
    const commits = await runCommits(world, stream, rounds);
    const loaded = await quietest(thrice(() => load(snapshot)));
    return {
      size,
      ...commits,
      treeBytes: snapshot.ratchetTree.length,
      judged,
      loaded,
      bytesAMember: memoryAMember(snapshot),
    };
  } finally {
    await world.close();
  }
}

interface Sample extends Omit<CommitFigures, "operations"> {
  readonly kind: CommitKind;
  readonly operations: number;
  readonly ciphertexts: number;
  readonly treeBytes: number;
}

async function runCommits(world: GroupServiceWorld, stream: CommitStream, rounds: number) {
  const samples: Sample[] = [];
  for (let round = 0; round < WARM_ROUNDS + rounds; round += 1) {
    for await (const made of stream.round()) {
      const sample = await submit(world, stream.group.group.groupId, made);
      if (round >= WARM_ROUNDS) samples.push(sample);
    }
  }
  const kinds = Object.fromEntries(
    COMMIT_KINDS.map((kind) => [kind, figuresOf(samples.filter((sample) => sample.kind === kind))]),
  ) as Record<CommitKind, CommitFigures>;
  return {
    kinds,
    ciphertextsMax: Math.max(...samples.map(({ ciphertexts }) => ciphertexts)),
    treeBytesWritten: samples.reduce((sum, { treeBytes }) => sum + treeBytes, 0),
    handshakeBytes: samples.reduce((sum, { messageBytes }) => sum + messageBytes, 0),
  };
}

async function submit(world: GroupServiceWorld, groupId: Uint8Array, made: MadeCommit): Promise<Sample> {
  const { message, welcomes, groupInfo } = made;
  world.written.length = 0;
  const before = process.cpuUsage();
  const answer = await world.commit({ groupId, commit: message, welcomes: [...welcomes], groupInfo });
  const { user, system } = process.cpuUsage(before);
  if (answer.kind === "refused") throw new Error(JSON.stringify(answer.refusal));
  const [trees, others] = split(world.written);
  return {
    kind: made.kind,
    followMicros: made.followMicros,
    serviceMicros: user + system,
    messageBytes: message.length,
    writtenBytes: payloadBytes(others),
    operations: others.length,
    ciphertexts: made.ciphertexts,
    treeBytes: payloadBytes(trees),
  };
}

/** Slices of trees, and the rest. */
function split(operations: readonly Operation[]): [Operation[], Operation[]] {
  const isTree = (operation: Operation): boolean => operation.op === "putPart" && operation.name.startsWith("tree/");
  return [operations.filter(isTree), operations.filter((operation) => !isTree(operation))];
}

function figuresOf(samples: readonly Sample[]): CommitFigures {
  const middle = (figure: (sample: Sample) => number): number => median(samples.map(figure));
  return {
    followMicros: middle(({ followMicros }) => followMicros),
    serviceMicros: middle(({ serviceMicros }) => serviceMicros),
    messageBytes: middle(({ messageBytes }) => messageBytes),
    writtenBytes: middle(({ writtenBytes }) => writtenBytes),
    operations: middle(({ operations }) => operations),
  };
}

async function judge(world: GroupServiceWorld, groupInfo: Uint8Array, ratchetTree: Uint8Array): Promise<void> {
  const checked = await world.checks.check(world.request("group.create", {}), groupInfo, ratchetTree, true);
  if (checked.kind === "refused") throw new Error(JSON.stringify(checked.refusal));
}

async function load(snapshot: PublicGroupSnapshot): Promise<PublicGroup> {
  const loaded = await finishInSteps(loadPublicGroupWork(snapshot), () => nextTurn());
  if (loaded.kind === "malformed") throw new Error(loaded.why);
  return loaded.value;
}

function thrice<T>(run: T): T[] {
  return [run, run, run];
}

function median(figures: readonly number[]): number {
  return [...figures].sort((a, b) => a - b)[Math.floor(figures.length / 2)] ?? Number.NaN;
}
