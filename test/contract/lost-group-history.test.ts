// What a node remembers of a group when the store has lost history and another went on from there: the group's state as
// the node followed it is of commits that never were (GUARANTEES, rule 8).
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openLmdbStore } from "../../src/store/lmdb/lmdb-store.ts";
import type { Store } from "../../src/store/store.ts";
import { CommitStream, type MadeCommit } from "../support/commit-stream.ts";
import { GroupServiceWorld } from "../support/group-service-world.ts";

const SHARDS = 4;

let folder: string;
let stores: Store[];

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "aegis-lost-group-"));
  const open = (name: string): Promise<Store> =>
    openLmdbStore({ path: path.join(folder, name), durability: "memory", shardCount: SHARDS });
  stores = await Promise.all([open("lost"), open("left")]);
});

afterEach(async () => {
  await Promise.all(stores.map((store) => store.close()));
  await rm(folder, { recursive: true, force: true });
});

/** A store that becomes another one under whoever uses it. */
function replaced(first: Store): { readonly store: Store; by(other: Store): void } {
  let present = first;
  const store = new Proxy(first, {
    get: (_, name) => {
      const value: unknown = Reflect.get(present, name);
      return typeof value === "function" ? (value.bind(present) as unknown) : value;
    },
  });
  return { store, by: (other) => (present = other) };
}

async function committed(world: GroupServiceWorld, groupId: Uint8Array, { message, groupInfo }: MadeCommit) {
  for (;;) {
    const answer = await world.commit({ groupId, commit: message, welcomes: [], groupInfo, added: [], removed: [] });
    if (answer.kind !== "refused" || !answer.refusal.retryable) return answer;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

test.each([
  ["went as far", 1],
  ["went further", 2],
])("[G1] a commit is judged by the history that is there, where another %s", async (_, further) => {
  const [lost, left] = stores as [Store, Store];
  const stream = new CommitStream(3);
  const { group } = stream.group;
  const { groupId } = group.context;
  const groupInfo = stream.group.groupInfoMessage();
  const beginning = { groupInfo, ratchetTree: group.snapshot().ratchetTree, tracking: "full" as const };
  const under = replaced(lost);
  const world = await GroupServiceWorld.open({ store: under.store });
  const other = await GroupServiceWorld.open({ store: left });
  for (const each of [world, other]) expect(await each.create(beginning)).toMatchObject({ kind: "done" });

  expect(await committed(world, groupId, await stream.next("update"))).toMatchObject({ kind: "done" });
  stream.group.group = group;
  for (let n = 0; n < further; n += 1) {
    expect(await committed(other, groupId, await stream.next("update"))).toMatchObject({ kind: "done" });
  }
  under.by(left);
  const next = await committed(world, groupId, await stream.next("update"));
  expect(next).toMatchObject({ kind: "done", result: { epoch: group.epoch + BigInt(further) + 1n } });
  await world.close();
  await other.close();
});
