// What the beginning of a large group costs everybody else: the longest stretch on the event loop, and how much one turn
// hands to the store. 10,000 and 50,000 members are measured by `npm run bench -- follow-commits`.
import { expect, onTestFinished, test } from "vitest";
import { ROSTER_PAGE_LEAVES } from "../../src/actors/roster.ts";
import type { Params } from "../../src/protocol/methods.ts";
import { openRedisStore } from "../../src/store/redis/redis-store.ts";
import { blocking, type Blocking } from "../support/event-loop-block.ts";
import { GroupServiceWorld } from "../support/group-service-world.ts";
import { startRedis } from "../support/redis-server.ts";
import { SyntheticGroup } from "../support/synthetic-group.ts";
import { credentialOf, newMember } from "../support/synthetic-structs.ts";

const SIZE = 2000;
const BLOCK_MS_MAX = 50;
/** The quietest counts: the first ones run code that is not compiled yet. */
const GROUPS = 3;
/** For thousands of clients and their groups, on a machine that is slow and busy. */
const MINUTES_MS = 240_000;

const stores = {
  lmdb: () => GroupServiceWorld.open({ settings: { strangers: false } }),
  async redis() {
    const redis = await startRedis();
    onTestFinished(() => redis.stop());
    const store = await openRedisStore({ url: redis.url, prefix: "cost", durability: "fsync", shardCount: 16 });
    onTestFinished(() => store.close());
    return GroupServiceWorld.open({ store, settings: { strangers: false } });
  },
};

test.each(["lmdb", "redis"] as const)(
  "[M9] a group of 2,000 clients begins in steps that leave everybody else the event loop: %s",
  { timeout: MINUTES_MS },
  async (name) => {
    const world = await stores[name]();
    onTestFinished(() => world.close());
    const members = Array.from({ length: SIZE }, (_, n) => newMember(`member ${String(n)}`));
    const clients = await world.register(members.map(credentialOf));
    const runs: Blocking[] = [];
    for (let n = 0; n < GROUPS; n += 1) {
      const groupId = `${name} ${String(n)}`;
      const { group, message } = founded(groupId, members);
      runs.push(await blocking(() => begin(world, message)));
      await expectTold(world, group.group.groupId, clients);
      await expectMembers(world, group.group.groupId, clients);
    }
    expect(Math.min(...runs.map(({ blockCpuMs }) => blockCpuMs))).toBeLessThanOrEqual(BLOCK_MS_MAX);
  },
);

test("[L5] the turn that begins a group stores pages, not members", { timeout: MINUTES_MS }, async () => {
  const world = await GroupServiceWorld.open();
  onTestFinished(() => world.close());
  const members = Array.from({ length: SIZE }, (_, n) => newMember(`member ${String(n)}`));
  await world.register(members.map(credentialOf));
  await begin(world, founded("pages", members).message);
  const own = world.written.filter((operation) => "actor" in operation && operation.actor.includes("/group/"));
  const owed = world.written.filter((operation) => operation.op === "putOutbox" && operation.id.includes("/group/"));
  const pages = Math.ceil(SIZE / ROSTER_PAGE_LEAVES);
  // Pages by leaf and by client; the tree, its state, the GroupInfo and the snapshot.
  expect(own.length).toBeLessThanOrEqual(2 * pages + 8);
  // A page of clients that are told, and the group's place in the list of groups.
  expect(owed.length).toBe(pages + 1);
});

function founded(groupId: string, members: readonly ReturnType<typeof newMember>[]) {
  const group = SyntheticGroup.create(SIZE, {
    historyEvery: SIZE,
    groupId,
    member: (leaf) => members[leaf] as (typeof members)[number],
  });
  const { ratchetTree } = group.group.snapshot();
  const message: Params<"group.create"> = { groupInfo: group.groupInfoMessage(), ratchetTree, tracking: "full" };
  return { group, message };
}

/** Until all that the group owes its members has arrived. */
async function begin(world: GroupServiceWorld, message: Params<"group.create">): Promise<void> {
  world.written.length = 0;
  expect(await world.create(message)).toMatchObject({ kind: "done" });
  const owing = (): number =>
    world.written.reduce((owed, operation) => {
      if (!("id" in operation) || !operation.id.includes("/group/")) return owed;
      return owed + (operation.op === "putOutbox" ? 1 : -1);
    }, 0);
  await expect.poll(owing, { interval: 20, timeout: 60_000 }).toBe(0);
}

async function expectTold(world: GroupServiceWorld, groupId: Uint8Array, clients: readonly string[]): Promise<void> {
  for (const clientId of clients) {
    const answer = await world.list(clientId);
    if (answer.kind !== "done") throw new Error(JSON.stringify(answer));
    const { groups } = answer.result as { groups: { groupId: Uint8Array }[] };
    expect(groups.map((group) => Buffer.from(group.groupId).toString())).toContain(Buffer.from(groupId).toString());
  }
}

async function expectMembers(world: GroupServiceWorld, groupId: Uint8Array, clients: readonly string[]): Promise<void> {
  const found: unknown[] = [];
  let cursor: string | undefined;
  do {
    const page = await world.members({ groupId, limit: 900, ...(cursor === undefined ? {} : { cursor }) });
    if (page.kind !== "done") throw new Error(JSON.stringify(page));
    const { members, cursor: next } = page.result as { members: { leaf: number; clientId: string }[]; cursor?: string };
    found.push(...members.map(({ leaf, clientId }) => [leaf, clientId]));
    cursor = next;
  } while (cursor !== undefined);
  expect(found).toEqual(clients.map((clientId, leaf) => [leaf, clientId]));
}
