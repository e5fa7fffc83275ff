// kill -9 between any two steps of each chain, on the embedded store (support/chain-deaths.ts).
import { expect, test } from "vitest";
import { defineChainDeaths } from "../support/chain-deaths.ts";
import { crashAt } from "../support/crash-point.ts";
import { CrashWorld } from "../support/crash-world.ts";
import { identityCreate } from "../support/identity-chains.ts";

defineChainDeaths("lmdb");

test("[F24] a server that forgets what its actors owe each other is found out", async () => {
  const world = await CrashWorld.start("lmdb", { env: { AEGIS_TEST_OUTBOX_FORGOTTEN: "1" } });
  const broken = crashAt(world, identityCreate, { at: 2, when: "after" }, "alone", 3000);
  await expect(broken).rejects.toThrow("the chain does not end");
  await world.dispose();
});
