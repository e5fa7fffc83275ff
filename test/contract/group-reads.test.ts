// What is read of a group is of one epoch, although the head and what is kept beside it are read one after the other.
import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { GROUP_INFO_PART } from "../../src/actors/group-state.ts";
import { readGroupInfo } from "../../src/mls/group-info.ts";
import { openLmdbStore } from "../../src/store/lmdb/lmdb-store.ts";
import type { Store } from "../../src/store/store.ts";
import { GroupServiceWorld } from "../support/group-service-world.ts";
import { MlsClient } from "../support/mls-client.ts";
import type { MlsGroup } from "../support/mls-group.ts";

let folder: string;
let store: Store;
let world: GroupServiceWorld;
let group: MlsGroup;
/** Between the reads of the head and of the GroupInfo, or the tree; what it does reads too. */
let between: () => Promise<void>;
const nothing = () => Promise.resolve();
const once = () => {
  const now = between;
  between = nothing;
  return now();
};
const commitAtEachTry = async () => {
  await commit();
  between = commitAtEachTry;
};

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "aegis-reads-"));
  store = await openLmdbStore({ path: folder, durability: "memory", shardCount: 4 });
  between = nothing;
  world = await GroupServiceWorld.open({ store: interrupted(store) });
  group = await (await MlsClient.create({ identity: "reader" })).createGroup(Uint8Array.from(randomBytes(16)));
  const ratchetTree = group.ratchetTree();
  const created = await world.create({ groupInfo: await group.groupInfo(), ratchetTree, tracking: "ordering" });
  expect(created.kind).toBe("done");
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
          if (args[2].some((part) => part === GROUP_INFO_PART || part.startsWith("tree/"))) await once();
          return target.readParts(...args);
        };
      }
      const value: unknown = Reflect.get(target, name);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
}

async function commit(): Promise<void> {
  const pending = await group.commit();
  const { groupId } = group;
  const answer = await world.commit({
    groupId,
    commit: pending.commit,
    groupInfo: pending.groupInfo,
    ratchetTree: pending.ratchetTree,
    welcomes: [],
  });
  expect(answer.kind).toBe("done");
  pending.accept();
}

const get = () => world.get({ groupId: group.groupId, include: ["groupInfo", "proposals"] });

it("[M8] group.get gives the GroupInfo of the epoch that it says, although a commit comes while it reads", async () => {
  between = commit;
  const answer = await get();
  if (answer.kind !== "done") throw new Error(answer.refusal.reason);
  const { epoch, groupInfo } = answer.result as { epoch: bigint; groupInfo: Uint8Array };
  expect(epoch).toBe(1n);
  expect(readGroupInfo(groupInfo)).toMatchObject({ value: { epoch } });
});

it("[M8] group.get is refused as STATE_MOVED, to be asked again, when an epoch begins at each try", async () => {
  between = commitAtEachTry;
  expect(await get()).toMatchObject({ kind: "refused", refusal: { reason: "STATE_MOVED", retryable: true } });
  between = nothing;
  expect(await get()).toMatchObject({ kind: "done", result: { epoch: group.epoch } });
});

it("[M8] group.tree without an epoch gives the present one's, although that begins while it reads", async () => {
  between = commit;
  const answer = await world.tree({ groupId: group.groupId, from: 0, bytesMax: 1_000_000 });
  expect(answer).toMatchObject({ kind: "done", result: { epoch: 1n, total: group.ratchetTree().length } });
});
