// A checker that can't fail proves nothing: each check of the host is run as it is, and again with the switch
// that breaks what it watches; then it must fail.
import assert from "node:assert/strict";
import { describe, expect, it } from "vitest";
import type { HostSabotage } from "../../src/actors/host-options.ts";
import type { ShardClaims } from "../../src/actors/shard-claim.ts";
import { ActorWorld, address, breathe, call, reasonOf, until } from "../support/actor-world.ts";
import { probeCatalogue } from "../support/probe-machine.ts";

interface HostCheck {
  /** Opens with the rule's id. */
  readonly name: string;
  readonly brokenBy: HostSabotage;
  run(world: ActorWorld, sabotage: readonly HostSabotage[]): Promise<void>;
}

const CHECKS: readonly HostCheck[] = [
  {
    name: "[G3] no reply leaves before the store has answered",
    brokenBy: "replyBeforeWrite",
    async run(world, sabotage) {
      const { host, store } = await world.node({ catalogue: probeCatalogue, sabotage });
      const probe = address("registry");
      store.hold();
      let answered = false;
      const outcome = call(host, probe, { type: "note", note: 1 }).then(() => (answered = true));
      await until(() => store.held > 0);
      await breathe(20);
      const early = answered;
      store.release();
      await outcome;
      assert.equal(early, false, "a reply left before its write");
    },
  },
  {
    name: "[G3] what was acknowledged is there after kill -9",
    brokenBy: "replyBeforeWrite",
    async run(world, sabotage) {
      const node = await world.node({ catalogue: probeCatalogue, sabotage });
      const probe = address("registry");
      node.store.fault = (what) => (what === "commit" ? "before" : undefined);
      const said = reasonOf(await call(node.host, probe, { type: "note", note: 1 }, { withinMs: 200 }));
      world.kill(node);
      const notes = (await world.state(probe))?.context["notes"] ?? [];
      assert.ok(said !== "applied" || (notes as unknown[]).length === 1, "an acknowledged write is gone");
    },
  },
  {
    name: "[G4] a node that was deposed does not say no",
    brokenBy: "refusalsUnchecked",
    async run(world, sabotage) {
      const old = await world.node({ catalogue: probeCatalogue, sabotage, claims: onlyOnce });
      const probe = address("registry");
      await call(old.host, probe, { type: "note", note: 1 });
      await world.node({ catalogue: probeCatalogue });
      const said = reasonOf(await call(old.host, probe, { type: "no" }, { withinMs: 300 }));
      assert.notEqual(said, "QUOTA", "a deposed owner said no");
    },
  },
  {
    name: "[G6] after an answer was lost, what is called certain is true",
    brokenBy: "reclaimSkipped",
    async run(world, sabotage) {
      const { host, store } = await world.node({ catalogue: probeCatalogue, sabotage });
      const probe = address("registry");
      let lost = false;
      store.fault = (what) => {
        if (what !== "commit" || lost) return undefined;
        lost = true;
        return "after";
      };
      const said = reasonOf(await call(host, probe, { type: "note", note: 1 }));
      const notes = ((await world.state(probe))?.context["notes"] ?? []) as unknown[];
      assert.equal(
        said === "applied",
        notes.length === 1,
        `the call was answered ${said}, the store has ${String(notes.length)}`,
      );
    },
  },
  {
    name: "[G4] after an answer was lost, the shard is claimed anew before anything is sent or read",
    brokenBy: "reclaimSkipped",
    async run(world, sabotage) {
      const { host, store } = await world.node({ catalogue: probeCatalogue, sabotage });
      const probe = address("registry");
      let lost = false;
      store.fault = (what) => {
        if (what !== "commit" || lost) return undefined;
        lost = true;
        return "before";
      };
      await call(host, probe, { type: "note", note: 1 });
      await until(
        async () => reasonOf(await call(host, probe, { type: "note", note: 2 }, { withinMs: 300 })) === "applied",
      );
      const [first, second] = store.commits;
      assert.notEqual(first?.fence.nonce, second?.fence.nonce, "the old claim was used again");
    },
  },
];

for (const { name, brokenBy, run } of CHECKS) {
  describe(name, () => {
    it("holds", async () => {
      await inWorld((world) => run(world, []));
    });
    it(`fails when ${brokenBy} is on`, async () => {
      await inWorld((world) => expect(run(world, [brokenBy])).rejects.toThrow(assert.AssertionError));
    });
  });
}

async function inWorld(run: (world: ActorWorld) => Promise<void>): Promise<void> {
  const world = await ActorWorld.open(1);
  try {
    await run(world);
  } finally {
    await world.close();
  }
}

/** A node that nobody lets own a shard a second time. */
function onlyOnce(claims: ShardClaims): ShardClaims {
  const claimed = new Set<number>();
  return {
    claim(shard, signal) {
      if (!claimed.has(shard)) {
        claimed.add(shard);
        return claims.claim(shard, signal);
      }
      return new Promise((_, reject) => {
        signal.addEventListener("abort", () => reject(new Error("stopped")), { once: true });
      });
    },
  };
}
