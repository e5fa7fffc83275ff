// Proposals, application messages and `as` over the wire (PROTOCOL §4, `ordering` tracking).
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { GroupEvents } from "../../src/protocol/schemas/events.ts";
import { AppWorld, refusal, type TestApplication } from "../support/app-world.ts";
import { createDevice, hexOf, keyPackageOf, type Device } from "../support/devices.ts";
import { groupEvents, inboxEvents, Member } from "../support/members.ts";

let world: AppWorld;
let app: TestApplication;
beforeAll(async () => {
  world = await AppWorld.start();
  app = await world.application({ pastEpochs: 2 });
});
afterAll(() => world.stop());

let made = 0;
function device(application = app): Promise<Device> {
  made += 1;
  return createDevice(application.client, `member-${String(made)}`);
}

async function pair(application = app): Promise<[Member, Member]> {
  const founder = await Member.create(application.client, await device(application));
  const second = await device(application);
  await founder.add([second]);
  await expect.poll(async () => (await inboxEvents(application.client, second.clientId)).length).toBe(1);
  return [founder, await Member.join(application.client, second)];
}

function proposeAdd({ group }: Member, message: Uint8Array): Promise<Uint8Array> {
  return group.propose({ proposalType: "add", add: { keyPackage: keyPackageOf(message) } });
}

function agree(...members: Member[]): void {
  expect(new Set(members.map(({ group }) => hexOf(group.epochAuthenticator))).size).toBe(1);
}

describe("group.propose", () => {
  test("a proposal stands in the log before the commit that uses it, and by its reference among the epoch's", async () => {
    const [alice, bob] = await pair();
    const { groupId } = alice;
    const joiner = await device();
    const { message, ref } = await joiner.mls.createKeyPackage();
    const proposal = await proposeAdd(bob, message);
    const proposed = await app.client.group.propose({ groupId, proposal, as: bob.device.clientId });
    expect(proposed.proposalRef).toBeDefined();
    const stored = (await app.client.group.get({ groupId, include: ["proposals"] })).proposals ?? [];
    expect(stored).toHaveLength(1);
    expect(stored[0]).toEqual({
      proposalRef: proposed.proposalRef,
      proposal,
      sender: { type: "member", leaf: 1, clientId: bob.device.clientId },
    });
    await alice.catchUp();
    const added = [{ clientId: joiner.clientId, keyPackageRef: ref }];
    await alice.commit({}, { added });
    await bob.catchUp();
    const log = (await groupEvents(app.client, groupId)).map(({ type }) => type);
    expect(log).toEqual(["commit", "proposal", "commit"]);
    expect((await app.client.group.get({ groupId, include: ["proposals"] })).proposals).toEqual([]);
    await expect.poll(async () => (await inboxEvents(app.client, joiner.clientId)).length).toBe(1);
    agree(alice, bob, await Member.join(app.client, joiner));
  });

  test("the same bytes again in their epoch answer as the first time: they stand once, also asked eight times at once", async () => {
    const [alice, bob] = await pair();
    const { groupId } = alice;
    const { message } = await (await device()).mls.createKeyPackage();
    const propose = { groupId, proposal: await proposeAdd(bob, message) };
    const answers = await Promise.all(Array.from({ length: 8 }, () => app.client.group.propose(propose)));
    for (const answer of answers) expect(answer).toEqual(answers[0]);
    const other = await app.client.group.propose({ groupId, proposal: await proposeAdd(alice, message) });
    expect(await app.client.group.propose(propose)).toEqual(answers[0]);
    const { proposals } = await app.client.group.get({ groupId, include: ["proposals"] });
    expect(proposals?.map(({ proposalRef }) => proposalRef)).toEqual([answers[0]?.proposalRef, other.proposalRef]);
    expect((await groupEvents(app.client, groupId)).map(({ type }) => type)).toEqual([
      "commit",
      "proposal",
      "proposal",
    ]);
  });

  test("a proposal of another epoch is EPOCH_CONFLICT, what is none PROPOSAL_INVALID", async () => {
    const [alice, bob] = await pair();
    const { groupId } = alice;
    const { message } = await (await device()).mls.createKeyPackage();
    const late = await proposeAdd(bob, message);
    await alice.commit();
    const conflict = await refusal(app.client.group.propose({ groupId, proposal: late }));
    expect(conflict).toMatchObject({ code: "ABORTED", reason: "EPOCH_CONFLICT", details: { epoch: 2 } });
    const application = await alice.group.send(Buffer.from("no proposal"));
    const elsewhere = await proposeAdd(await Member.create(app.client, await device()), message);
    for (const [proposal, rule] of [
      [application, "CONTENT_TYPE"],
      [message, "MALFORMED"],
      [new Uint8Array(0), "MALFORMED"],
      [elsewhere, "MESSAGE_GROUP"],
    ] as const) {
      const error = await refusal(app.client.group.propose({ groupId, proposal }));
      expect(error).toMatchObject({ code: "INVALID_ARGUMENT", reason: "PROPOSAL_INVALID", details: { rule } });
    }
  });
});

