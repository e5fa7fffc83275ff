// One Welcome for several clients (PROTOCOL §4, Events): each inbox gives out a whole Welcome with its own secrets,
// though what they have in common is stored once, with the group.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Subscription } from "../../src/client/client.ts";
import type { InboxEvents } from "../../src/protocol/schemas/events.ts";
import { AppWorld, type TestApplication } from "../support/app-world.ts";
import { createDevice, type Device } from "../support/devices.ts";
import { inboxEvents, Member } from "../support/members.ts";

let world: AppWorld;
let app: TestApplication;
beforeAll(async () => {
  world = await AppWorld.start();
  app = await world.application();
});
afterAll(() => world.stop());

/** The Welcomes that come in, by client. */
async function takeWelcomes(subscription: Subscription, count: number): Promise<Map<unknown, Uint8Array>> {
  const found = new Map<unknown, Uint8Array>();
  for await (const item of subscription) {
    if (item.kind !== "event" || item.type !== "welcome") continue;
    found.set(item.stream.id, item.body.welcome);
    if (found.size === count) break;
  }
  return found;
}

describe.each(["full", "ordering"] as const)("three clients added by one commit in %s tracking", (tracking) => {
  test("each get their Welcome live and from the inbox, and join, even when the group was deleted meanwhile", async () => {
    const devices: Device[] = [];
    for (const name of ["alice", "bob", "carol", "dave"]) {
      devices.push(await createDevice(app.client, `${name}-${tracking}`));
    }
    const [alice, ...others] = devices as [Device, Device, Device, Device];
    const subscription = app.client.subscribe();
    await subscription.add(others.map(({ clientId }) => ({ kind: "client" as const, id: clientId })));
    const live = takeWelcomes(subscription, others.length);
    const founder = await Member.create(app.client, alice, { tracking });
    await founder.add(others);
    const ratchetTree = founder.group.ratchetTree();
    const welcomes = await live;
    await app.client.group.delete({ groupId: founder.groupId });
    for (const { clientId, mls } of others) {
      const welcome = welcomes.get(clientId) as Uint8Array;
      const inbox = await inboxEvents(app.client, clientId);
      const read = inbox.find(({ type }) => type === "welcome")?.body as InboxEvents["welcome"];
      expect(read).toMatchObject({ groupId: founder.groupId, epoch: 1n, welcome });
      expect(Object.keys(read).sort()).toEqual(["after", "epoch", "groupId", "keyPackageRef", "treeBytes", "welcome"]);
      const joined = await mls.joinFromWelcome(welcome, ratchetTree);
      expect(joined.epochAuthenticator).toEqual(founder.group.epochAuthenticator);
    }
    await subscription.close();
  });
});
