// The embedded store against the store's conformance suite.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openLmdbStore } from "../../src/store/lmdb/lmdb-store.ts";
import { CONFORMANCE_SHARDS, describeStore } from "./store-conformance.ts";

for (const durability of ["fsync", "memory"] as const) {
  describeStore(`lmdb store, durability ${durability}`, async () => {
    const path = await mkdtemp(join(tmpdir(), "aegis-lmdb-"));
    return {
      open: (sabotage) =>
        openLmdbStore({
          path,
          durability,
          shardCount: CONFORMANCE_SHARDS,
          sweepMs: 50,
          ...(sabotage === undefined ? {} : { sabotage }),
        }),
      dispose: () => rm(path, { recursive: true, force: true }),
    };
  });
}
