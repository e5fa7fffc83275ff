// An actor that a newer version of the server wrote, at a node of this one.
import { expect, it } from "vitest";
import { actorKey } from "../../src/actors/actor-address.ts";
import { machineCatalogue } from "../../src/actors/machine-catalogue.ts";
import { identityFacts, RETENTION } from "../support/actor-commands.ts";
import { ActorWorld, address, applied, call, reasonOf } from "../support/actor-world.ts";

it("[F23] is not touched: the call is refused as retryable, and its shard is for another node", async () => {
  const world = await ActorWorld.open(1);
  try {
    const [client, neighbour] = [address("identity"), address("identity")];
    const create = (handle: string) => ({
      type: "create",
      reservation: "r",
      identity: identityFacts(handle),
      tags: [],
    });
    const version = machineCatalogue.identity.version + 1;
    const newer = { ...machineCatalogue, identity: { ...machineCatalogue.identity, version } };
    const future = await world.node({ catalogue: newer });
    await applied(await call(future.host, client, create("alice"))).settled;
    const stored = () => world.store.readSnapshots([{ shard: 0, actor: actorKey(client) }]);
    const before = await stored();
    world.kill(future);

    const present = await world.node();
    const setTags = { type: "update", tags: { set: ["a"] }, retention: RETENTION };
    expect(reasonOf(await call(present.host, client, setTags))).toBe("NOT_OWNER");
    const told = present.events.filter((event) => /new|failed|lost/.test(event));
    expect(told).toEqual([`too new: identity ${version}`, "shard 0 to a newer node"]);
    expect(await stored()).toEqual(before);
    // Until another has it, the rest of the shard is served here.
    expect(reasonOf(await call(present.host, neighbour, create("bob")))).toBe("applied");
  } finally {
    await world.close();
  }
});
