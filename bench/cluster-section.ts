// The section of docs/BENCHMARKS.md about many nodes, from one run's figures.
import { SLOW_SYNC_MS, type BatchFigures } from "./batch-run.ts";
import type { Bar } from "./cluster-bars.ts";
import { forwardingMicros, modelMicros, totalMicros } from "./cluster-bars.ts";
import type { ClusterFigures } from "./cluster-figures.ts";
import { KINDS, type Cost, type Kind, type Way } from "./cluster-world.ts";
import type { HealFigures } from "./heal-run.ts";
import type { MixFigures } from "./mix-run.ts";

export function clusterSection(figures: ClusterFigures, bars: readonly Bar[]): string {
  const { inFlight, mix, batches, heal, moves } = figures;
  return `Calls over the wire through the SDK, ${whole(inFlight)} in flight for each node, each on a group or pool of its own, Redis with
\`appendfsync always\`. The deployments of one, two and three nodes ran beside one another and were measured in turns; each
figure is the lower quartile of the rounds: whatever else such a machine does only adds to processor time.
\`group.send\` is of a message of 129 bytes, \`group.commit\` of one as small in \`ordering\` tracking, \`keyPool.claim\` of
one one-time package, \`identity.create\` without tags.

Processor time of all nodes together + of redis-server, µs a call, without what they use up in the same time when nobody
calls (told below); each session's calls go to its node, as behind a balancer.
The model is the cost at the owner + calls forwarded × what forwarding one costs, as the second table has both. A new
identity's actors are where their names put them, so nobody can aim at their owner: one node tells what it costs there and
two what forwarding costs, and three are held against them. The nodes of all deployments, Redis and the load have the same
two processors: where more processes are in each other's way, a call at its owner costs more than on one node, and the
model that begins with one node's cost has that against it too.

${mixTable(mix)}

The same calls sent to the node that owns the group or pool, and to one that does not (the owner's part included).
The ratio is of the nodes' time.

${wayTable(mix)}

Redis, for one call on one node: bytes that came in, that went out, and that its append-only file grew by.

${bytesTable(mix)}

Without any call: ${mix.map((one) => `${String(one.nodes)} node${one.nodes > 1 ? "s" : ""}: ${whole(one.idleNodeMicros)} µs a second each, redis-server ${whole(one.idleRedisMicros)}`).join("; ")}.
Redis's memory: ${whole(figures.laneBytes)} bytes for a group of one member with a client and its empty pool beside it;
${whole(figures.messageBytes)} bytes for a message while its log entry and its remembered result are kept.

\`group.send\` on one node over the wire, where the load has the same processors; then the actor host alone, as the
owner's router calls it, in one process without sockets; and the store's driver alone, on the same Redis, one batch after
another on as many shards as keep that many messages waiting, each message in a batch of its own: the floor. Between the
two stands what no host can do without: the message's turn in the group's machine, with what it leaves encoded, and the
same batch. And the driver once more with batches of the host's mean size, which nobody had to gather. They took turns;
each figure is the median of the rounds, the shares too.

${batchTable(batches)}

Host and driver again, on a Redis for which each sync takes ${String(SLOW_SYNC_MS)} ms more (strace), as on a disk behind a network. On the
machine's own disk one process's processor is what bounds the host; here it is the store.

${hostTable(batches.map(({ inFlight, onSlowDisk }) => ({ inFlight, host: onSlowDisk })))}

${healText(heal)}
Shards that moved: ${whole(moves.drain.shards)} from a node that was drained, in ${seconds(moves.drain.ms)} from the command until
the other owned all; ${whole(moves.join.shards)} to one that joined, in ${seconds(moves.join.ms)} from when it was seen until it owned all of its own.

${bars.map(({ what, held }) => `- ${held ? "Held" : "Missed"}: ${what}.`).join("\n")}
`;
}

function mixTable(mix: readonly MixFigures[]): string {
  const head = mix.map(
    ({ nodes }) =>
      `${String(nodes)} node${nodes > 1 ? "s" : ""} | forwarded a call | against the model | with one node's cost`,
  );
  return [
    `| | ${head.join(" | ")} |`,
    `|---|${mix.map(() => "---:|---:|---:|---:|").join("")}`,
    ...KINDS.map((kind) => `| \`${kind}\` | ${mix.map((one) => mixCells(kind, one, mix)).join(" | ")} |`),
  ].join("\n");
}

function mixCells(kind: Kind, one: MixFigures, mix: readonly MixFigures[]): string {
  const cost = costOf(one, kind, "any");
  const against = (model: number | undefined): string =>
    model === undefined ? "—" : `${(totalMicros(cost) / model).toFixed(2)} ×`;
  const models = [modelMicros(kind, one, mix), modelMicros(kind, one, mix, "alone")];
  return [both(cost), cost.forwards.toFixed(2), ...models.map(against)].join(" | ");
}

