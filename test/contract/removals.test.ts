// The back-end's own Removes, where clients that were members no more when they were deleted stand before those that are.
import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { actorKey, shardOf } from "../../src/actors/actor-address.ts";
import { openLmdbStore } from "../../src/store/lmdb/lmdb-store.ts";
import type { Store } from "../../src/store/store.ts";
import { APPLICATION } from "../support/actor-world.ts";
import { GroupServiceWorld } from "../support/group-service-world.ts";
import { MlsClient } from "../support/mls-client.ts";

/** More than are proposed in one epoch. */
const NO_MEMBERS = 300;

let folder: string;
let store: Store;
let world: GroupServiceWorld;
/** When a commit has been held against the proposals that stand, and before its turn. */
let between: () => Promise<void>;
const nothing = () => Promise.resolve();

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "aegis-removals-"));
  store = await openLmdbStore({ path: folder, durability: "memory", shardCount: 4 });
  between = nothing;
  world = await GroupServiceWorld.open({ store: interrupted(store) });
});
afterEach(async () => {
  await world.close();
  await store.close();
  await rm(folder, { recursive: true, force: true });
});

function interrupted(whole: Store): Store {
  return new Proxy(whole, {
    get(target, name) {
      if (name === "readParts") {
        return async (...args: Parameters<Store["readParts"]>) => {
          const isOwners = args[2].some((part) => part.startsWith("leaf/"));
          const now = isOwners ? between : nothing;
          if (isOwners) between = nothing;
          await now();
          return target.readParts(...args);
        };
      }
      const value: unknown = Reflect.get(target, name);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
}

/** A followed group of two registered clients; the ids of both. */
async function groupOfTwo() {
  const [founder, other] = await Promise.all(["founder", "other"].map((identity) => MlsClient.create({ identity })));
  if (founder === undefined || other === undefined) throw new Error("there are two");
  const clientIds = await world.register([founder.credential, other.credential]);
  const extensionData = await world.externalSender(1);
  const group = await founder.createGroup(Uint8Array.from(randomBytes(16)), [
    { extensionType: "external_senders", extensionData },
  ]);
  const pending = await group.commit({ add: [(await other.createKeyPackage()).message] });
  pending.accept();
  const beginning = { groupInfo: await group.groupInfo(), ratchetTree: group.ratchetTree(), tracking: "full" } as const;
  expect(await world.create(beginning)).toMatchObject({ kind: "done" });
  return { group, clientIds };
}

async function removalsOf(groupId: Uint8Array): Promise<string[]> {
  const actor = actorKey({ applicationId: APPLICATION, kind: "group", id: Buffer.from(groupId).toString("hex") });
  const query = { prefix: "removal/", limit: 1000 };
  return (await store.listParts(shardOf(actor, store.shardCount), actor, query)).map(({ name }) => name);
}

it("[M6] a deleted member's leaf is to go, however many were removed before they were deleted; those are forgotten", async () => {
  const { group, clientIds } = await groupOfTwo();
  const { groupId } = group;
  for (let n = 0; n < NO_MEMBERS; n += 1) {
    await world.tellDeleted(groupId, `00000000-0000-4000-8000-${String(n).padStart(12, "0")}`);
  }
  const leaving = clientIds[1] as string;
  await world.tellDeleted(groupId, leaving);
  await world.proposeRemovals(groupId);
  const read = await world.get({ groupId, include: ["proposals"] });
  expect(read).toMatchObject({ kind: "done", result: { proposals: [{ sender: { type: "external" } }] } });
  expect(await removalsOf(groupId)).toEqual([`removal/${leaving}`]);
});

it("[M6] a commit is held against the back-end's Remove that came after it was judged", async () => {
  const { group, clientIds } = await groupOfTwo();
  const { groupId } = group;
  const { commit, groupInfo } = await group.commit();
  let proposed = 0;
  between = async () => {
    await world.tellDeleted(groupId, clientIds[1] as string);
    await world.proposeRemovals(groupId);
    proposed += 1;
  };
  const answer = await world.commit({ groupId, commit, groupInfo, welcomes: [], added: [], removed: [] });
  expect(proposed).toBe(1);
  expect(answer).toMatchObject({ kind: "refused", refusal: { reason: "PROPOSALS_MISSING" } });
});
