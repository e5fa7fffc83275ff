// `npm run bench -- shards [--shards 64,256,1024] [--round-ms 1000] [--write]`: an actor host alone on stores of so many
// shards each, on the same Redis. Fewer shards gather more into a batch, more spread better over nodes.
import { parseArgs } from "node:util";
import { startRedis } from "../test/support/redis-server.ts";
import type { BenchResult } from "./benchmark-document.ts";
import { runHost, type HostFigures } from "./host-run.ts";

const IN_FLIGHT = [256, 1024];

interface Run {
  readonly inFlight: number;
  readonly shards: number;
  readonly host: HostFigures;
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
      for (const count of values.shards.split(",").map(Number)) {
        const run = { inFlight, shards: count, host: await runHost({ redis, inFlight, shards: count, roundMs }) };
        console.log(JSON.stringify(run));
        runs.push(run);
      }
    }
  } finally {
    await redis.stop();
  }
  return {
    title: "Shards",
    command: `npm run bench -- shards --shards ${values.shards} --round-ms ${values["round-ms"]} --write`,
    text: section(runs),
  };
}

function section(runs: readonly Run[]): string {
  const row = ({ inFlight, shards: count, host }: Run): string => {
    const micros = `${host.micros.toFixed(0)} + ${host.redisMicros.toFixed(0)}`;
    const cells = [inFlight, count, host.messagesPerSecond.toFixed(0), micros, host.answersABatch.toFixed(2)];
    return `| ${[...cells, host.waitMs.toFixed(1)].join(" | ")} |`;
  };
  return `Messages to groups on an actor host alone, in one process without sockets, Redis with \`appendfsync always\`; each
message in flight is to a group of its own. Each figure is the median of the rounds.

| in flight | shards | messages a second | µs a message, process + redis-server | messages a batch | from a batch's first turn until it is sent, ms |
|---:|---:|---:|---:|---:|---:|
${runs.map(row).join("\n")}
`;
}
