// Groups with members on @snazzah/davey, the MLS of Discord's DAVE, as far as its profile fits (docs/INTEROP.md):
// external senders and others propose, it commits. In full tracking, with a founder on ts-mls.
import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { connect, type AegisClient } from "../../src/client/client.ts";
import type { GroupEvents } from "../../src/protocol/schemas/events.ts";
import { basicCredential, refusal } from "../support/app-world.ts";
import { DaveyClient, eightBytes } from "../support/davey-client.ts";
import { hexOf } from "../support/devices.ts";
import { groupEvents } from "../support/members.ts";
import { keyPackageIn } from "../support/mls-encoding.ts";
import { newestWelcome, publishPackages } from "../support/participant.ts";
import { ServerProcess } from "../support/server-process.ts";
import { TsMlsParticipant } from "../support/ts-mls-participant.ts";
import { VoiceGateway } from "../support/voice-gateway.ts";

const CIPHERSUITE = 2;

let server: ServerProcess;
let application: AegisClient;
let externalSender: Uint8Array;
let made = 0;

beforeAll(async () => {
  server = await ServerProcess.start();
  const operator = await connect({ url: server.url, token: server.operatorToken });
  const settings = { ciphersuites: [CIPHERSUITE], externalJoin: "none" as const, keyPackageLifetimeMaxMs: null };
  const { key } = await operator.application.create({ name: "voice", settings });
  await operator.close();
  application = await connect({ url: server.url, token: key.secret });
  externalSender = (await application.application.get({})).externalSenders[0]?.externalSender as Uint8Array;
});
afterAll(async () => {
  await application?.close();
  await server?.dispose();
});

/** A user id whose eight bytes are UTF-8: each below 0x80. */
function freshUser(): bigint {
  made += 1;
  return 0x4000000000000000n + BigInt(made);
}

function freshChannel(): bigint {
  return randomBytes(8).readBigUInt64BE();
}

async function davey(
  channel: bigint,
  sender = externalSender,
): Promise<{ readonly user: bigint; readonly client: DaveyClient }> {
  const user = freshUser();
  return { user, client: await DaveyClient.register(application, { user, channel }, sender) };
}

/** A group that ts-mls founded and added davey members to, with one external sender: by default the back-end. */
async function foundedFor(channel: bigint, guests: readonly DaveyClient[], sender = externalSender) {
  const identity = Buffer.from(eightBytes(freshUser())).toString();
  const founder = await TsMlsParticipant.register(application, identity, CIPHERSUITE);
  const groupId = await founder.found(sender, eightBytes(channel));
  for (const guest of guests) await publishPackages(application, guest.clientId, [guest.keyPackage()]);
  await founder.addClients(guests.map(({ clientId }) => clientId));
  for (const guest of guests) guest.joinFromWelcome((await newestWelcome(application, guest.clientId)).welcome);
  return { founder, groupId };
}

/** The messages of the group's proposals since the last commit. */
async function proposals(groupId: Uint8Array): Promise<Uint8Array[]> {
  const { proposals: pending } = await application.group.get({ groupId, include: ["proposals"] });
  return (pending ?? []).map(({ proposal }) => proposal);
}

function agree(founder: TsMlsParticipant, ...members: readonly DaveyClient[]): void {
  for (const member of members) {
    expect(member.epoch).toBe(founder.group.epoch);
    expect(member.epochAuthenticator).toBe(hexOf(founder.group.epochAuthenticator));
  }
}

async function lastCommit(groupId: Uint8Array): Promise<Uint8Array> {
  const commit = (await groupEvents(application, groupId)).filter(({ type }) => type === "commit").at(-1);
  return (commit?.body as GroupEvents["commit"]).message;
}

describe("davey's KeyPackages", () => {
  test("never expire: taken where the application sets no longest lifetime, else LIFETIME_TOO_LONG", async () => {
    const { client } = await davey(freshChannel());
    const { clientId } = client;
    const { applicationId } = await application.application.get({});
    const operator = await connect({ url: server.url, token: server.operatorToken });
    await operator.application.update({ applicationId, settings: { keyPackageLifetimeMaxMs: 90 * 86_400_000 } });
    const strict = await application.keyPool.publish({ clientId, keyPackages: [client.keyPackage()] });
    expect(strict.rejected).toMatchObject([{ index: 0, reason: "LIFETIME_TOO_LONG" }]);
    await operator.application.update({ applicationId, settings: { keyPackageLifetimeMaxMs: null } });
    await operator.close();
    const { accepted, rejected } = await application.keyPool.publish({ clientId, keyPackages: [client.keyPackage()] });
    expect([accepted.length, rejected.length]).toEqual([1, 0]);
  });

  test("name users by eight bytes: those that are no UTF-8 are refused by the basic provider", async () => {
    const clientIdentity = basicCredential(eightBytes(80_351_110_224_678_912n));
    const error = await refusal(application.identity.create({ clientIdentity }));
    expect(error).toMatchObject({ reason: "IDENTITY_INVALID", details: { cause: "handle_not_utf8" } });
  });
});

