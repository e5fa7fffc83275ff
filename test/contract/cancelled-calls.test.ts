// What a caller does not want any more, on the actor host and a real store.
import { expect, it } from "vitest";
import { identityFacts, RETENTION } from "../support/actor-commands.ts";
import { ActorWorld, address, breathe, call, reasonOf } from "../support/actor-world.ts";

it("a call that was cancelled before its turn does not run; one that was cancelled after it is answered all the same", async () => {
  const world = await ActorWorld.open();
  const node = await world.node({ limits: { batchOperationsMax: 1 } });
  const client = address("identity");
  await call(node.host, client, { type: "create", reservation: "r", identity: identityFacts("alice"), tags: [] });
  const cancellation = { cancelled: false };
  const deadline = performance.now() + 5_000;
  const asked = (...set: string[]) =>
    node.host.call({
      to: client,
      command: { type: "update", tags: { set }, retention: RETENTION } as { type: string },
      deadline,
      cancellation,
    });
  node.store.hold();
  // The first is on its way to the store, the second fills the next batch, the third waits for room.
  const calls = [asked("a"), asked("b"), asked("c")];
  await breathe(20);
  cancellation.cancelled = true;
  node.store.release();
  expect((await Promise.all(calls)).map(reasonOf)).toEqual(["applied", "applied", "CANCELLED"]);
  expect((await world.state(client))?.context).toMatchObject({ tags: ["b"] });
  await world.close();
});
