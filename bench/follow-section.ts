// The section of docs/BENCHMARKS.md about following commits, from one run's figures.
import { COMMIT_KINDS, type CommitKind } from "../test/support/commit-stream.ts";
import type { PeerFigures } from "../test/support/follow-peer.ts";
import type { Blocking } from "../test/support/event-loop-block.ts";
import { ENGINES, type Engine } from "./create-run.ts";
import type { CommitFigures, SizeFigures } from "./follow-run.ts";

export interface MeasuredSize extends SizeFigures {
  readonly creates: Readonly<Record<Engine, Blocking>>;
}

export interface Bar {
  readonly what: string;
  readonly held: boolean;
}

export function followSection(sizes: readonly MeasuredSize[], peer: PeerFigures, bars: readonly Bar[]): string {
  return `Processor time (all threads) of following one commit in a group of that size, median of the rounds: suite 1, basic
credentials, every second member has committed before, GroupInfo without tree. Each commit is made for its epoch and moves
the group on.

${table(sizes, (figures, kind) => whole(figures.kinds[kind].followMicros), "µs: decoded and followed")}

The same commits through the service, in one process, without sockets: reading the head, following, checking GroupInfo and
Welcome, the group's actor, one durable write (embedded store, synced) with nothing else in its batch.

${table(sizes, (figures, kind) => whole(figures.kinds[kind].serviceMicros), "µs: the whole request")}

What one commit hands to the store: names and values, the commit's own bytes and its GroupInfo included; in brackets the
commit's bytes and the operations. Trees are written apart, when the commits since the last one weigh as much as the tree.

${table(sizes, (figures, kind) => written(figures.kinds[kind]), "bytes written")}

Whole trees: judged as by a joiner on a worker thread, loaded on the event loop in steps. A whole \`group.create\` goes
through the service until every member, each a registered client, has been told, durably; the quietest of two or three.
A block is what passes between two looks from the event loop: its processor time is what the server does to its
neighbours, the clock adds what a busy machine does to the server.

${treeTable(sizes)}

At ${whole(peer.size)} members following costs ${whole(peer.ownMicros)} µs here and ${whole(peer.peerMicros)} µs with ts-mls' functions for
signature, path and tree hash: ${whole(peer.peerMicros / peer.ownMicros)} times as much.

${bars.map(({ what, held }) => `- ${held ? "Held" : "Missed"}: ${what}.`).join("\n")}
`;
}

function table(
  sizes: readonly MeasuredSize[],
  cell: (figures: MeasuredSize, kind: CommitKind) => string,
  title: string,
): string {
  return [
    `| ${title} | ${sizes.map(({ size }) => whole(size)).join(" | ")} |`,
    `|---|${sizes.map(() => "---:|").join("")}`,
    ...COMMIT_KINDS.map((kind) => `| ${kind} | ${sizes.map((figures) => cell(figures, kind)).join(" | ")} |`),
  ].join("\n");
}

function treeTable(sizes: readonly MeasuredSize[]): string {
  const rows: [string, (figures: MeasuredSize) => string][] = [
    ["bytes of the tree", ({ treeBytes }) => whole(treeBytes)],
    ["ciphertexts on a path, at most", ({ ciphertextsMax }) => whole(ciphertextsMax)],
    ["judged: ms of processor time", ({ judged }) => whole(judged.cpuMillis)],
    ["judged: longest block, ms of processor time (of the clock)", ({ judged }) => block(judged)],
    ["loaded: ms of processor time", ({ loaded }) => whole(loaded.cpuMillis)],
    ["loaded: longest block, ms of processor time (of the clock)", ({ loaded }) => block(loaded)],
    ...ENGINES.map((engine): [string, (figures: MeasuredSize) => string] => [
      `whole \`group.create\`, ${engine}: longest block, ms of processor time (of the clock)`,
      ({ creates }) => block(creates[engine]),
    ]),
    ["memory a member beyond its credential, bytes", ({ bytesAMember }) => whole(bytesAMember)],
    [
      "trees written during the run, against the commits' bytes",
      (figures) => `${whole(figures.treeBytesWritten)} / ${whole(figures.handshakeBytes)}`,
    ],
  ];
  return [
    `| members | ${sizes.map(({ size }) => whole(size)).join(" | ")} |`,
    `|---|${sizes.map(() => "---:|").join("")}`,
    ...rows.map(([name, cell]) => `| ${name} | ${sizes.map(cell).join(" | ")} |`),
  ].join("\n");
}

function block({ blockCpuMs, blockMs }: Blocking): string {
  return `${blockCpuMs.toFixed(1)} (${blockMs.toFixed(1)})`;
}

function written({ writtenBytes, messageBytes, operations }: CommitFigures): string {
  return `${whole(writtenBytes)} (${whole(messageBytes)}, ${whole(operations)})`;
}

function whole(figure: number): string {
  return Math.round(figure).toLocaleString("en-US");
}
