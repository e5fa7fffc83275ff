// When the host asks the store for the result of an idempotency key, and when it knows that there can be none.
import { afterEach, beforeEach, expect, it } from "vitest";
import { actorKey } from "../../src/actors/actor-address.ts";
import type { ActorAddress, Command } from "../../src/actors/actor-port.ts";
import { refuse } from "../../src/protocol/errors.ts";
import { decode, encode } from "../../src/protocol/codec.ts";
import { identityFacts, RETENTION } from "../support/actor-commands.ts";
import { ActorWorld, address, call, reasonOf, type Node } from "../support/actor-world.ts";

let world: ActorWorld;
beforeEach(async () => {
  world = await ActorWorld.open();
});
afterEach(async () => {
  await world.close();
});

const create = () => ({ type: "create", reservation: "r", identity: identityFacts("alice"), tags: [] });
const setTags = (...set: string[]) => ({ type: "update", tags: { set }, retention: RETENTION });

/** What the call came to, and whether the store was asked what its key had done. */
async function asked(
  node: Node,
  client: ActorAddress,
  command: Command & Record<string, unknown>,
  key: string,
): Promise<{ readonly was: string; readonly repeated: boolean; readonly reads: number }> {
  let reads = 0;
  node.store.fault = (what) => {
    if (what === "readMarksFenced") reads += 1;
    return undefined;
  };
  const outcome = await call(node.host, client, command, { key });
  return { was: reasonOf(outcome), repeated: outcome.kind === "applied" && outcome.repeated, reads };
}

/** A second node, once the first has let go of all that it had. */
async function next(node: Node): Promise<Node> {
  await node.host.stop();
  return world.node();
}

const FIRST = { was: "applied", repeated: false };
const AGAIN = { was: "applied", repeated: true, reads: 1 };

it("[E4] an actor that is in memory asks only for a key that it has seen", async () => {
  const node = await world.node();
  const client = address("identity");
  await call(node.host, client, create());
  for (const key of ["a", "b", "c"]) {
    expect(await asked(node, client, setTags(key), key)).toEqual({ ...FIRST, reads: 0 });
  }
  for (const key of ["c", "a", "b"]) expect(await asked(node, client, setTags(key), key)).toEqual(AGAIN);
  const other = { key: "a", digest: "other" };
  expect(reasonOf(await call(node.host, client, setTags("x"), { key: other }))).toBe("KEY_REUSED");
});

it("[E4] an actor that comes from another node asks for as long as that one's results are kept", async () => {
  const client = address("identity");
  const old = await world.node();
  await call(old.host, client, create());
  await call(old.host, client, setTags("a"), { key: "a" });
  const young = await next(old);
  expect(await asked(young, client, setTags("a"), "a")).toEqual(AGAIN);
  expect(await asked(young, client, setTags("b"), "b")).toEqual({ ...FIRST, reads: 1 });
  // Ten minutes, and one for clocks that are not quite the same.
  world.jump(600_000);
  expect(await asked(young, client, setTags("c"), "c")).toEqual({ ...FIRST, reads: 1 });
  world.jump(60_000);
  expect(await asked(young, client, setTags("d"), "d")).toEqual({ ...FIRST, reads: 0 });
});

it("[G4] [E4] what changed nothing is remembered beyond its node all the same", async () => {
  const client = address("identity");
  const old = await world.node();
  await call(old.host, client, create());
  const before = await world.state(client);
  const nothing = { type: "acknowledge", offset: 0 };
  expect(await asked(old, client, nothing, "k")).toEqual({ ...FIRST, reads: 0 });
  expect(await world.state(client)).toEqual(before);
  const young = await next(old);
  await call(young.host, client, setTags("b"));
  expect(await asked(young, client, nothing, "k")).toEqual(AGAIN);
});

it("[F23] [E4] of an actor that an older node wrote it is not known, so the store is asked", async () => {
  const client = address("identity");
  const old = await world.node();
  await call(old.host, client, create());
  await call(old.host, client, setTags("a"), { key: "a" });
  await old.host.stop();
  const [shard, actor] = [world.shardOf(client), actorKey(client)];
  const [bytes] = await world.store.readSnapshots([{ shard, actor }]);
  const { r, ...older } = decode(bytes as Uint8Array) as Record<string, unknown>;
  expect(r).toBeGreaterThan(Date.now());
  const owner = await world.store.readOwner(shard);
  if (owner === undefined) throw new Error("nobody owns the shard");
  const put = { op: "putSnapshot", actor, bytes: encode(older) } as const;
  expect((await world.store.commit(shard, owner.fence, owner.sequence + 1, [put])).kind).toBe("applied");
  const young = await world.node();
  // A turn without a key leaves it as unknown as it was.
  await call(young.host, client, setTags("b"));
  const third = await next(young);
  expect(await asked(third, client, setTags("a"), "a")).toEqual(AGAIN);
});

it("[G4] a question that may be answered otherwise asks the store, which knows whether this node still may answer", async () => {
  const node = await world.node();
  const client = address("identity");
  await call(node.host, client, create());
  const question = { to: client, command: setTags("a"), key: { key: "k", digest: "d" }, otherwise: refuse("QUOTA") };
  let reads = 0;
  node.store.fault = (what) => {
    if (what !== "readMarksFenced") return undefined;
    reads += 1;
    return "fenced";
  };
  expect(reasonOf(await node.host.call({ ...question, deadline: performance.now() + 5_000 }))).toBe("NOT_OWNER");
  expect(reads).toBe(1);
});
