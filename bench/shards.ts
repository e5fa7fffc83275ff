// `npm run bench -- shards [--shards 64,256,1024] [--round-ms 1000] [--write]`: an actor host alone on stores of so many
// shards each, on the same Redis. Fewer shards gather more into a batch, more spread better over nodes.
import { parseArgs } from "node:util";
import { startRedis } from "../test/support/redis-server.ts";
import type { BenchResult } from "./benchmark-document.ts";
import { LoneHost, ROUNDS, type LoneHostFigures } from "./host-run.ts";
import { medians } from "./medians.ts";

const IN_FLIGHT = [256, 1024];

interface Run {
  readonly inFlight: number;
  readonly shards: number;
  readonly host: LoneHostFigures;
}

export async function shards(args: string[]): Promise<BenchResult> {
  const { values } = parseArgs({
    args,
    options: { shards: { type: "string", default: "64,256,1024" }, "round-ms": { type: "string", default: "1000" } },
  });
  const roundMs = Number(values["round-ms"]);
  const runs: Run[] = [];
  const redis = await startRedis({ appendfsync: "always" });
  try {
    for (const inFlight of IN_FLIGHT) {
      runs.push(...(await inTurns(redis, inFlight, values.shards.split(",").map(Number), roundMs)));
    }
  } finally {
    await redis.stop();
  }
  for (const run of runs) console.log(JSON.stringify(run));
  return {
    title: "Shards",
    command: `npm run bench -- shards --shards ${values.shards} --round-ms ${values["round-ms"]} --write`,
    text: section(runs),
  };
}

async function inTurns(
  redis: { readonly url: string; readonly pid: number },
  inFlight: number,
  counts: readonly number[],
  roundMs: number,
): Promise<Run[]> {
  const hosts: { readonly count: number; readonly lone: LoneHost; readonly rounds: LoneHostFigures[] }[] = [];
  try {
    for (const count of counts) {
      hosts.push({ count, lone: await LoneHost.open({ redis, inFlight, shards: count }), rounds: [] });
    }
    for (let round = 0; round <= ROUNDS; round += 1) {
      for (const { lone, rounds } of hosts) {
        const figures = await lone.round(roundMs);
        if (round > 0) rounds.push(figures);
      }
    }
  } finally {
    for (const { lone } of hosts) await lone.close();
  }
  return hosts.map(({ count, rounds }) => ({ inFlight, shards: count, host: medians(rounds) }));
}

function section(runs: readonly Run[]): string {
  const row = ({ inFlight, shards: count, host }: Run): string => {
    const micros = `${host.micros.toFixed(0)} + ${host.redisMicros.toFixed(0)}`;
    const cells = [inFlight, count, host.messagesPerSecond.toFixed(0), micros, host.answersABatch.toFixed(2)];
    return `| ${[...cells, host.waitMs.toFixed(1)].join(" | ")} |`;
  };
  return `Messages to groups on an actor host alone, in one process without sockets, Redis with \`appendfsync always\`; each
message in flight is to a group of its own. The shard counts took turns; each figure is the median of the rounds.

| in flight | shards | messages a second | µs a message, process + redis-server | messages a batch | from a batch's first turn until it is sent, ms |
|---:|---:|---:|---:|---:|---:|
${runs.map(row).join("\n")}
`;
}
