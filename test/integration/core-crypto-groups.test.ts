// Groups whose members run on different MLS implementations: ts-mls, and @wireapp/core-crypto, which nobody here
// wrote (docs/INTEROP.md). In full tracking: the server follows what both make, and both what it lets pass.
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { connect, type AegisClient } from "../../src/client/client.ts";
import { CoreCryptoParticipant } from "../support/core-crypto-participant.ts";
import { CoreCryptoProcess } from "../support/core-crypto-process.ts";
import type { Participant } from "../support/participant.ts";
import { ServerProcess } from "../support/server-process.ts";
import { TsMlsParticipant } from "../support/ts-mls-participant.ts";

/** Of 1–7, those that core-crypto 10.3 has. */
const CIPHERSUITES = [1, 2, 3, 5, 7] as const;
type Ciphersuite = (typeof CIPHERSUITES)[number];
/** Larger curves, on which WebAssembly takes its time: a shorter story, once. */
const SLOW: readonly Ciphersuite[] = [5, 7];

let server: ServerProcess;
let coreCrypto: CoreCryptoProcess;
let application: AegisClient;
let made = 0;

beforeAll(async () => {
  [server, coreCrypto] = await Promise.all([ServerProcess.start(), CoreCryptoProcess.start()]);
  const operator = await connect({ url: server.url, token: server.operatorToken });
  const settings = { ciphersuites: [...CIPHERSUITES], externalJoin: "open" as const };
  const { key } = await operator.application.create({ name: "interoperability", settings });
  await operator.close();
  application = await connect({ url: server.url, token: key.secret });
});
afterAll(async () => {
  await application?.close();
  await coreCrypto?.stop();
  await server?.dispose();
});

function onCoreCrypto(ciphersuite: Ciphersuite): Promise<CoreCryptoParticipant> {
  made += 1;
  return CoreCryptoParticipant.register(application, coreCrypto, `core-crypto-${made}`, ciphersuite);
}

function onTsMls(ciphersuite: Ciphersuite): Promise<TsMlsParticipant> {
  // core-crypto takes no other form of identity, of itself and of others.
  return TsMlsParticipant.register(application, `${randomUUID()}:1@example.org`, ciphersuite);
}

/** All are at one epoch, the server's, with one secret; the server names just them. */
async function agree(groupId: Uint8Array, members: readonly Participant[]): Promise<void> {
  const { epoch } = await application.group.get({ groupId });
  expect(await Promise.all(members.map((member) => member.epoch()))).toEqual(members.map(() => epoch));
  expect(new Set(await Promise.all(members.map((member) => member.secret()))).size).toBe(1);
  const listed = await application.group.members({ groupId });
  expect(new Set(listed.members.map(({ clientId }) => clientId))).toEqual(
    new Set(members.map(({ clientId }) => clientId)),
  );
}

async function everybodyReads(members: readonly Participant[], but: Participant, text?: string): Promise<void> {
  for (const member of members) {
    if (member !== but) expect(await member.catchUp()).toEqual(text === undefined ? [] : [text]);
  }
}

/** One of each implementation is added, all write, all commit, one leaves, one of each comes from outside. */
async function live(ciphersuite: Ciphersuite, founder: Participant): Promise<void> {
  const groupId = await founder.found();
  const guests = [await onCoreCrypto(ciphersuite), await onTsMls(ciphersuite)];
  for (const guest of guests) await guest.publish();
  await founder.add(guests);
  for (const guest of guests) await guest.joinFromInbox();
  const members: Participant[] = [founder, ...guests];
  await agree(groupId, members);

  for (const [n, member] of members.entries()) {
    await member.send(`hello ${n}`);
    await everybodyReads(members, member, `hello ${n}`);
    await member.update();
    await everybodyReads(members, member);
    await agree(groupId, members);
  }
  const adders = SLOW.includes(ciphersuite) ? guests.slice(0, 1) : guests;
  for (const by of adders) {
    const added = [await onCoreCrypto(ciphersuite), await onTsMls(ciphersuite)];
    for (const one of added) {
      await one.publish();
      await by.add([one]);
      await everybodyReads(members, by);
      await one.joinFromInbox();
      members.push(one);
      await agree(groupId, members);
      // Its Add has no path. ts-mls joins no tree where lists of unmerged leaves differ, as they may
      // (docs/INTEROP.md): this clears them.
      if (by instanceof TsMlsParticipant) {
        await by.update();
        await everybodyReads(members, by);
        await agree(groupId, members);
      }
    }
    const gone = added[by === guests[0] ? 0 : 1] as Participant;
    await by.remove(gone);
    members.splice(members.indexOf(gone), 1);
    await everybodyReads(members, by);
    await agree(groupId, members);
  }
  for (const outsider of [await onCoreCrypto(ciphersuite), await onTsMls(ciphersuite)]) {
    await outsider.joinFromOutside(groupId);
    await everybodyReads(members, outsider);
    members.push(outsider);
    await agree(groupId, members);
    await outsider.send("from outside");
    await everybodyReads(members, outsider, "from outside");
    await outsider.update();
    await everybodyReads(members, outsider);
    await agree(groupId, members);
  }
}