function wayTable(mix: readonly MixFigures[]): string {
  const rows = mix
    .filter(({ nodes }) => nodes > 1)
    .flatMap((one) =>
      KINDS.flatMap((kind) => {
        const { local, forwarded } = one.costs[kind];
        if (local === undefined || forwarded === undefined) return [];
        const ratio = (forwarded.nodeMicros / local.nodeMicros).toFixed(2);
        return [
          `| \`${kind}\`, ${String(one.nodes)} nodes | ${both(local)} | ${both(forwarded)} | ${ratio} × | ${whole(forwardingMicros(kind, one) ?? Number.NaN)} |`,
        ];
      }),
    );
  return [
    "| | at its owner | elsewhere | ratio | forwarding one call, µs |",
    "|---|---:|---:|---:|---:|",
    ...rows,
  ].join("\n");
}

function bytesTable(mix: readonly MixFigures[]): string {
  const [one] = mix;
  if (one === undefined) return "";
  const row = (kind: Kind): string => {
    const { redisBytesIn, redisBytesOut, diskBytes } = costOf(one, kind, "any");
    return `| \`${kind}\` | ${whole(redisBytesIn)} | ${whole(redisBytesOut)} | ${whole(diskBytes)} |`;
  };
  return ["| bytes | in | out | file |", "|---|---:|---:|---:|", ...KINDS.map(row)].join("\n");
}

function batchTable(batches: readonly BatchFigures[]): string {
  const rows: [string, (figures: BatchFigures) => string][] = [
    ["messages a second", ({ callsPerSecond }) => whole(callsPerSecond)],
    ["µs a message, node + redis-server", ({ cost }) => both(cost)],
    ["messages a batch", ({ answersABatch }) => answersABatch.toFixed(2)],
    ["operations a batch", ({ operationsABatch }) => operationsABatch.toFixed(2)],
    ["from a batch's first turn until it is sent, ms", ({ waitMs }) => waitMs.toFixed(2)],
  ];
  return [table(batches, rows), hostTable(batches)].join("\n\n");
}

type OfHost = Pick<BatchFigures, "inFlight" | "host">;

function hostTable(batches: readonly OfHost[]): string {
  return table<OfHost>(batches, [
    ["host alone: messages a second", ({ host }) => whole(host.messagesPerSecond)],
    [
      "host alone: µs a message, process + redis-server",
      ({ host }) => `${whole(host.micros)} + ${whole(host.redisMicros)}`,
    ],
    ["host alone: messages a batch", ({ host }) => host.answersABatch.toFixed(2)],
    ["host alone: operations a batch", ({ host }) => host.operationsABatch.toFixed(2)],
    ["host alone: from a batch's first turn until it is sent, ms", ({ host }) => host.waitMs.toFixed(2)],
    ["floor: messages a second", ({ host }) => whole(host.floorPerSecond)],
    ["floor: µs of the process a message", ({ host }) => whole(host.floorMicros)],
    ["host against the floor", ({ host }) => host.floorShare.toFixed(2)],
    ["turns without a host: messages a second", ({ host }) => whole(host.barePerSecond)],
    ["turns without a host: µs of the process a message", ({ host }) => whole(host.bareMicros)],
    ["host against those", ({ host }) => host.bareShare.toFixed(2)],
    ["batches of the host's size: messages a second", ({ host }) => whole(host.gatheredPerSecond)],
    ["batches of the host's size: µs of the process a message", ({ host }) => whole(host.gatheredMicros)],
    ["host against those", ({ host }) => host.gatheredShare.toFixed(2)],
  ]);
}

function table<T extends { readonly inFlight: number }>(
  columns: readonly T[],
  rows: readonly (readonly [string, (figures: T) => string])[],
): string {
  return [
    `| in flight | ${columns.map(({ inFlight }) => whole(inFlight)).join(" | ")} |`,
    `|---|${columns.map(() => "---:|").join("")}`,
    ...rows.map(([name, cell]) => `| ${name} | ${columns.map(cell).join(" | ")} |`),
  ].join("\n");
}

function healText(heal: HealFigures | undefined): string {
  if (heal === undefined) return "";
  const { healedMs, nodes } = heal;
  const at = (share: number): string => seconds(healedMs[Math.floor((healedMs.length - 1) * share)] as number);
  return `One of ${String(nodes)} nodes killed (kill -9), ${String(healedMs.length)} times, until every shard was owned by another and a message to a
group of the dead node, sent to another at the moment of the kill, was answered: median ${at(0.5)}, longest ${at(1)}.
`;
}

export function costOf(one: MixFigures, kind: Kind, way: Way): Cost {
  const cost = one.costs[kind][way];
  if (cost === undefined) throw new Error(`${kind} was not measured ${way}`);
  return cost;
}

function both({ nodeMicros, redisMicros }: Cost): string {
  return `${whole(nodeMicros)} + ${whole(redisMicros)}`;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(2)} s`;
}

function whole(figure: number): string {
  return Math.round(figure).toLocaleString("en-US");
}
