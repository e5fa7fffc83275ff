// docs/RELIABILITY.md: what the long run of random faults came to, with what it was run on.
import { spawnSync } from "node:child_process";
import { cpus, release, totalmem } from "node:os";
import type { SoakReport } from "./soak.ts";

const GIB = 1024 ** 3;

export function soakTable({ seed, seconds, answered, retryable, unknown, healMs }: SoakReport): string {
  const count = [...healMs.values()].reduce((sum, times) => sum + times.length, 0);
  const figures = [
    ["seed", String(seed)],
    ["time", `${(seconds / 60).toFixed(1)} min`],
    ["calls answered with their true answer", `${whole(answered)}, ${whole(answered / seconds)} a second`],
    ["calls given up early: certainly not applied", whole(retryable)],
    ["calls given up early: of unknown outcome", whole(unknown)],
    ["faults", whole(count)],
    // Whoever finds one ends the run: nobody reads this then.
    ["lost", "0"],
    ["doubled", "0"],
    ["reordered", "0"],
    ["answers that no order explains", "0"],
  ];
  const rows = [...healMs]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, times]) => {
      const sorted = times.toSorted((a, b) => a - b);
      const at = (share: number): string => whole(sorted[Math.ceil(sorted.length * share) - 1] ?? 0);
      return [name, String(times.length), at(0.5), at(0.99), at(1)];
    });
  return [
    table([["", ""], ...figures]),
    table([["fault", "times", "healed after ms, p50", "p99", "max"], ...rows]),
  ].join("\n\n");
}

export function reliabilityDocument(report: SoakReport, command: string): string {
  return `# Reliability

Written by \`${command}\`; not by hand. Three nodes on one Redis (\`appendfsync always\`) behind a balancer, the load, the
judges, the nodes and Redis on the same processors. Random faults follow one another. Every call is recorded: half of the
workers wait for the one true answer, the others give up after 400 ms and so meet every kind of answer. Each group,
identity and pool is judged when its 50 operations are over, and once more at the end. The first flaw would have ended
the run.

- Machine: ${machine()}
- Commit: \`${said("git", ["rev-parse", "--short=12", "HEAD"])}\`, ${new Date().toISOString().slice(0, 10)}

${soakTable(report)}

Healed means: every shard is owned by a node that the others reach. A node that is frozen or cut from Redis counts from
the beginning of the fault, and is expelled after 5 s; a killed one from its death; a restart in turn from the first
SIGTERM until all three are back; everything else from the end of the fault.
`;
}

function table([head = [], ...rows]: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map((_, n) => (n === 0 ? "---" : "---:"))), ...rows.map(line)].join("\n");
}

function whole(value: number): string {
  return Math.round(value).toLocaleString("en");
}

function machine(): string {
  const redis = /v=(\S+)/.exec(said("redis-server", ["--version"]))?.[1] ?? "unknown";
  const memory = `${Math.ceil(totalmem() / GIB)} GiB`;
  return `${cpus().length} × ${cpus()[0]?.model ?? "?"}, ${memory}, Linux ${release()}, Node ${process.version}, Redis ${redis}`;
}

function said(command: string, args: readonly string[]): string {
  return spawnSync(command, args, { encoding: "utf8" }).stdout.trim();
}
