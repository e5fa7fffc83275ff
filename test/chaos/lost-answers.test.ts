// The store does each write of each chain, and its answer is lost; the server lives. With a real process, on both stores.
import assert from "node:assert/strict";
import { afterAll, beforeAll, describe, test } from "vitest";
import { breakAt, perChainMs } from "../support/chain-deaths.ts";
import { CrashWorld } from "../support/crash-world.ts";
import { identityChains } from "../support/identity-chains.ts";
import { keyAndGroupChains } from "../support/key-and-group-chains.ts";

describe.each(["lmdb", "redis"] as const)("on %s", (engine) => {
  let world: CrashWorld;
  beforeAll(async () => {
    world = await CrashWorld.start(engine);
  });
  afterAll(() => world.dispose());

  test.each([...identityChains, ...keyAndGroupChains])(
    "[F13] [G2] [G6] $name is done once when the store's answer to any of its writes is lost",
    async (chain) => {
      let lost = 0;
      while (await breakAt(world, chain, { at: lost + 1, when: "unanswered" }, "retry")) lost += 1;
      assert.ok(lost > 0, "answers were lost");
    },
    perChainMs,
  );
});
