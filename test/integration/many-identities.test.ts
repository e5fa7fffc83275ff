// A small cut of the identities' benchmark: created over several sockets, the server killed and restarted, every
// one found by each of its tags and read back right. The figures are the benchmark's business.
import { expect, test } from "vitest";
import { runIdentities } from "../../bench/identity-run.ts";

test.each(["lmdb", "redis"] as const)(
  "[G3] 2,000 identities are found by their tags and read back right after kill -9, on %s",
  async (engine) => {
    const figures = await runIdentities({ engine, count: 2000, sockets: 4, inFlight: 256, floorMs: 200 });
    expect(figures.create.perSecond).toBeGreaterThan(0);
    expect(figures.diskBytes).toBeGreaterThan(0);
  },
  180_000,
);
