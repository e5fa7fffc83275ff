// Groups of real MLS clients with certificates, in full tracking (PROTOCOL M5): who enters shows a valid certificate
// under the application's roots; who is in stays, though it expires; a renewed one comes with a commit.
import { ECDH } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  createAuthenticationService,
  createIdentityProvider,
  type AuthenticationService,
} from "../../src/client/identity.ts";
import { AppWorld, refusal, type TestApplication } from "../support/app-world.ts";
import { CertificateWorld, signatureKeyPair, type CertificateRecipe } from "../support/certificates.ts";
import { certifiedClient, certifiedDevice, withCertificates, x509Provider } from "../support/certified-devices.ts";
import { hexOf, type Device } from "../support/devices.ts";
import { inboxEvents, Member } from "../support/members.ts";
import { MlsClient } from "../support/mls-client.ts";
import type { MlsGroup } from "../support/mls-group.ts";

const DAY_MS = 86_400_000;
/** Long enough to build a group on a busy machine. */
const SHORT_MS = 15_000;

const recipes = {
  root: { commonNames: ["Root"], ca: true, scheme: "p384" },
  house: { commonNames: ["example.org"], issuer: "root", ca: true },
  aliceAccount: { commonNames: ["alice"], issuer: "house", ca: true },
  alice: { commonNames: ["laptop"], issuer: "aliceAccount" },
  aliceRenewed: { issuer: "aliceAccount", sameHolderAs: "alice", days: [-1, 500] },
  bobAccount: { commonNames: ["bob"], issuer: "house", ca: true },
  bob: { commonNames: ["phone"], issuer: "bobAccount" },
  bobsTablet: { commonNames: ["tablet"], issuer: "bobAccount" },
  shortBob: { commonNames: ["phone"], issuer: "bobAccount", days: [-1, SHORT_MS / DAY_MS] },
  shortBobRenewed: { issuer: "bobAccount", sameHolderAs: "shortBob" },
  shortTablet: { commonNames: ["tablet"], issuer: "bobAccount", days: [-1, SHORT_MS / DAY_MS] },
  carolAccount: { commonNames: ["carol"], issuer: "house", ca: true },
  carol: { commonNames: ["phone"], issuer: "carolAccount" },
  wrongRoot: { commonNames: ["Root"], ca: true },
  stranger: { commonNames: ["stranger"], issuer: "wrongRoot" },
  p256: { commonNames: ["desk"], issuer: "aliceAccount", scheme: "p256" },
  p256Other: { commonNames: ["desk"], issuer: "bobAccount", scheme: "p256" },
} as const satisfies Record<string, CertificateRecipe>;

const TREE = { accounts: 1, domains: 2 };
const chainOf = (leaf: keyof typeof recipes, account: keyof typeof recipes) => [leaf, account, "house"];

let world: AppWorld;
beforeAll(async () => {
  world = await AppWorld.start();
});
afterAll(() => world.stop());

/** An application under a root of its own, with everybody's certificates. */
async function setUp() {
  const certificates = new CertificateWorld(recipes, Date.now());
  const app = await world.application({ identityProvider: x509Provider(certificates, TREE) });
  const { settings, externalSenders } = await app.client.application.get({});
  const provider = createIdentityProvider(settings.identityProvider);
  const trusted = { externalSenders: externalSenders.map(({ externalSender }) => externalSender) };
  const service = (allowExpired = false): AuthenticationService =>
    createAuthenticationService(provider, { ...trusted, allowExpired });
  const device = (leaf: keyof typeof recipes, account: keyof typeof recipes, authService = service()) =>
    certifiedDevice(app.client, certificates, chainOf(leaf, account), { authService });
  return { app, certificates, device, service };
}

async function joined(app: TestApplication, device: Device): Promise<Member> {
  await expect
    .poll(async () => (await inboxEvents(app.client, device.clientId)).some(({ type }) => type === "welcome"))
    .toBe(true);
  return Member.join(app.client, device);
}

/** Adds packages that the back-end hands out. */
async function claimAndAdd(app: TestApplication, by: Member, devices: readonly Device[]): Promise<Member[]> {
  for (const { mls, clientId } of devices) {
    const { message } = await mls.createKeyPackage();
    const { rejected } = await app.client.keyPool.publish({ clientId, keyPackages: [message] });
    expect(rejected).toEqual([]);
  }
  const { claimed, failed } = await app.client.keyPool.claim({
    targets: devices.map(({ clientId }) => ({ clientId })),
  });
  expect(failed).toEqual([]);
  await commit(by, { add: claimed.map(({ keyPackage }) => keyPackage) });
  return Promise.all(devices.map((device) => joined(app, device)));
}

