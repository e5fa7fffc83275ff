// The tests of chains on one store: kill -9 between any two steps of each, with a real process. The server dies at its
// N-th write, for N = 1, 2, … until the chain ends without dying. AEGIS_CHAOS_FULL=1: at every moment, both sequels.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { basicCredential } from "./app-world.ts";
import type { CrashMoment, CrashPlan } from "./crashing-server.ts";
import { crashAt, RESERVATION_MS, type Chain, type Sequel } from "./crash-point.ts";
import { CrashWorld } from "./crash-world.ts";
import { identityChains, reasonOf } from "./identity-chains.ts";
import { keyAndGroupChains } from "./key-and-group-chains.ts";

const full = process.env["AEGIS_CHAOS_FULL"] === "1";
/** For one chain. */
export const perChainMs = full ? 600_000 : 120_000;
const WRITES_MAX = 40;

export function defineChainDeaths(engine: "lmdb" | "redis"): void {
  describe(`on ${engine}`, () => {
    let world: CrashWorld;
    beforeAll(async () => {
      world = await CrashWorld.start(engine);
    });
    afterAll(() => world.dispose());

    test.each([...identityChains, ...keyAndGroupChains])(
      "[F24] [G3] [G6] [G8] $name ends as all of it or none, wherever the server dies",
      async (chain) => {
        const deaths = full ? await everyPoint(chain) : await coveringPoints(chain);
        console.log(`${engine}, ${chain.name}: ${String(deaths)} deaths`);
        assert.ok(deaths > 0, "it died at its steps");
      },
      perChainMs,
    );

    test("[F24] a handle whose create died right after its reservation is free again by itself", async () => {
      const handle = randomUUID();
      const clientIdentity = basicCredential(handle);
      const key = randomUUID();
      const plan: CrashPlan = { at: 1, when: "after" };
      world.server.plan(plan);
      const lost = world.client.identity.create({ clientIdentity }, { key }).catch(() => undefined);
      assert.equal(await world.diedOrEnded(lost, plan), true);
      await world.disconnect();
      await world.comeBack(0);
      // Until its time has come the reservation stands: the retry could still use it.
      assert.equal(await reasonOf(world.client.identity.create({ clientIdentity })), "HANDLE_TAKEN");
      assert.equal(await reasonOf(world.client.identity.resolve({ handle })), "HANDLE_NOT_FOUND");
      await world.disconnect();
      await world.server.process.kill9();
      await world.comeBack(RESERVATION_MS);
      await expect
        .poll(() => reasonOf(world.client.identity.create({ clientIdentity })), { timeout: 20_000, interval: 50 })
        .toBe("ok");
      assert.equal(await reasonOf(world.client.identity.create({ clientIdentity }, { key })), "HANDLE_TAKEN");
    });

    async function everyPoint(chain: Chain): Promise<number> {
      let deaths = 0;
      for (const when of ["before", "during", "after"] satisfies CrashMoment[]) {
        for (const sequel of ["alone", "retry"] satisfies Sequel[]) {
          for (let at = 1; await breakAt(world, chain, { at, when }, sequel); at += 1) deaths += 1;
        }
      }
      return deaths;
    }

    /**
     * After each write, which is before the next one: on lmdb the sequels take turns, on Redis every second write is
     * the last one, with the other sequel.
     */
    async function coveringPoints(chain: Chain): Promise<number> {
      let deaths = 0;
      const [first, step] = engine === "lmdb" ? [1, 1] : [chain.writes === 1 ? 1 : 2, 2];
      for (let at = first; ; at += step) {
        const sequel = engine === "redis" || at % 2 === 1 ? "alone" : "retry";
        if (!(await breakAt(world, chain, { at, when: "after" }, sequel))) return deaths;
        deaths += 1;
      }
    }
  });
}

/** As `crashAt`; says where it was when that fails, and what the server said. */
export async function breakAt(world: CrashWorld, chain: Chain, plan: CrashPlan, sequel: Sequel): Promise<boolean> {
  assert.ok(plan.at <= WRITES_MAX, "a chain has an end");
  try {
    return await crashAt(world, chain, plan, sequel);
  } catch (error) {
    console.log(`${chain.name}: ${plan.when} write ${String(plan.at)}, then ${sequel}`);
    console.log(world.server.process.output.slice(-4000));
    throw error;
  }
}