describe("group.send", () => {
  test("messages of the current epoch and of pastEpochs before are taken and read by all, others are not", async () => {
    const [alice, bob] = await pair();
    const { groupId } = alice;
    const send = (message: Uint8Array) => app.client.group.send({ groupId, message });
    const early = await Promise.all([0, 1].map((n) => bob.group.send(Buffer.from(`early ${String(n)}`))));
    await send(await alice.group.send(Buffer.from("hello")));
    expect(await bob.catchUp()).toEqual(["hello"]);
    await alice.commit();
    await alice.commit();
    expect(await send(early[0] as Uint8Array)).toMatchObject({ position: { offset: 5 } });
    await alice.commit();
    const stale = await refusal(send(early[1] as Uint8Array));
    expect(stale).toMatchObject({ code: "ABORTED", reason: "EPOCH_STALE", details: { epoch: 4 } });
    const unborn = await alice.group.commit();
    unborn.accept();
    const ahead = await refusal(send(await alice.group.send(Buffer.from("ahead"))));
    expect(ahead).toMatchObject({ code: "ABORTED", reason: "EPOCH_AHEAD" });
    const events = await groupEvents(app.client, groupId);
    expect(events.map(({ type, body }) => [type, (body as GroupEvents["application"]).epoch])).toEqual([
      ["commit", 1n],
      ["application", 1n],
      ["commit", 2n],
      ["commit", 3n],
      ["application", 1n],
      ["commit", 4n],
    ]);
  });

  test("only application PrivateMessages of this group are messages: MESSAGE_INVALID", async () => {
    const [alice] = await pair();
    const other = await Member.create(app.client, await device());
    const { groupId } = alice;
    const elsewhere = await other.group.send(Buffer.from("x"));
    const handshake = (await alice.group.commit({ asPublicMessage: false })).commit;
    for (const [message, rule] of [
      [elsewhere, "MESSAGE_GROUP"],
      [handshake, "CONTENT_TYPE"],
      [Uint8Array.from([...(await alice.group.send(Buffer.from("x"))), 0]), "MALFORMED"],
    ] as const) {
      const error = await refusal(app.client.group.send({ groupId, message }));
      expect(error).toMatchObject({ code: "INVALID_ARGUMENT", reason: "MESSAGE_INVALID", details: { rule } });
    }
  });
});

describe("retries", () => {
  test("[E4] a proposal and a message again under their keys answer as the first time, though the group went on", async () => {
    const [alice, bob] = await pair();
    const { groupId } = alice;
    const wire = await world.wire(app.token);
    const { message } = await (await device()).mls.createKeyPackage();
    const send = { groupId, message: await bob.group.send(Buffer.from("x")) };
    const propose = { groupId, proposal: await proposeAdd(bob, message) };
    const sent = await wire.call("group.send", send, { key: "s" });
    const proposed = await wire.call("group.propose", propose, { key: "p" });
    for (let n = 0; n < 4; n += 1) await alice.commit();
    expect((await wire.call("group.propose", propose)).error).toMatchObject({ reason: "EPOCH_CONFLICT" });
    expect((await wire.call("group.send", send)).error).toMatchObject({ reason: "EPOCH_STALE" });
    expect((await wire.call("group.propose", propose, { key: "p" })).result).toEqual(proposed.result);
    expect((await wire.call("group.send", send, { key: "s" })).result).toEqual(sent.result);
    await app.client.group.delete({ groupId });
    expect((await wire.call("group.send", send, { key: "s" })).result).toEqual(sent.result);
    expect((await wire.call("group.send", send, { key: "p" })).error).toMatchObject({ reason: "KEY_REUSED" });
    expect((await wire.call("group.send", send)).error).toMatchObject({ reason: "GROUP_NOT_FOUND" });
  });
});

