// What the store does by itself on this machine at this moment: one small durable batch after another on every
// shard, without a server. The floor that the server's figures are held against.
import { randomBytes } from "node:crypto";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import type { openStore } from "../src/store/open-store.ts";
import type { Store } from "../src/store/store.ts";

export interface Floor {
  readonly commitsPerSecond: number;
}

const SNAPSHOT_BYTES = 600;

/** Of the build that the server runs from: its scripts stand beside it. */
async function built(): Promise<{ readonly openStore: typeof openStore }> {
  const client = pathToFileURL(createRequire(import.meta.url).resolve("aegis-mls/client"));
  return (await import(new URL("../store/open-store.js", client).href)) as { openStore: typeof openStore };
}

/** The store as the built server opens it. */
async function openBuiltStore(...[url, options]: Parameters<typeof openStore>): Promise<Store> {
  return (await built()).openStore(url, options);
}

/** @param storeUrl of an empty store */
export async function measureStore(storeUrl: string, shards: number, forMs: number): Promise<Floor> {
  const store = await openBuiltStore(storeUrl, { durability: "fsync", shardCount: shards, prefix: "floor" });
  const bytes = randomBytes(SNAPSHOT_BYTES);
  let commits = 0;
  const began = performance.now();
  const shard = async (n: number): Promise<void> => {
    const claimant = { nonce: "floor", owner: "floor", address: "floor", freshLineage: "floor" };
    const claimed = await store.claim(n, undefined, claimant);
    if (claimed.kind !== "claimed") throw new Error("the store is not empty");
    const { fence } = claimed.record;
    for (let sequence = 1; performance.now() - began < forMs; sequence += 1) {
      const actor = `bench/identity/${String(sequence)}`;
      const outcome = await store.commit(n, fence, sequence, [{ op: "putSnapshot", actor, bytes }]);
      if (outcome.kind !== "applied") throw new Error(`a commit was ${outcome.kind}`);
      commits += 1;
    }
  };
  await Promise.all(Array.from({ length: shards }, (_, n) => shard(n)));
  const elapsedMs = performance.now() - began;
  await store.close();
  return { commitsPerSecond: (commits * 1000) / elapsedMs };
}
