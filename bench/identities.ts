// `npm run bench -- identities [--count 100000 --store lmdb,redis --write]`: identities created over the wire, found by
// tag and read back right after kill -9 and a restart, on both stores. Throws when an identity is missing or wrong.
import { parseArgs } from "node:util";
import type { BenchResult } from "./benchmark-document.ts";
import { runIdentities, type Engine, type IdentityFigures } from "./identity-run.ts";
import { identitySection } from "./identity-section.ts";

export async function identities(args: string[]): Promise<BenchResult> {
  const { values } = parseArgs({
    args,
    options: { count: { type: "string", default: "100000" }, store: { type: "string", default: "lmdb,redis" } },
  });
  const count = Number(values.count);
  if (!Number.isInteger(count) || count < 1) throw new Error("--count must be a whole number");
  const engines = values.store.split(",");
  if (!engines.every((name): name is Engine => name === "lmdb" || name === "redis")) {
    throw new Error("--store must be lmdb, redis or lmdb,redis");
  }
  const runs: IdentityFigures[] = [];
  for (const engine of engines) {
    const figures = await runIdentities({ engine, count, sockets: 4, inFlight: 256, floorMs: 5000 });
    console.log(JSON.stringify(figures, undefined, 2));
    runs.push(figures);
  }
  return {
    title: "Identities",
    command: `npm run bench -- identities --count ${String(count)} --store ${engines.join(",")} --write`,
    text: identitySection(runs),
  };
}