async function commit(by: Member, options: Parameters<MlsGroup["commit"]>[0] = {}, group = by.group): Promise<void> {
  const pending = await group.commit(options);
  const { commit: bytes, groupInfo, welcome } = pending;
  const params = { groupId: group.groupId, commit: bytes, groupInfo, as: by.device.clientId };
  await by.client.group.commit({ ...params, ...(welcome === undefined ? {} : { welcomes: [welcome] }) });
  pending.accept();
}

function agree(...groups: readonly MlsGroup[]): void {
  expect(new Set(groups.map(({ epochAuthenticator }) => hexOf(epochAuthenticator))).size).toBe(1);
}

describe("groups with certificates, in full tracking", () => {
  test("[M5] are founded, joined by claimed packages, and written to; everybody judges everybody's certificate", async () => {
    const { app, device } = await setUp();
    const alice = await Member.create(app.client, await device("alice", "aliceAccount"), { tracking: "full" });
    const [bob, carol] = (await claimAndAdd(app, alice, [
      await device("bob", "bobAccount"),
      await device("carol", "carolAccount"),
    ])) as [Member, Member];
    agree(alice.group, bob.group, carol.group);
    const { members } = await app.client.group.members({ groupId: alice.groupId });
    expect(members.map(({ handle }) => handle)).toEqual(["alice/laptop", "bob/phone", "carol/phone"]);
    for (const { notAfter } of members) expect(notAfter).toBeGreaterThan(Date.now() + 300 * DAY_MS);
    const message = await bob.group.send(new TextEncoder().encode("hello"));
    await app.client.group.send({ groupId: bob.groupId, message, as: bob.device.clientId });
    expect(await carol.catchUp()).toEqual(["hello"]);
    await commit(carol, { remove: [bob.group.leafIndex] });
    await alice.catchUp();
    agree(alice.group, carol.group);
  });

  test("[M5] a leaf of another root, or with another's key, cannot enter", async () => {
    const { app, certificates, device } = await setUp();
    // Founded by somebody who looks at nothing: the back-end refuses all the same.
    const blind = await certifiedClient(certificates, chainOf("alice", "aliceAccount"));
    const { clientId } = await app.client.identity.create({ clientIdentity: blind.credential });
    const alice = await Member.create(app.client, { mls: blind, clientId }, { tracking: "full" });
    const bob = await device("bob", "bobAccount");
    const stranger = await certifiedClient(certificates, ["stranger"]);
    // Bob's certificates beside a key of the thief's own.
    const bobs = certificates.ders(chainOf("bob", "bobAccount"));
    const thief = await MlsClient.create({ identity: "thief", certificates: bobs });
    for (const mls of [stranger, thief]) {
      const { message } = await mls.createKeyPackage();
      const error = await refusal(commit(alice, { add: [message] }));
      expect(error).toMatchObject({ reason: "COMMIT_INVALID", details: { rule: "LEAF_CREDENTIAL" } });
    }
    await claimAndAdd(app, alice, [bob]);
  });

  test("[M5] a renewed certificate comes with its holder's commit, once it is the client's identity", async () => {
    const { app, certificates, device } = await setUp();
    const alice = await Member.create(app.client, await device("alice", "aliceAccount"), { tracking: "full" });
    const [bob] = (await claimAndAdd(app, alice, [await device("bob", "bobAccount")])) as [Member];
    const chain = certificates.ders(chainOf("aliceRenewed", "aliceAccount"));
    const renewed = withCertificates(alice.group, alice.device.mls, chain);
    const early = await refusal(commit(alice, {}, renewed));
    expect(early).toMatchObject({ reason: "COMMIT_INVALID", details: { rule: "LEAF_CLIENT" } });
    const { credential } = await certifiedClient(certificates, chainOf("aliceRenewed", "aliceAccount"));
    const { clientId } = alice.device;
    await app.client.identity.update({ clientId, clientIdentity: credential });
    await commit(alice, {}, renewed);
    await bob.catchUp();
    agree(renewed, bob.group);
    const { members } = await app.client.group.members({ groupId: bob.groupId });
    expect(members).toMatchObject([{ leaf: 0, clientId, handle: "alice/laptop" }, { leaf: 1 }]);
    expect(members[0]?.notAfter).toBeLessThan(Date.now() + 370 * DAY_MS);
    // A certificate of somebody else, though valid: the leaf stays its client's.
    const other = withCertificates(bob.group, bob.device.mls, certificates.ders(chainOf("bobsTablet", "bobAccount")));
    expect((await refusal(commit(bob, {}, other))).details).toMatchObject({ rule: "LEAF_CREDENTIAL" });
  });

  test("[M5] an expired leaf cannot enter; one that is in stays, commits, and renews itself", async () => {
    const { app, certificates, device, service } = await setUp();
    const blind = await certifiedClient(certificates, chainOf("alice", "aliceAccount"));
    const { clientId } = await app.client.identity.create({ clientIdentity: blind.credential });
    const alice = await Member.create(app.client, { mls: blind, clientId }, { tracking: "full" });
    const bobsDevice = await device("shortBob", "bobAccount");
    const { message } = await bobsDevice.mls.createKeyPackage();
    await commit(alice, { add: [message] });
    const bob = await joined(app, bobsDevice);
    const tablet = await device("shortTablet", "bobAccount");
    const late = await tablet.mls.createKeyPackage();

    const clientIdentity = bobsDevice.mls.credential;
    const validNow = async () => (await app.client.identity.validate({ clientIdentity })).cause;
    await expect.poll(validNow, { timeout: 2 * SHORT_MS, interval: 200 }).toBe("expired");
    const inbox = await inboxEvents(app.client, bobsDevice.clientId);
    const notAfter = Math.floor((certificates.nowMs + SHORT_MS) / 1000) * 1000;
    expect(inbox.filter(({ type }) => type === "identity.expiring").map(({ body }) => body)).toEqual([{ notAfter }]);

    const error = await refusal(commit(alice, { add: [late.message] }));
    expect(error).toMatchObject({ reason: "COMMIT_INVALID", details: { rule: "LEAF_CREDENTIAL" } });
    const refused = await refusal(app.client.identity.create({ clientIdentity }));
    expect(refused).toMatchObject({ reason: "IDENTITY_INVALID", details: { cause: "expired" } });

    // The untouched leaf: others commit, and so does its holder.
    await commit(alice);
    await bob.catchUp();
    await commit(bob);
    await alice.catchUp();
    agree(alice.group, bob.group);
    // Who joins now finds it in the tree, and decides by itself.
    const services = { strict: service(), joining: service(true) };
    let asked: keyof typeof services = "strict";
    const carol = await device("carol", "carolAccount", {
      validateCredential: (credential, key) => services[asked].validateCredential(credential, key),
    });
    const carolsPackage = await carol.mls.createKeyPackage();
    await commit(alice, { add: [carolsPackage.message] });
    await expect(joined(app, carol)).rejects.toThrow("Could not validate credential");
    asked = "joining";
    const carols = await joined(app, carol);
    await bob.catchUp();
    agree(alice.group, bob.group, carols.group);
    const chain = chainOf("shortBobRenewed", "bobAccount");
    const { credential } = await certifiedClient(certificates, chain);
    await app.client.identity.update({ clientId: bobsDevice.clientId, clientIdentity: credential });
    const renewed = withCertificates(bob.group, bobsDevice.mls, certificates.ders(chain));
    await commit(bob, {}, renewed);
    await Promise.all([alice, carols].map((member) => member.catchUp()));
    agree(alice.group, renewed, carols.group);
  }, 120_000);

  test("P-256, as ts-mls encodes its keys", async () => {
    const { app, certificates } = await setUp();
    const compressed = (leaf: keyof typeof recipes): Parameters<typeof certifiedDevice>[3] => {
      const { signKey, publicKey } = signatureKeyPair(certificates.get(leaf));
      const point = ECDH.convertKey(publicKey, "prime256v1", undefined, undefined, "compressed") as Buffer;
      const keyPair = { signKey, publicKey: new Uint8Array(point) };
      return { ciphersuite: 2, crypto: "ts-mls", signatureKeyPair: keyPair };
    };
    const [founder, other] = await Promise.all([
      certifiedDevice(app.client, certificates, chainOf("p256", "aliceAccount"), compressed("p256")),
      certifiedDevice(app.client, certificates, chainOf("p256Other", "bobAccount"), compressed("p256Other")),
    ]);
    const alice = await Member.create(app.client, founder, { tracking: "full" });
    const [bob] = (await claimAndAdd(app, alice, [other])) as [Member];
    await commit(bob);
    await alice.catchUp();
    agree(alice.group, bob.group);
  });
});
