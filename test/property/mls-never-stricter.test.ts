// Never stricter than members: groups of real ts-mls clients under seeded operations. Every commit that a
// member makes is followed here, every member processes it, and contexts and authenticators agree throughout.
// One kind is refused by name: GroupContextExtensions without a path, which RFC 9420 §12.4 wants (docs/INTEROP.md).
import { describe, expect, it } from "vitest";
import { FollowedGroup } from "../support/followed-group.ts";
import { GroupOperations } from "../support/group-operations.ts";
import type { ClientCiphersuite } from "../support/mls-client.ts";

const SEED = Number(process.env["AEGIS_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
/** 200 in the long run, with up to 50 members; fewer by default, as ts-mls takes its time. */
const OPERATIONS = Number(process.env["AEGIS_OPERATIONS"] ?? 16);
const MEMBERS_MAX = Number(process.env["AEGIS_MEMBERS"] ?? 9);
/** What is left of the kinds must come up within so many more. */
const UNSEEN_STEPS = 200;
const LONGEST_MS = 3 * 3_600_000;

describe("[M2] a follower is never stricter than members", () => {
  it.each<ClientCiphersuite>([1, 2, 3, 7])(
    "suite %i",
    async (ciphersuite) => {
      console.log(`mls-never-stricter: AEGIS_SEED=${SEED} AEGIS_OPERATIONS=${OPERATIONS} AEGIS_MEMBERS=${MEMBERS_MAX}`);
      const group = new FollowedGroup(ciphersuite);
      await group.open();
      const operations = new GroupOperations(group, SEED, MEMBERS_MAX);
      let most = 0;
      for (let step = 0; step < OPERATIONS || operations.unseen.length > 0; step++) {
        expect(step, `never possible: ${operations.unseen.join()}`).toBeLessThan(OPERATIONS + UNSEEN_STEPS);
        await operations.step(step >= OPERATIONS);
        most = Math.max(most, group.members.length);
      }
      console.log(`suite ${ciphersuite}: up to ${most} members,`, Object.fromEntries(group.seen));
    },
    LONGEST_MS,
  );
});
