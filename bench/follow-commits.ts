// `npm run bench -- follow-commits [--members 10,100,1000,10000,50000] [--rounds 60] [--write] [--bars]`: what following
// one commit without secrets costs (suite 1, basic credentials, groups with history, GroupInfo without tree), beside
// ts-mls' functions for the same at 500 members. With --bars it ends non-zero when one is missed.
import { parseArgs } from "node:util";
import type { BenchResult } from "./benchmark-document.ts";
import { runPeer, type PeerFigures } from "../test/support/follow-peer.ts";
import { runCreate } from "./create-run.ts";
import { followSection, type Bar, type MeasuredSize } from "./follow-section.ts";
import { runSize } from "./follow-run.ts";
import { COMMIT_KINDS } from "../test/support/commit-stream.ts";

const PEER_MEMBERS = 500;
const BLOCK_MS_MAX = 50;

export async function followCommits(args: string[]): Promise<BenchResult> {
  const { values } = parseArgs({
    args,
    options: {
      members: { type: "string", default: "10,100,1000,10000,50000" },
      rounds: { type: "string", default: "60" },
      bars: { type: "boolean", default: false },
    },
  });
  const sizes: MeasuredSize[] = [];
  for (const size of values.members.split(",").map(Number)) {
    const creates = { lmdb: await runCreate(size, "lmdb"), redis: await runCreate(size, "redis") };
    const figures = { ...(await runSize(size, Number(values.rounds))), creates };
    console.log(JSON.stringify(figures, undefined, 2));
    sizes.push(figures);
  }
  const peer = await runPeer(PEER_MEMBERS);
  console.log(JSON.stringify(peer));
  const bars = judge(sizes, peer);
  for (const { what, held } of bars) console.log(`${held ? "held  " : "missed"} ${what}`);
  if (values.bars && bars.some(({ held }) => !held)) process.exitCode = 1;
  return {
    title: "Following commits",
    command: `npm run bench -- follow-commits --members ${values.members} --rounds ${values.rounds} --write`,
    text: followSection(sizes, peer, bars),
  };
}

function judge(sizes: readonly MeasuredSize[], peer: PeerFigures): Bar[] {
  const at = (size: number): MeasuredSize | undefined => sizes.find((figures) => figures.size === size);
  const [ten, thousand, tenThousand] = [at(10), at(1000), at(10_000)];
  const bars: Bar[] = [];
  if (ten !== undefined && tenThousand !== undefined) {
    bars.push({
      what: "each kind of commit costs at 10,000 members at most 3 times what it costs at 10",
      held: COMMIT_KINDS.every((kind) => tenThousand.kinds[kind].followMicros <= 3 * ten.kinds[kind].followMicros),
    });
  }
  if (thousand !== undefined) {
    bars.push({
      what: "each kind costs at most 2 ms at 1,000 members",
      held: COMMIT_KINDS.every((kind) => thousand.kinds[kind].followMicros <= 2000),
    });
  }
  return [
    ...bars,
    {
      what: `judging and loading a whole tree block the event loop for at most ${String(BLOCK_MS_MAX)} ms`,
      held: sizes.every(({ judged, loaded }) => Math.max(judged.blockCpuMs, loaded.blockCpuMs) <= BLOCK_MS_MAX),
    },
    {
      what: `a whole group.create of up to 10,000 members blocks the event loop for at most ${String(BLOCK_MS_MAX)} ms`,
      held: sizes.every(({ size, creates }) => size > 10_000 || worst(creates) <= BLOCK_MS_MAX),
    },
    {
      what: `at ${String(PEER_MEMBERS)} members at least 50 times the speed of ts-mls' functions`,
      held: peer.peerMicros >= 50 * peer.ownMicros,
    },
    {
      what: "a group takes at most 1 KiB of memory a member beyond its credential",
      held: sizes.every(({ bytesAMember }) => bytesAMember <= 1024),
    },
    {
      what: "beside its own bytes a commit writes at most 2 KiB, whatever the size",
      held: sizes.every(({ kinds }) =>
        COMMIT_KINDS.every((kind) => kinds[kind].writtenBytes - kinds[kind].messageBytes <= 2048),
      ),
    },
  ];
}

function worst(creates: MeasuredSize["creates"]): number {
  return Math.max(...Object.values(creates).map(({ blockCpuMs }) => blockCpuMs));
}
