// `ordering` tracking knows the members that it is told of (PROTOCOL §4): who may be `as`, and whom a commit removes.
import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { GroupEvents } from "../../src/protocol/schemas/events.ts";
import { AppWorld, refusal, type TestApplication } from "../support/app-world.ts";
import { createDevice, keyPackageOf, type Device } from "../support/devices.ts";
import { groupEvents, inboxEvents, Member } from "../support/members.ts";

let world: AppWorld;
let app: TestApplication;
beforeAll(async () => {
  world = await AppWorld.start();
  app = await world.application({ externalJoin: "open" });
});
afterAll(() => world.stop());

let made = 0;
function device(): Promise<Device> {
  made += 1;
  return createDevice(app.client, `named-${String(made)}`);
}

async function founded(): Promise<Member> {
  return Member.create(app.client, await device());
}

/** `as` in a message of which only members see the sender. */
async function sendAs(by: Member, { clientId }: Device): Promise<string> {
  const message = await by.group.send(Buffer.from("x"));
  return app.client.group.send({ groupId: by.groupId, message, as: clientId }).then(
    () => "sent",
    (error: unknown) => (error as { reason: string }).reason,
  );
}

async function groupWithoutTree(epochs: number, as?: Device): Promise<Member> {
  const one = as ?? (await device());
  const group = await one.mls.createGroup(Uint8Array.from(randomBytes(16)));
  for (let n = 0; n < epochs; n += 1) (await group.commit()).accept();
  const groupInfo = await group.groupInfo();
  await app.client.group.create({
    groupInfo,
    tracking: "ordering",
    ...(as === undefined ? {} : { as: as.clientId }),
  });
  return new Member(app.client, one, group);
}

describe("[M5] `as`, in a PrivateMessage", () => {
  test("is a member: a client that was never named, or that has left, is AS_MISMATCH in send, propose and commit", async () => {
    const [alice, bob, carol] = [await founded(), await device(), await device()];
    await alice.add([bob]);
    expect(await sendAs(alice, bob)).toBe("sent");
    expect(await sendAs(alice, carol)).toBe("AS_MISMATCH");
    await alice.commit({ remove: [1] }, { removed: [bob.clientId] });
    expect(await sendAs(alice, bob)).toBe("AS_MISMATCH");
    expect(await sendAs(alice, alice.device)).toBe("sent");
    const { groupId } = alice;
    const asPublicMessage = false;
    const pending = await alice.group.commit({ asPublicMessage });
    const keyPackage = keyPackageOf((await carol.mls.createKeyPackage()).message);
    const proposal = await alice.group.propose({ proposalType: "add", add: { keyPackage } }, { asPublicMessage });
    for (const asked of [
      app.client.group.propose({ groupId, proposal, as: carol.clientId }),
      app.client.group.commit(alice.params(pending, { as: carol.clientId })),
    ]) {
      expect(await refusal(asked)).toMatchObject({ code: "PERMISSION_DENIED", reason: "AS_MISMATCH" });
    }
    await app.client.group.propose({ groupId, proposal, as: alice.device.clientId });
    expect(await app.client.group.commit(alice.params(pending))).toMatchObject({ epoch: 3n });
  });

  test("is any registered client where members may be there that nobody named", async () => {
    const carol = await device();
    expect(await sendAs(await groupWithoutTree(0), carol)).toBe("sent");
    expect(await sendAs(await groupWithoutTree(2, await device()), carol)).toBe("sent");
    expect(await sendAs(await groupWithoutTree(0, await device()), carol)).toBe("AS_MISMATCH");
    const [unnamed, untold] = [await founded(), await founded()];
    const { message } = await (await device()).mls.createKeyPackage();
    const result = await unnamed.commit({ add: [message] });
    expect(result.undelivered).toHaveLength(1);
    expect(await sendAs(unnamed, carol)).toBe("sent");
    await untold.commit({ add: [message] }, { welcomes: [] });
    expect(await sendAs(untold, carol)).toBe("sent");
  });

  test("who joins from outside is a member from then on; `as` owns the leaf that it brings", async () => {
    const alice = await founded();
    const { groupId } = alice;
    const [bob, carol] = [await device(), await device()];
    const ratchetTree = alice.group.ratchetTree();
    const { commit, groupInfo, group } = await bob.mls.joinExternally(await alice.group.groupInfo(), { ratchetTree });
    const params = { groupId, commit, groupInfo, ratchetTree: group.ratchetTree() };
    expect((await refusal(app.client.group.commit({ ...params, as: carol.clientId }))).reason).toBe("AS_MISMATCH");
    await app.client.group.commit({ ...params, as: bob.clientId });
    expect(await sendAs(new Member(app.client, bob, group), bob)).toBe("sent");
    expect(await sendAs(new Member(app.client, bob, group), carol)).toBe("AS_MISMATCH");
  });
});

describe("`removed`", () => {
  test("of who is no member says and changes nothing; one that is named twice leaves once", async () => {
    const [alice, bob, carol] = [await founded(), await device(), await device()];
    await alice.add([bob]);
    const { groupId } = alice;
    await app.client.group.update({ groupId, settings: { externalJoin: "none" } });
    const pending = await alice.group.commit({ remove: [1] });
    const removed = [carol.clientId, bob.clientId, bob.clientId];
    await app.client.group.commit({ groupId, commit: pending.commit, removed });
    expect((await groupEvents(app.client, groupId)).at(-1)?.body as GroupEvents["commit"]).toMatchObject({
      removed: [bob.clientId],
    });
    expect((await app.client.group.get({ groupId })).members).toBe(1);
    await expect
      .poll(async () => (await inboxEvents(app.client, bob.clientId)).map(({ type }) => type))
      .toEqual(["welcome", "removed"]);
    expect(await inboxEvents(app.client, carol.clientId)).toEqual([]);
  });
});
