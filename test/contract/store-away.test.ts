// The actor host while its store is away: what is known is said at once, and what comes late harms nobody.
import { afterEach, beforeEach, expect, it } from "vitest";
import { identityFacts, RETENTION } from "../support/actor-commands.ts";
import { ActorWorld, address, breathe, call, reasonOf, until } from "../support/actor-world.ts";

let world: ActorWorld;
beforeEach(async () => {
  world = await ActorWorld.open();
});
afterEach(async () => {
  await world.close();
});

const create = () => ({ type: "create", reservation: "r", identity: identityFacts("alice"), tags: [] });
const setTags = (...set: string[]) => ({ type: "update", tags: { set }, retention: RETENTION });

it("[G6] what was certainly not sent is refused as not applied at once, however long the store is away", async () => {
  const node = await world.node();
  const client = address("identity");
  await call(node.host, client, create());
  node.store.fault = (what) => (what === "commit" ? "unsent" : "before");
  const began = performance.now();
  expect(reasonOf(await call(node.host, client, setTags("a"), { key: "k", withinMs: 20_000 }))).toBe("NOT_OWNER");
  expect(performance.now() - began).toBeLessThan(10_000);
  node.store.fault = () => undefined;
  await until(async () => reasonOf(await call(node.host, client, setTags("a"), { key: "k" })) === "applied");
  expect((await world.state(client))?.context).toMatchObject({ tags: ["a"], version: 2 });
});

it("[G6] what an actor of an ownership that is over hears late from the store is not held against the next", async () => {
  const node = await world.node();
  const client = address("identity");
  await call(node.host, client, create(), { key: "k" });
  let answer: () => void = () => undefined;
  const late = new Promise<void>((resolve) => (answer = resolve));
  node.store.fault = (what) => (what === "readMarksFenced" ? { after: late } : undefined);
  const first = call(node.host, client, create(), { key: "k" });
  await until(() => node.store.delayed === 1);
  node.store.fault = () => undefined;
  node.host.loseAll("a test");
  expect(reasonOf(await first)).toBe("NOT_OWNER");
  await until(() => node.host.shardsOwned === 4);
  answer();
  await breathe(20);
  expect(node.events.filter((event) => event.startsWith("lost"))).toHaveLength(4);
  expect(reasonOf(await call(node.host, client, setTags("a")))).toBe("applied");
});
