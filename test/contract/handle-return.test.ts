// A client that leaves a handle and comes back while the handle's release is still on its way.
import { randomUUID } from "node:crypto";
import { expect, it } from "vitest";
import type { Outcome } from "../../src/actors/actor-port.ts";
import { identityFacts, RETENTION } from "../support/actor-commands.ts";
import { ActorWorld, address, applied, breathe, call, reasonOf, until } from "../support/actor-world.ts";

it("[G8] [F24] keeps the handle, although the late release arrives behind its return", async () => {
  const world = await ActorWorld.open(8);
  try {
    const { host, store } = await world.node();
    const client = address("identity");
    const [ann, bob] = [identityFacts("ann"), identityFacts("bob")];
    const handles = { ann: address("handle", ann.handleId), bob: address("handle", bob.handleId) };
    const reserve = async (to: typeof handles.ann, clientId: string): Promise<Outcome> => {
      for (;;) {
        const outcome = await call(host, to, { type: "reserve", clientId, reservation: randomUUID() });
        if (outcome.kind === "applied" || !outcome.refusal.retryable) return outcome;
        await breathe(1);
      }
    };
    const move = async (to: typeof handles.ann, identity: typeof ann, judgedVersion: number): Promise<void> => {
      const { reservation } = applied(await reserve(to, client.id)).value as { reservation: string };
      const update = { type: "update", identity, reservation, judgedVersion, retention: RETENTION };
      applied(await call(host, client, update));
    };
    const first = applied(await reserve(handles.ann, client.id)).value as { reservation: string };
    const create = { type: "create", reservation: first.reservation, identity: ann, tags: [] };
    await applied(await call(host, client, create)).settled;

    // Messages can't reach ann's handle for a while; calls can.
    let cut = true;
    store.fault = (what, shard, operations) => {
      const message = operations.some((each) => each.op === "putMark" && each.name.startsWith("h/"));
      return cut && what === "commit" && shard === world.shardOf(handles.ann) && message ? "before" : undefined;
    };
    await move(handles.bob, bob, 1);
    await move(handles.ann, ann, 2);
    expect(reasonOf(await reserve(handles.ann, "thief"))).toBe("HANDLE_TAKEN");
    cut = false;
    await until(async () => {
      const owner = await world.store.readOwner(world.shardOf(client));
      return (
        owner !== undefined && (await world.store.readOutbox(world.shardOf(client), owner.fence, "", 1)).length === 0
      );
    }, "everything delivered");
    expect((await world.state(handles.ann))?.value).toBe("held");
    await until(async () => (await world.state(handles.bob))?.value === "free", "bob free");
    expect((await world.state(handles.ann))?.context["clientId"]).toBe(client.id);
    expect(reasonOf(await reserve(handles.ann, "thief"))).toBe("HANDLE_TAKEN");
  } finally {
    await world.close();
  }
});
