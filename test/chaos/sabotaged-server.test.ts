// Checks of the whole server that can fail: each passes on the server as it is built, and goes red on one that is
// broken by name. What single parts do when they are broken stands in test/contract.
import path from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { CrashWorld } from "../support/crash-world.ts";
import { crashAt, type Chain } from "../support/crash-point.ts";
import type { CrashPlan } from "../support/crashing-server.ts";
import { identityCreate } from "../support/identity-chains.ts";
import { claimToLow } from "../support/key-and-group-chains.ts";

const entry = path.join(import.meta.dirname, "../support/sabotaged-server.mjs");

let world: CrashWorld | undefined;
afterEach(async () => {
  await world?.dispose();
  world = undefined;
});

interface Check {
  readonly name: string;
  readonly chain: Chain;
  readonly plan: CrashPlan;
  readonly brokenBy: string;
  readonly says: RegExp;
}

const checks: readonly Check[] = [
  {
    name: "[G3] what was acknowledged is there after a death before the write",
    chain: identityCreate,
    plan: { at: 1, when: "before" },
    brokenBy: "replyBeforeWrite",
    says: /what was acknowledged is there|the chain does not end/,
  },
  {
    name: "[G2] a package whose claim lost the store's answer is in the reply all the same",
    chain: claimToLow,
    plan: { at: 1, when: "unanswered" },
    brokenBy: "receiptsNotStored",
    says: /a server that lives answers/,
  },
];

describe.each(["lmdb", "redis"] as const)("on %s", (engine) => {
  describe.each(checks)("$name", ({ chain, plan, brokenBy, says }) => {
    async function check(sabotage: string): Promise<void> {
      world = await CrashWorld.start(engine, { entry, env: { AEGIS_TEST_SABOTAGE: sabotage } });
      await crashAt(world, chain, plan, "alone", sabotage === "" ? undefined : 4000);
    }

    test("holds", async () => {
      await check("");
    });

    test(`is found out when ${brokenBy} is on`, async () => {
      await expect(check(brokenBy)).rejects.toThrow(says);
    });
  });
});