describe("davey's members", () => {
  test("[M4] join by the inbox's Welcome, and follow commits that others make", async () => {
    const channel = freshChannel();
    const [one, other] = [await davey(channel), await davey(channel)];
    const { founder, groupId } = await foundedFor(channel, [one.client, other.client]);
    agree(founder, one.client, other.client);
    await founder.update();
    for (const { client } of [one, other]) client.processCommit(await lastCommit(groupId));
    agree(founder, one.client, other.client);
    expect(one.client.userIds.slice(1)).toEqual([one.user, other.user]);
  });

  test("[M6] commit the back-end's Remove proposal, and the server follows", async () => {
    const channel = freshChannel();
    const [staying, leaving] = [await davey(channel), await davey(channel)];
    const { founder, groupId } = await foundedFor(channel, [staying.client, leaving.client]);
    await application.identity.delete({ clientId: leaving.client.clientId });
    await expect.poll(async () => (await proposals(groupId)).length).toBe(1);
    await staying.client.commit(groupId, await proposals(groupId));
    await founder.catchUp();
    agree(founder, staying.client);
    const { members } = await application.group.members({ groupId });
    expect(members.map(({ clientId }) => clientId)).toEqual([founder.clientId, staying.client.clientId]);
  });

  test("[M4] commit an Add that a member proposes; its Welcome brings the newcomer in", async () => {
    const channel = freshChannel();
    const [committer, newcomer] = [await davey(channel), await davey(channel)];
    const { founder, groupId } = await foundedFor(channel, [committer.client]);
    await founder.proposeAdd(newcomer.client.keyPackage());
    await committer.client.commit(groupId, await proposals(groupId));
    await founder.catchUp();
    newcomer.client.joinFromWelcome((await newestWelcome(application, newcomer.client.clientId)).welcome);
    agree(founder, committer.client, newcomer.client);
  });

  test("[G1] drop a commit that lost its epoch, and follow the winner", async () => {
    const channel = freshChannel();
    const [loser, newcomer] = [await davey(channel), await davey(channel)];
    const { founder, groupId } = await foundedFor(channel, [loser.client]);
    await founder.proposeAdd(newcomer.client.keyPackage());
    const pending = await proposals(groupId);
    await founder.commitPending();
    const error = await refusal(loser.client.commit(groupId, pending));
    expect(error.reason).toBe("EPOCH_CONFLICT");
    loser.client.processCommit(await lastCommit(groupId));
    newcomer.client.joinFromWelcome((await newestWelcome(application, newcomer.client.clientId)).welcome);
    agree(founder, loser.client, newcomer.client);
  });

  test("[M2] commit what the application's own external sender proposes, Adds and Removes", async () => {
    const gateway = await VoiceGateway.create(application, CIPHERSUITE);
    const channel = freshChannel();
    const [first, second] = [
      await davey(channel, gateway.externalSender),
      await davey(channel, gateway.externalSender),
    ];
    const { founder, groupId } = await foundedFor(channel, [first.client], gateway.externalSender);
    await gateway.propose(founder.group, { proposalType: "add", add: keyPackageIn(second.client.keyPackage()) });
    await first.client.commit(groupId, await proposals(groupId));
    await founder.catchUp();
    second.client.joinFromWelcome((await newestWelcome(application, second.client.clientId)).welcome);
    agree(founder, first.client, second.client);

    await gateway.propose(founder.group, { proposalType: "remove", remove: { removed: 1 } });
    await second.client.commit(groupId, await proposals(groupId));
    await founder.catchUp();
    agree(founder, second.client);
    const { members } = await application.group.members({ groupId });
    expect(members.map(({ leaf, clientId }) => [leaf, clientId])).toEqual([
      [0, founder.clientId],
      [2, second.client.clientId],
    ]);
  });
});