describe("ts-mls and core-crypto in one group", () => {
  test.each(CIPHERSUITES.filter((ciphersuite) => !SLOW.includes(ciphersuite)))(
    "that ts-mls founded, suite %i",
    async (ciphersuite) => {
      await live(ciphersuite, await onTsMls(ciphersuite));
    },
  );

  test.each(CIPHERSUITES)("that core-crypto founded, suite %i", async (ciphersuite) => {
    await live(ciphersuite, await onCoreCrypto(ciphersuite));
  });
});

describe("core-crypto", () => {
  test("[G1] takes a lost race as it is told: it drops its commit, catches up and commits again", async () => {
    const founder = await onTsMls(1);
    const groupId = await founder.found();
    const guest = await onCoreCrypto(1);
    await guest.publish();
    await founder.add([guest]);
    await guest.joinFromInbox();
    await founder.update();
    await expect(guest.update()).rejects.toThrow("EPOCH_CONFLICT");
    await guest.catchUp();
    await guest.update();
    await founder.catchUp();
    await agree(groupId, [founder, guest]);
  });

  test("[M7] comes back by an external commit that takes its former leaf's place", async () => {
    const founder = await onTsMls(1);
    const groupId = await founder.found();
    const [lost, other] = [await onCoreCrypto(1), await onCoreCrypto(1)];
    for (const one of [lost, other]) await one.publish();
    await founder.add([lost, other]);
    await lost.joinFromInbox();
    await other.joinFromInbox();
    await lost.forget();
    await lost.joinFromOutside(groupId);
    for (const one of [founder, other]) await one.catchUp();
    await agree(groupId, [founder, other, lost]);
  });

  test("[M6] takes the back-end's Remove proposal into its commit", async () => {
    const { externalSenders } = await application.application.get({});
    const sender = externalSenders.find(({ ciphersuite }) => ciphersuite === 1)?.externalSender;
    const founder = await onCoreCrypto(1);
    const groupId = await founder.found(sender);
    const [leaving, staying] = [await onCoreCrypto(1), await onCoreCrypto(1)];
    for (const one of [leaving, staying]) await one.publish();
    await founder.add([leaving, staying]);
    await staying.joinFromInbox();
    await application.identity.delete({ clientId: leaving.clientId });
    const proposals = async () => (await application.group.get({ groupId, include: ["proposals"] })).proposals;
    await expect.poll(proposals).toMatchObject([{ sender: { type: "external" } }]);
    for (const one of [founder, staying]) await one.catchUp();
    await staying.commitPending();
    await founder.catchUp();
    await agree(groupId, [founder, staying]);
    expect(await proposals()).toEqual([]);
  });

  test("reads external_pub as RFC 9420 has it, and not as ts-mls 1.6.4 writes it", async () => {
    const founder = await onTsMls(1);
    const groupId = await founder.found();
    const outsider = await onCoreCrypto(1);
    await application.group.putGroupInfo({ groupId, groupInfo: await founder.group.groupInfo({ ratchetTree: true }) });
    await expect(outsider.joinFromOutside(groupId)).rejects.toThrow("joinExternally");
    const groupInfo = await founder.group.groupInfo({ ratchetTree: true, externalPub: "rfc" });
    await application.group.putGroupInfo({ groupId, groupInfo });
    await outsider.joinFromOutside(groupId);
    await founder.catchUp();
    await agree(groupId, [founder, outsider]);
  });

  test("takes the tree from Welcome and GroupInfo alone: a ts-mls member has to put it there", async () => {
    const founder = await onTsMls(1);
    const groupId = await founder.found();
    const outsider = await onCoreCrypto(1);
    await application.group.putGroupInfo({ groupId, groupInfo: await founder.group.groupInfo({ externalPub: "rfc" }) });
    await expect(outsider.joinFromOutside(groupId)).rejects.toThrow(/tree/i);
  });
});
