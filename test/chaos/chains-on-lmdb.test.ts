// kill -9 between any two steps of each chain, on the embedded store (support/chain-deaths.ts).
import { expect, test } from "vitest";
import { defineChainDeaths } from "../support/chain-deaths.ts";
import { crashAt } from "../support/crash-point.ts";
import { CrashWorld } from "../support/crash-world.ts";
import { identityCreate } from "../support/identity-chains.ts";

defineChainDeaths("lmdb");

test("[F24] a server that forgets what its actors owe each other is found out", async () => {
  const world = await CrashWorld.start("lmdb", { env: { AEGIS_TEST_OUTBOX_FORGOTTEN: "1" } });
  // Which batch carries what differs from run to run: one of the deaths leaves a debt behind.
  const found: unknown[] = [];
  for (let at = 1; at <= 4 && found.length === 0; at += 1) {
    const run = crashAt(world, identityCreate, { at, when: "after" }, "alone", 3000);
    found.push(
      ...(await run.then(
        () => [],
        (error: unknown) => [error],
      )),
    );
  }
  expect(String(found[0])).toContain("the chain does not end");
  await world.dispose();
});
