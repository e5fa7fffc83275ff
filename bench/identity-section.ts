// The section of docs/BENCHMARKS.md about identities, from a run's figures on each store.
import type { IdentityFigures, Measured } from "./identity-run.ts";

export function identitySection(runs: readonly IdentityFigures[]): string {
  return `Identities with three tags each created over the wire through the SDK (durability \`fsync\`), the server ended by
kill -9 and started again, every identity found by the tag of its team and by its own tag and read back right. The run
fails when one is missing or differs.

${table(runs)}

Processor time is user and system time of all the process's threads, for one call. \`identity.validate\` reads and writes
nothing: it is what the wire, the codec and the dispatch cost. A create reserves the handle, writes the identity,
holds the handle and indexes four tag entries (three tags and the list of all clients) before it is answered.
`;
}

function table(runs: readonly IdentityFigures[]): string {
  const rows: [string, (run: IdentityFigures) => string][] = [
    ["identities", ({ count }) => whole(count)],
    ["sockets, calls in flight", ({ sockets, inFlight }) => `${whole(sockets)}, ${whole(inFlight)}`],
    [
      "floor: the store's own durable commits, one of 600 bytes at a time on each of 256 shards",
      (run) => `${whole(run.storeCommitsPerSecond)}/s`,
    ],
    ["floor: `identity.validate`", ({ validate }) => rate(validate)],
    ["`identity.create`", ({ create }) => rate(create)],
    ["create against the store's commits", (run) => (run.create.perSecond / run.storeCommitsPerSecond).toFixed(3)],
    [
      "create against validate, processor time of the server",
      ({ create, validate }) => `${(create.serverMicros / validate.serverMicros).toFixed(1)} ×`,
    ],
    ["from start to ready, after kill -9", ({ readySeconds }) => `${readySeconds.toFixed(2)} s`],
    ["`identity.find` by one's own tag", ({ find }) => rate(find)],
    ["all found by team, 1,000 a page", ({ pagesSeconds }) => `${pagesSeconds.toFixed(1)} s`],
    ["bytes on disk", (run) => perIdentity(run.diskBytes, run)],
    ["server's resident memory after creating", (run) => perIdentity(run.memoryAfterCreating, run)],
    ["server's resident memory after the restart", ({ memoryAfterRestart }) => megabytes(memoryAfterRestart)],
    [
      "the store's resident memory",
      (run) => (run.storeMemory === undefined ? "in the server's" : perIdentity(run.storeMemory, run)),
    ],
  ];
  return [
    `| | ${runs.map(({ engine }) => engine).join(" | ")} |`,
    `|---|${runs.map(() => "---:|").join("")}`,
    ...rows.map(([name, cell]) => `| ${name} | ${runs.map(cell).join(" | ")} |`),
  ].join("\n");
}

function rate({ perSecond, serverMicros, storeMicros }: Measured): string {
  const store = storeMicros === undefined ? "" : ` + ${whole(storeMicros)} of redis-server`;
  return `${whole(perSecond)}/s, ${whole(serverMicros)}${store} µs`;
}

function perIdentity(bytes: number, { count }: IdentityFigures): string {
  return `${megabytes(bytes)}, ${whole(bytes / count)} bytes an identity`;
}

function megabytes(bytes: number): string {
  return `${(bytes / 1_000_000).toFixed(0)} MB`;
}

function whole(figure: number): string {
  return Math.round(figure).toLocaleString("en-US");
}
