// A process that opens an embedded store and says what it is told was acknowledged: for tests that kill it,
// trace it, or take its disk away and give it back. Arguments: folder, durability, mode, sabotage (comma-separated).
import { writeSync } from "node:fs";
import { performance } from "node:perf_hooks";
import { setTimeout as delay } from "node:timers/promises";
import { openLmdbStore } from "../../src/store/lmdb/lmdb-store.ts";
import type { SabotageSwitch } from "../../src/store/sabotage.ts";
import type { Durability, Operation, Store } from "../../src/store/store.ts";
import { CHILD_ACTOR, CHILD_SHARDS } from "./store-child-facts.ts";

const [path, durability, mode, sabotage] = process.argv.slice(2) as [string, Durability, string, string | undefined];

// Not console.log: what is printed must be out before the process can be killed.
function say(line: string): void {
  writeSync(1, `${line}\n`);
}

// The limit on a file's size that takes the disk away also raises a signal.
process.on("SIGXFSZ", () => undefined);

try {
  const store = await openLmdbStore({
    path,
    durability,
    shardCount: CHILD_SHARDS,
    sabotage: new Set((sabotage ?? "").split(",").filter((each) => each !== "") as SabotageSwitch[]),
  });
  say(`open ${process.pid}`);
  if (mode === "hold") setInterval(() => undefined, 1000);
  else await Promise.all(Array.from({ length: CHILD_SHARDS }, (_, shard) => write(store, shard)));
} catch (error) {
  say(`${(error as Error).name} ${(error as Error).message}`);
}

/** Batch after batch into one shard, each telling its sequence in three places. */
async function write(store: Store, shard: number): Promise<void> {
  const seen = await store.readOwner(shard);
  const nonce = `${process.pid}-${shard}`;
  const claimed = await store.claim(shard, seen?.fence, { nonce, owner: "child", address: "-", freshLineage: "l" });
  if (claimed.kind !== "claimed") throw new Error("the claim was lost");
  const filler = new Uint8Array(mode === "fill" || mode === "refill" ? 200_000 : 100);
  for (let sequence = claimed.record.sequence + 1; ; sequence += 1) {
    const text = new Uint8Array(Buffer.from(String(sequence)));
    const operations: Operation[] = [
      { op: "putSnapshot", actor: CHILD_ACTOR, bytes: text },
      { op: "putPart", actor: CHILD_ACTOR, name: `p/${sequence}`, bytes: filler },
      { op: "append", actor: CHILD_ACTOR, entry: { offset: sequence, time: sequence, type: "t", body: text } },
    ];
    const startedAt = performance.now();
    try {
      const outcome = await store.commit(shard, claimed.record.fence, sequence, operations);
      if (outcome.kind !== "applied") throw new Error(JSON.stringify(outcome));
    } catch (error) {
      const health = (await store.healthy()) ? "healthy" : "ailing";
      const read = await store.readStreamHead(shard, CHILD_ACTOR);
      say(`failed ${shard} ${sequence} ${(error as Error).name} ${read.head.last} ${health}`);
      if (mode !== "refill") return;
      // The same batch again, as long as it takes.
      sequence -= 1;
      await delay(20);
      continue;
    }
    const health = (await store.healthy()) ? "healthy" : "ailing";
    say(`ack ${shard} ${sequence} ${(performance.now() - startedAt).toFixed(1)} ${health}`);
    if (mode === "few" && sequence === 5) return;
  }
}
