// Never stricter than members: groups of real ts-mls clients under seeded operations. Every commit that a
// member makes is followed here, every member processes it, and contexts and authenticators agree throughout.
// Without GroupContextExtensions: ts-mls 1.6.4 gives such a commit no path, which RFC 9420 §12.4 wants and we
// ask for, and with one (beside a Remove) its own members can't decrypt it: docs/INTEROP.md.
import { describe, expect, it } from "vitest";
import { FollowedGroup } from "../support/followed-group.ts";
import type { ClientCiphersuite } from "../support/mls-client.ts";

const SEED = Number(process.env["AEGIS_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
/** 200 in the long run, with up to 50 members; fewer by default, as ts-mls takes its time. */
const OPERATIONS = Number(process.env["AEGIS_OPERATIONS"] ?? 12);
const MEMBERS_MAX = Number(process.env["AEGIS_MEMBERS"] ?? 9);

describe("[M2] a follower is never stricter than members", () => {
  it.each<ClientCiphersuite>([1, 2, 3, 7])(
    "suite %i",
    async (ciphersuite) => {
      console.log(`mls-never-stricter: AEGIS_SEED=${SEED} AEGIS_OPERATIONS=${OPERATIONS}`);
      const group = new FollowedGroup(ciphersuite, SEED, MEMBERS_MAX);
      await group.open();
      for (let step = 0; step < OPERATIONS; step++) await group.step();
      const failed = BigInt(group.seen.get("not joined") ?? 0);
      expect(group.follower?.epoch).toBeGreaterThanOrEqual(BigInt(OPERATIONS) - failed);
      console.log(`suite ${ciphersuite}:`, Object.fromEntries(group.seen));
    },
    600_000,
  );
});