describe("what comes with a commit", () => {
  test("[M3] a GroupInfo of another group, epoch, tag or signer is GROUP_INFO_INVALID, another tree TREE_INVALID", async () => {
    const [alice, bob] = await pair();
    const pending = await alice.group.commit();
    const params = alice.params(pending);
    const other = await Member.create(app.client, await device());
    const twice = await alice.group.commit();
    const bobs = await bob.group.commit();
    const cases: [Partial<typeof params>, string, string][] = [
      [{ groupInfo: (await other.group.commit()).groupInfo }, "TREE_INVALID", "TREE_HASH"],
      [
        { groupInfo: await alice.group.groupInfo(), ratchetTree: alice.group.ratchetTree() },
        "GROUP_INFO_INVALID",
        "GROUP_INFO_CONTEXT",
      ],
      [{ groupInfo: twice.groupInfo, ratchetTree: twice.ratchetTree }, "GROUP_INFO_INVALID", "GROUP_INFO_TAG"],
      [{ groupInfo: bobs.groupInfo, ratchetTree: bobs.ratchetTree }, "GROUP_INFO_INVALID", "GROUP_INFO_TAG"],
      [{ ratchetTree: twice.ratchetTree }, "TREE_INVALID", "TREE_HASH"],
      [{ groupInfo: pending.commit }, "GROUP_INFO_INVALID", "MALFORMED"],
    ];
    for (const [change, reason, rule] of cases) {
      const error = await refusal(app.client.group.commit({ ...params, ...change }));
      expect(error).toMatchObject({ code: "INVALID_ARGUMENT", reason, details: { rule } });
    }
    // Bob's GroupInfo of the epoch to come is right in all but its signer.
    await bob.group.receive(pending.commit);
    const error = await refusal(app.client.group.commit({ ...params, groupInfo: await bob.group.groupInfo() }));
    expect(error).toMatchObject({ reason: "GROUP_INFO_INVALID", details: { rule: "GROUP_INFO_SIGNER" } });
    expect(await app.client.group.commit(params)).toMatchObject({ epoch: 2n });
  });

  test("bytes that are no commit of this group are COMMIT_INVALID", async () => {
    const [alice] = await pair();
    const { groupId } = alice;
    const other = await Member.create(app.client, await device());
    const elsewhere = (await other.group.commit()).commit;
    const application = await alice.group.send(Buffer.from("x"));
    for (const [commit, rule] of [
      [elsewhere, "MESSAGE_GROUP"],
      [application, "CONTENT_TYPE"],
      [Uint8Array.of(0, 1, 0, 1), "MALFORMED"],
      [new Uint8Array(0), "MALFORMED"],
    ] as const) {
      const error = await refusal(app.client.group.commit({ groupId, commit }));
      expect(error).toMatchObject({ code: "INVALID_ARGUMENT", reason: "COMMIT_INVALID", details: { rule } });
    }
  });

  test("`as` must own the sender's leaf, where the tree tells: AS_MISMATCH in commit, propose and send", async () => {
    const [alice, bob] = await pair();
    const pending = await alice.group.commit();
    const { message } = await (await device()).mls.createKeyPackage();
    const { groupId } = alice;
    const as = bob.device.clientId;
    const application = await alice.group.send(Buffer.from("x"));
    const proposal = await proposeAdd(alice, message);
    const mismatches = [
      app.client.group.commit(alice.params(pending, { as })),
      app.client.group.commit(alice.params(pending, { as: randomUUID() })),
      app.client.group.propose({ groupId, proposal, as }),
      app.client.group.send({ groupId, message: application, as: randomUUID() }),
    ].map(refusal);
    for (const error of await Promise.all(mismatches)) {
      expect(error).toMatchObject({ code: "PERMISSION_DENIED", reason: "AS_MISMATCH" });
    }
  });
});
