// What the beginning of a group keeps from everybody else, at one size: a whole `group.create` by the service until every
// client has been told, all members being registered clients, on both stores. In this process, without sockets.
import type { Params } from "../src/protocol/methods.ts";
import { openRedisStore } from "../src/store/redis/redis-store.ts";
import type { Operation } from "../src/store/store.ts";
import { quietest, type Blocking } from "../test/support/event-loop-block.ts";
import { GroupServiceWorld } from "../test/support/group-service-world.ts";
import { startRedis } from "../test/support/redis-server.ts";
import { SyntheticGroup } from "../test/support/synthetic-group.ts";
import { credentialOf, newMember, type Member } from "../test/support/synthetic-structs.ts";

export const ENGINES = ["lmdb", "redis"] as const;
export type Engine = (typeof ENGINES)[number];

const SHARDS = 256;
const TOLD_POLL_MS = 20;
/** Groups begun, of which the quietest counts; making a large one takes long. */
const groupsBegun = (size: number): number => (size > 10_000 ? 2 : 3);

export async function runCreate(size: number, engine: Engine): Promise<Blocking> {
  // Before anything waits for an answer of the store: making groups blocks this process for longer than that may take.
  const members = Array.from({ length: size }, (_, n) => newMember(`member ${String(n)}`));
  const messages = Array.from({ length: groupsBegun(size) }, (_, n) => founded(`group ${String(n)}`, members));
  const redis = engine === "redis" ? await startRedis() : undefined;
  const store =
    redis && (await openRedisStore({ url: redis.url, prefix: "bench", durability: "fsync", shardCount: SHARDS }));
  const world = await GroupServiceWorld.open({
    ...(store === undefined ? {} : { store }),
    settings: { strangers: false },
  });
  try {
    await world.register(members.map(credentialOf));
    return await quietest(messages.map((message) => () => begin(world, message)));
  } finally {
    await world.close();
    await store?.close();
    await redis?.stop();
  }
}

/** Only its bytes are kept: what made the group must not be in memory while the server is measured. */
function founded(groupId: string, members: readonly Member[]): Params<"group.create"> {
  const group = SyntheticGroup.create(members.length, {
    historyEvery: members.length,
    groupId,
    member: (leaf) => members[leaf] as Member,
  });
  return { groupInfo: group.groupInfoMessage(), ratchetTree: group.group.snapshot().ratchetTree, tracking: "full" };
}

/** Until all that the group owes its members has arrived. */
async function begin(world: GroupServiceWorld, message: Params<"group.create">): Promise<void> {
  world.written.length = 0;
  const answer = await world.create(message);
  if (answer.kind === "refused") throw new Error(JSON.stringify(answer.refusal));
  while (owed(world.written) > 0) await new Promise((resolve) => setTimeout(resolve, TOLD_POLL_MS));
}

/** Messages of groups that were put and are not deleted yet. */
function owed(written: readonly Operation[]): number {
  let owing = 0;
  for (const operation of written) {
    if ("id" in operation && operation.id.includes("/group/")) owing += operation.op === "putOutbox" ? 1 : -1;
  }
  return owing;
}
