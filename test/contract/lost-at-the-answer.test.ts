// A shard that is lost at the very moment at which its batch is answered: what was written is not called undone.
import { afterEach, beforeEach, expect, it } from "vitest";
import { identityFacts, RETENTION } from "../support/actor-commands.ts";
import { ActorWorld, address, call, reasonOf } from "../support/actor-world.ts";

let world: ActorWorld;
beforeEach(async () => {
  world = await ActorWorld.open();
});
afterEach(async () => {
  await world.close();
});

const create = { type: "create", reservation: "r", identity: identityFacts("alice"), tags: [] };

it("[E5] [G6] a node distrusted between a batch's answer and its release says what came of the batch", async () => {
  const wrong: string[] = [];
  // The answers of the store and the news that this node was expelled may come in one read of the socket: the loss then
  // falls between any two steps of what goes on with the batch's answer.
  for (let steps = 0; steps < 8; steps += 1) {
    const node = await world.node();
    const client = address("identity");
    await call(node.host, client, create);
    const commit = node.store.commit.bind(node.store);
    let armed = true;
    node.store.commit = async (...args) => {
      const outcome = await commit(...args);
      if (armed && outcome.kind === "applied")
        afterSteps(steps, () => node.host.loseAll("expelled by the other nodes"));
      armed = false;
      return outcome;
    };
    const said = reasonOf(
      await call(node.host, client, { type: "update", tags: { set: ["a"] }, retention: RETENTION }),
    );
    const tags = (await world.state(client))?.context["tags"];
    if (said !== "applied" && said !== "OUTCOME_UNKNOWN" && JSON.stringify(tags) === '["a"]')
      wrong.push(`${String(steps)}: ${said}`);
    world.kill(node);
  }
  expect(wrong).toEqual([]);
});

function afterSteps(steps: number, act: () => void): void {
  queueMicrotask(() => (steps === 0 ? act() : afterSteps(steps - 1, act)));
}
