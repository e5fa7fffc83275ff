// A client's groups: listed whole, however many are gone since and could not say so; and forgotten when they end.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { membershipPart } from "../../src/actors/inbox.ts";
import { placeOf } from "../../src/services/service-ports.ts";
import { openLmdbStore } from "../../src/store/lmdb/lmdb-store.ts";
import type { Store } from "../../src/store/store.ts";
import { GroupServiceWorld } from "../support/group-service-world.ts";
import { MlsClient } from "../support/mls-client.ts";
import { SyntheticGroup } from "../support/synthetic-group.ts";
import { credentialOf, newMember, type Member } from "../support/synthetic-structs.ts";

const GONE = 10_000;
const AT_ONCE = 500;
/** More than one page of them. */
const MEMBERS = 150;

let folder: string;
let store: Store;
let world: GroupServiceWorld;

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "aegis-list-"));
  store = await openLmdbStore({ path: folder, durability: "memory", shardCount: 4 });
  world = await GroupServiceWorld.open({ store });
});
afterEach(async () => {
  await world.close();
  await store.close();
  await rm(folder, { recursive: true, force: true });
});

function idOf(n: number): Uint8Array {
  return Buffer.from(n.toString(16).padStart(8, "0"), "hex");
}

it("group.list passes over ten thousand groups that are gone, and ends at the deadline", async () => {
  const member = await MlsClient.create({ identity: "member" });
  const [clientId] = (await world.register([member.credential])) as [string];
  for (let from = 0; from < GONE; from += AT_ONCE) {
    await Promise.all(Array.from({ length: AT_ONCE }, (_, n) => world.tellMembership(clientId, idOf(from + n))));
  }
  const group = await member.createGroup(idOf(0xffff_ffff));
  const ratchetTree = group.ratchetTree();
  const created = await world.create({ groupInfo: await group.groupInfo(), ratchetTree, tracking: "full" });
  expect(created.kind).toBe("done");
  await expect
    .poll(() => world.list(clientId))
    .toMatchObject({
      kind: "done",
      result: { groups: [{ groupId: group.groupId, epoch: 0n, position: { offset: 0 } }] },
    });
  const late = await world.list(clientId, performance.now());
  expect(late).toMatchObject({ kind: "refused", refusal: { reason: "DEADLINE_EXCEEDED" } });
}, 60_000);

/** Groups of which the store says that these clients are members. */
async function memberships(clientIds: readonly string[]): Promise<number> {
  const { applicationId } = world.request("group.list", {});
  const listed = clientIds.map((id) => {
    const { shard, actor } = placeOf(store, { applicationId, kind: "identity", id });
    return store.listParts(shard, actor, { prefix: membershipPart(""), limit: AT_ONCE });
  });
  return (await Promise.all(listed)).flat().length;
}

it.each(["full", "ordering"] as const)(
  "a group of %s tracking that is deleted leaves nothing with its members",
  async (tracking) => {
    const members = Array.from({ length: MEMBERS }, (_, n) => newMember(`member ${String(n)}`));
    const clientIds = await world.register(members.map(credentialOf));
    const [founder] = clientIds as [string, ...string[]];
    const group = SyntheticGroup.create(MEMBERS, {
      groupId: "ends",
      historyEvery: MEMBERS,
      member: (leaf) => members[leaf] as Member,
    });
    const { ratchetTree } = group.group.snapshot();
    const created = await world.create({ groupInfo: group.groupInfoMessage(), ratchetTree, tracking });
    expect(created.kind).toBe("done");
    const other = await world.create({
      groupInfo: SyntheticGroup.create(1, { groupId: "stays", member: () => members[0] as Member }).groupInfoMessage(),
      as: founder,
      tracking: "ordering",
    });
    expect(other.kind).toBe("done");
    await expect.poll(() => memberships(clientIds)).toBe(MEMBERS + 1);
    expect(await world.delete({ groupId: Buffer.from("ends") })).toEqual({ kind: "done", result: {} });
    await expect.poll(() => memberships(clientIds)).toBe(1);
    expect(await world.list(founder)).toMatchObject({
      result: { groups: [{ groupId: Buffer.from("stays") }] },
    });
  },
  60_000,
);
