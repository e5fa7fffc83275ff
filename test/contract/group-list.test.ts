// A client's groups are listed whole, however many it was a member of that are gone since: those tell nobody one by one.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { openLmdbStore } from "../../src/store/lmdb/lmdb-store.ts";
import type { Store } from "../../src/store/store.ts";
import { GroupServiceWorld } from "../support/group-service-world.ts";
import { MlsClient } from "../support/mls-client.ts";

const GONE = 10_000;
const AT_ONCE = 500;

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
