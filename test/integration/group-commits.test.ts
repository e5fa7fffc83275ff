// Commits over the wire by real MLS clients (PROTOCOL §4), under both kinds of tracking: who wins an epoch, who
// gets which Welcome, and what the loser is told.
import { createHash, randomBytes, randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readWelcome } from "../../src/mls/welcome.ts";
import type { Result } from "../../src/client/client.ts";
import type { GroupEvents, InboxEvents } from "../../src/protocol/schemas/events.ts";
import { AppWorld, refusal, type TestApplication } from "../support/app-world.ts";
import { createDevice, hexOf, type Device } from "../support/devices.ts";
import { groupEvents, inboxEvents, Member, type CommitParams } from "../support/members.ts";

let world: AppWorld;
let app: TestApplication;
beforeAll(async () => {
  world = await AppWorld.start();
  app = await world.application();
});
afterAll(() => world.stop());

let made = 0;
function devices(count: number): Promise<Device[]> {
  return Promise.all(
    Array.from({ length: count }, () => {
      made += 1;
      return createDevice(app.client, `member-${String(made)}`);
    }),
  );
}

/** A group of so many members, all at one epoch, joined by their inboxes. */
async function groupOf(count: number, tracking: "ordering" | "full" = "ordering"): Promise<[Member, ...Member[]]> {
  const [first, ...others] = (await devices(count)) as [Device, ...Device[]];
  const founder = await Member.create(app.client, first, { tracking });
  if (others.length > 0) await founder.add(others);
  await expect.poll(() => welcomed(others)).toBe(others.length);
  return [founder, ...(await Promise.all(others.map((device) => Member.join(app.client, device))))];
}

async function welcomed(all: readonly Device[]): Promise<number> {
  const inboxes = await Promise.all(all.map(({ clientId }) => inboxEvents(app.client, clientId)));
  return inboxes.filter((events) => events.some(({ type }) => type === "welcome")).length;
}

function agree(members: readonly Member[]): void {
  expect(new Set(members.map(({ group }) => hexOf(group.epochAuthenticator))).size).toBe(1);
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

describe.each(["ordering", "full"] as const)("welcomes, %s", (tracking) => {
  test("each added client finds in its inbox a Welcome with its own secrets only, and joins with the tree kept beside it", async () => {
    const [founder] = await groupOf(1, tracking);
    const added = await devices(3);
    const result = await founder.add(added);
    expect(result).toMatchObject({ epoch: 1n });
    expect(result.undelivered).toBeUndefined();
    await expect.poll(() => welcomed(added)).toBe(3);
    for (const { clientId } of added) {
      const [event] = await inboxEvents(app.client, clientId);
      const body = event?.body as InboxEvents["welcome"];
      expect(body).toMatchObject({ epoch: 1n, groupId: founder.groupId, after: result.position });
      const welcome = readWelcome(body.welcome);
      if (welcome.kind !== "ok") throw new Error("no Welcome");
      expect(welcome.value.secrets.map(({ keyPackageRef }) => hexOf(keyPackageRef))).toEqual([
        hexOf(body.keyPackageRef),
      ]);
      const tree = await app.client.group.tree({ groupId: founder.groupId, epoch: 1n });
      expect(body.treeBytes).toBe(tree.total);
    }
    agree([founder, ...(await Promise.all(added.map((device) => Member.join(app.client, device))))]);
    const [commit] = await groupEvents(app.client, founder.groupId);
    const expected = { epoch: 1n, external: false, removed: [], added: added.map(({ clientId }) => clientId) };
    expect(commit).toMatchObject({ offset: result.position.offset, type: "commit", body: expected });
    const { committer } = commit?.body as GroupEvents["commit"];
    expect(committer).toEqual({ type: "member", leaf: 0, clientId: founder.device.clientId });
  });

  test("the tree of a welcomed epoch stays readable when the group went on, and the late joiner catches up", async () => {
    const [founder, bob] = (await groupOf(2, tracking)) as [Member, Member];
    const [late] = (await devices(1)) as [Device];
    await founder.add([late]);
    await bob.catchUp();
    await bob.commit();
    await founder.catchUp();
    await founder.commit();
    await bob.catchUp();
    await expect.poll(() => welcomed([late])).toBe(1);
    const carol = await Member.join(app.client, late);
    expect(carol.group.epoch).toBe(2n);
    await carol.catchUp();
    expect(carol.group.epoch).toBe(4n);
    agree([founder, bob, carol]);
  });
});

describe.each(["ordering", "full"] as const)("one commit an epoch, %s", (tracking) => {
  test("[G1] the same bytes again answer as the first time, also when the group went on", async () => {
    const [founder] = await groupOf(1, tracking);
    const [bob] = (await devices(1)) as [Device];
    const { message } = await bob.mls.createKeyPackage();
    const pending = await founder.group.commit({ add: [message] });
    const first = await app.client.group.commit(founder.params(pending));
    // In `ordering` nobody said whose the package is.
    expect(first.undelivered?.length).toBe(tracking === "ordering" ? 1 : undefined);
    expect(await app.client.group.commit(founder.params(pending))).toEqual(first);
    pending.accept();
    await founder.commit();
    await founder.commit();
    expect(await app.client.group.commit(founder.params(pending))).toEqual(first);
    expect((await app.client.group.get({ groupId: founder.groupId })).epoch).toBe(3n);
    expect(await groupEvents(app.client, founder.groupId)).toHaveLength(3);
  });

  test("a commit for an epoch that has not begun loses too: no winner is named", async () => {
    const [founder] = await groupOf(1, tracking);
    const skipped = await founder.group.commit();
    skipped.accept();
    const ahead = await founder.group.commit();
    const error = await refusal(app.client.group.commit(founder.params(ahead)));
    expect(error).toMatchObject({ reason: "EPOCH_CONFLICT", details: { epoch: 0, position: { offset: 0 } } });
    expect(error.details).not.toHaveProperty("winner");
  });

  test("[E4] one key: the same commit answers as the first time, another one is KEY_REUSED", async () => {
    const [founder] = await groupOf(1, tracking);
    const pending = await founder.group.commit();
    const first = await app.client.group.commit(founder.params(pending), { key: "commit" });
    expect(await app.client.group.commit(founder.params(pending), { key: "commit" })).toEqual(first);
    pending.accept();
    const other = founder.params(await founder.group.commit());
    expect((await refusal(app.client.group.commit(other, { key: "commit" }))).reason).toBe("KEY_REUSED");
  });

  test("a member that is removed is told in its inbox, and the others go on", async () => {
    const [founder, bob, carol] = (await groupOf(3, tracking)) as [Member, Member, Member];
    const { clientId } = carol.device;
    await founder.commit({ remove: [carol.group.leafIndex] }, { removed: [clientId] });
    await expect
      .poll(async () =>
        (await inboxEvents(app.client, clientId)).map(({ type, body }) => [
          type,
          (body as InboxEvents["removed"]).epoch,
        ]),
      )
      .toEqual([
        ["welcome", 1n],
        ["removed", 2n],
      ]);
    await bob.catchUp();
    agree([founder, bob]);
    expect(await app.client.group.list({ clientId })).toEqual({ groups: [] });
    const { members } = await app.client.group.members({ groupId: founder.groupId });
    expect(members.map((member) => member.clientId).sort()).toEqual(
      [founder, bob].map(({ device }) => device.clientId).sort(),
    );
    expect((await app.client.group.get({ groupId: founder.groupId })).members).toBe(2);
  });
});

describe("a race for one epoch", () => {
  test.each([
    ["ordering", 200, 2],
    ["full", 60, 4],
  ] as const)(
    "[G1] %s: of %i racing commits one wins, the others get EPOCH_CONFLICT with the winner, and all %i members end up equal",
    async (tracking, commits, membersCount) => {
      const members = await groupOf(membersCount, tracking);
      const sessions = await Promise.all(members.map(() => world.connect(app.token)));
      const racers = await Promise.all(
        Array.from({ length: commits }, async (_, n) => {
          const member = members[n % members.length] as Member;
          return { member, at: n % members.length, pending: await member.group.commit() };
        }),
      );
      const outcomes = await Promise.allSettled(
        racers.map(({ member, at, pending }) => sessions[at]?.group.commit(member.params(pending))),
      );
      const won = outcomes.flatMap((outcome, n) => (outcome.status === "fulfilled" ? [n] : []));
      expect(won).toHaveLength(1);
      const winner = racers[won[0] as number] as (typeof racers)[number];
      const { position } = (outcomes[won[0] as number] as PromiseFulfilledResult<Result<"group.commit">>).value;
      const { device, group } = winner.member;
      const committer = { type: "member", leaf: group.leafIndex, clientId: device.clientId };
      for (const outcome of outcomes) {
        if (outcome.status === "fulfilled") continue;
        expect(outcome.reason).toMatchObject({ code: "ABORTED", reason: "EPOCH_CONFLICT", retryable: false });
        const { details } = outcome.reason as { details: { epoch: number; winner: { digest: Uint8Array } } };
        expect(details).toMatchObject({ epoch: 2, position, winner: { committer } });
        expect(hexOf(details.winner.digest)).toBe(sha256(winner.pending.commit));
      }
      const log = await groupEvents(app.client, group.groupId);
      expect(log.map(({ type }) => type)).toEqual(["commit", "commit"]);
      winner.pending.accept();
      for (const member of members) if (member !== winner.member) await member.catchUp();
      agree(members);
      // The losers try again from the new epoch, one after the other.
      for (const member of members) {
        await member.catchUp();
        await member.commit();
        for (const other of members) if (other !== member) await other.catchUp();
      }
      agree(members);
      expect(members[0].group.epoch).toBe(2n + BigInt(membersCount));
    },
  );
});

describe("what the application tells, ordering", () => {
  test("a Welcome whose recipient is not named in `added` comes back as undelivered, with its secrets only", async () => {
    const [founder] = await groupOf(1);
    const [known, unknown] = (await devices(2)) as [Device, Device];
    const packages = await Promise.all([known, unknown].map(({ mls }) => mls.createKeyPackage()));
    const [knownRef, unknownRef] = packages.map(({ ref }) => ref) as [Uint8Array, Uint8Array];
    const added = [{ clientId: known.clientId, keyPackageRef: knownRef }];
    const result = await founder.commit({ add: packages.map(({ message }) => message) }, { added });
    expect(result.undelivered?.map(({ keyPackageRef }) => hexOf(keyPackageRef))).toEqual([hexOf(unknownRef)]);
    const { ratchetTree } = await app.client.group.tree({ groupId: founder.groupId });
    const joined = await unknown.mls.joinFromWelcome(result.undelivered?.[0]?.welcome as Uint8Array, ratchetTree);
    expect(hexOf(joined.epochAuthenticator)).toBe(hexOf(founder.group.epochAuthenticator));
    expect(await welcomed([unknown])).toBe(0);
  });

  test("[M4] WELCOME_MISMATCH: twice addressed, added without a Welcome, of another suite, no Welcome at all", async () => {
    const [founder] = await groupOf(1);
    const [bob] = (await devices(1)) as [Device];
    const { message, ref } = await bob.mls.createKeyPackage();
    const pending = await founder.group.commit({ add: [message] });
    const welcome = pending.welcome as Uint8Array;
    const otherSuite = Uint8Array.from(welcome);
    otherSuite[5] = 2;
    const added = [{ clientId: bob.clientId, keyPackageRef: ref }];
    const mismatches: [Partial<CommitParams>, string][] = [
      [{ welcomes: [welcome, welcome], added }, "WELCOME_ONCE"],
      [{ welcomes: [], added }, "WELCOME_MISSING"],
      [{ welcomes: [welcome], added: [{ clientId: bob.clientId, keyPackageRef: randomBytes(32) }] }, "WELCOME_MISSING"],
      [{ welcomes: [otherSuite], added }, "WELCOME_CIPHERSUITE"],
      [{ welcomes: [message], added }, "MALFORMED"],
      [{ welcomes: [new Uint8Array(0)], added }, "MALFORMED"],
    ];
    for (const [params, rule] of mismatches) {
      const error = await refusal(app.client.group.commit(founder.params(pending, params)));
      expect(error, rule).toMatchObject({ code: "INVALID_ARGUMENT", reason: "WELCOME_MISMATCH", details: { rule } });
    }
    const unknown = [{ clientId: randomUUID(), keyPackageRef: ref }];
    const error = await refusal(app.client.group.commit(founder.params(pending, { added: unknown })));
    expect(error.reason).toBe("CLIENT_NOT_FOUND");
    // None of it was applied: the epoch is still there to be won.
    expect(await app.client.group.commit(founder.params(pending, { added }))).toMatchObject({ epoch: 1n });
  });

  test("handshakes may be PrivateMessages: ordered all the same", async () => {
    const [founder, bob] = (await groupOf(2)) as [Member, Member];
    await founder.commit({ asPublicMessage: false });
    await bob.catchUp();
    agree([founder, bob]);
    const commit = (await groupEvents(app.client, founder.groupId)).at(-1)?.body as GroupEvents["commit"];
    expect(commit.committer).toEqual({ type: "member", clientId: founder.device.clientId });
  });
});
