// The x509 identity provider over the wire (PROTOCOL §4): settings, identities, domains, successors, key pools.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { AppWorld, basicCredential, refusal, type TestApplication } from "../support/app-world.ts";
import { CertificateWorld } from "../support/certificates.ts";
import { certifiedClient, certifiedDevice, x509Provider } from "../support/certified-devices.ts";
import { keyPackages } from "../support/devices.ts";
import { recipes, type RecipeName } from "../support/identity-provider-recipes.ts";
import { MlsClient } from "../support/mls-client.ts";

const DAY_MS = 86_400_000;
const certificates = new CertificateWorld(recipes, Date.now());
const house = x509Provider(certificates, { accounts: 1, domains: 2 });
const phone: readonly RecipeName[] = ["device", "account", "domain"];

let world: AppWorld;
let app: TestApplication;
beforeAll(async () => {
  world = await AppWorld.start();
  app = await world.application({ identityProvider: house });
});
afterAll(() => world.stop());

const credentialOf = async (chain: readonly RecipeName[]): Promise<Uint8Array> =>
  (await certifiedClient(certificates, chain)).credential;

/** Certificates count whole seconds. */
const endOf = (days: number): number => Math.floor((certificates.nowMs + days * DAY_MS) / 1000) * 1000;

describe("settings", () => {
  test("are kept and published as they were given", async () => {
    const { settings } = await app.client.application.get({});
    expect(settings.identityProvider).toEqual(house);
  });

  test("that make no provider are refused with their place, at create and at update; nothing is stored", async () => {
    const { applicationId } = await world.application();
    const faults: [object, string][] = [
      [{ trustAnchors: [Uint8Array.of(1)] }, "trustAnchors.0"],
      [{ trustAnchors: [certificates.get("root").der, certificates.get("rootRsa").der] }, "trustAnchors.1"],
      [{ trustAnchors: [] }, "trustAnchors"],
      [{ deviceHandleRange: { start: 2, end: 1 } }, "deviceHandleRange.end"],
      [{ deviceHandleRange: { start: 0, end: 1 } }, "accountHandleOffset"],
      [{ accountHandleOffset: null }, "accountHandleOffset"],
      [{ domainNameOffset: 1 }, "domainNameOffset"],
    ];
    for (const [change, path] of faults) {
      const settings = { identityProvider: { ...house, ...change } };
      const details = { path: `settings.identityProvider.${path}` };
      const wrong = { code: "INVALID_ARGUMENT", reason: "BAD_PARAMS", details };
      expect(await refusal(world.operator.application.update({ applicationId, settings }))).toMatchObject(wrong);
      expect(await refusal(world.operator.application.create({ name: "x", settings }))).toMatchObject(wrong);
    }
    const { settings } = await world.operator.application.get({ applicationId });
    expect(settings.identityProvider).toEqual({ type: "basic" });
  });

  test("a provider can be changed: what it said before is then not accepted any more", async () => {
    const { applicationId, client } = await world.application();
    const { clientId } = await client.identity.create({ clientIdentity: basicCredential("before") });
    await world.operator.application.update({ applicationId, settings: { identityProvider: house } });
    const basic = await client.identity.validate({ clientIdentity: basicCredential("x") });
    expect(basic).toEqual({ valid: false, cause: "type_unsupported" });
    const clientIdentity = await credentialOf(phone);
    expect(await client.identity.update({ clientId, clientIdentity })).toMatchObject({ handle: "alice/phone" });
  });
});

describe("identities", () => {
  test("carry handle, account, domain and the soonest end of their path", async () => {
    const clientIdentity = await credentialOf(phone);
    const facts = { handle: "alice/phone", account: "alice", domain: "example.org", notAfter: endOf(20) };
    const record = await app.client.identity.create({ clientIdentity });
    expect(record).toMatchObject({ ...facts, clientIdentity });
    expect(await app.client.identity.validate({ clientIdentity })).toEqual({ valid: true, ...facts });
    const { clientId } = record;
    const held = { clientId, version: 1, current: true };
    expect(await app.client.identity.resolve({ clientIdentity })).toEqual(held);
    expect(await app.client.identity.resolve({ handle: "alice/phone", domain: "example.org" })).toEqual(held);
    expect((await refusal(app.client.identity.resolve({ handle: "alice/phone" }))).reason).toBe("BAD_PARAMS");
    const both = await refusal(app.client.identity.resolve({ clientIdentity, domain: "example.org" }));
    expect(both.reason).toBe("BAD_PARAMS");
    // A handle is unique in its domain: there it is taken, elsewhere it is free.
    const renewed = await credentialOf(["deviceRenewed", "account", "domain"]);
    expect(await refusal(app.client.identity.create({ clientIdentity: renewed }))).toMatchObject({
      code: "ALREADY_EXISTS",
      reason: "HANDLE_TAKEN",
    });
    const namesake = await credentialOf(["namesakesPhone", "alicesNamesake", "otherDomain"]);
    const other = await app.client.identity.create({ clientIdentity: namesake });
    expect(other).toMatchObject({ handle: "alice/phone", account: "alice", domain: "example.net" });
    const found = await app.client.identity.resolve({ handle: "alice/phone", domain: "example.net" });
    expect(found.clientId).toBe(other.clientId);
    // Two hold it: to say that nobody does would be wrong.
    const ambiguous = await refusal(app.client.identity.resolve({ handle: "alice/phone" }));
    expect(ambiguous).toMatchObject({ reason: "BAD_PARAMS", details: { path: "domain" } });
  });

  test("are refused with their cause, and nothing is stored", async () => {
    const flat = await world.application({ identityProvider: x509Provider(certificates, {}) });
    const cases: [readonly RecipeName[], string][] = [
      [["leafOfOtherRoot", "otherRoot"], "unknown_root"],
      [["leafOfWrongRoot"], "unknown_root"],
      [["expiredLeaf"], "expired"],
      [["futureLeaf"], "not_yet_valid"],
      [["leafBrokenSignature"], "chain_invalid"],
      [["nameSlash"], "name_forbidden"],
      [["noName"], "handle_missing"],
      [["nameNotUtf8"], "handle_not_utf8"],
    ];
    for (const [chain, cause] of cases) {
      const clientIdentity = await credentialOf(chain);
      const error = await refusal(flat.client.identity.create({ clientIdentity }));
      expect(error).toMatchObject({ code: "INVALID_ARGUMENT", reason: "IDENTITY_INVALID", details: { cause } });
      expect(await flat.client.identity.validate({ clientIdentity })).toEqual({ valid: false, cause });
    }
    const created = await flat.client.identity.create({ clientIdentity: await credentialOf(["leaf"]) });
    expect(created).toMatchObject({ handle: "carol" });
    expect(created).not.toHaveProperty("account");
    expect(created).not.toHaveProperty("domain");
  });

  test("a certificate is resolved to who held it, although its handle has gone to another since", async () => {
    const { client } = await world.application({ identityProvider: house });
    const [first, renewed] = await Promise.all(
      [phone, ["deviceRenewed", "account", "domain"] as const].map((chain) => credentialOf(chain)),
    );
    if (first === undefined || renewed === undefined) throw new Error("there are two");
    const one = await client.identity.create({ clientIdentity: first });
    await client.identity.update({ clientId: one.clientId, clientIdentity: renewed });
    const resolved = (clientIdentity: Uint8Array) => client.identity.resolve({ clientIdentity });
    expect(await resolved(first)).toEqual({ clientId: one.clientId, version: 2, current: false });
    await client.identity.delete({ clientId: one.clientId });
    const other = await client.identity.create({ clientIdentity: first });
    expect(await resolved(first)).toEqual({ clientId: other.clientId, version: 1, current: true });
    expect(await resolved(renewed)).toMatchObject({ clientId: one.clientId, current: false });
    const byHandle = await client.identity.resolve({ handle: "alice/phone", domain: "example.org" });
    expect(byHandle).toMatchObject({ clientId: other.clientId, current: true });
  });

  test("`successor` lets a certificate be renewed, and nothing else take its place", async () => {
    const strict = await world.application({ identityProvider: house, identityChange: "successor" });
    const { clientId } = await certifiedDevice(strict.client, certificates, phone);
    const update = async (chain: readonly RecipeName[]) =>
      strict.client.identity.update({ clientId, clientIdentity: await credentialOf(chain) });
    for (const chain of [
      ["otherDevice", "account", "domain"],
      ["bobsPhone", "otherAccount", "domain"],
      ["namesakesPhone", "alicesNamesake", "otherDomain"],
    ] as const) {
      expect(await refusal(update(chain))).toMatchObject({ code: "FAILED_PRECONDITION", reason: "NOT_SUCCESSOR" });
    }
    const renewed = await update(["deviceRenewed", "account", "domain"]);
    expect(renewed).toMatchObject({ version: 2, handle: "alice/phone", notAfter: endOf(50) });
    const { identities } = await strict.client.identity.history({ clientId });
    expect(identities.map(({ handle }) => handle)).toEqual(["alice/phone", "alice/phone"]);
  });
});

describe("settings that change while identities are there", () => {
  const swapped: readonly RecipeName[] = ["deviceRenewed", "account", "crossSigned"];
  const otherRoot = x509Provider(certificates, { anchors: ["otherRoot"], accounts: 1, domains: 2 });

  test("`successor`: under another trust anchor the same holder gets a new certificate, and nobody else does", async () => {
    const { applicationId, client } = await world.application({
      identityProvider: house,
      identityChange: "successor",
    });
    const { clientId } = await certifiedDevice(client, certificates, phone);
    await world.operator.application.update({ applicationId, settings: { identityProvider: otherRoot } });
    const clientIdentity = await credentialOf(phone);
    expect((await client.identity.validate({ clientIdentity })).cause).toBe("unknown_root");
    const bobs = await credentialOf(["bobsPhone", "otherAccount", "crossSigned"]);
    expect((await refusal(client.identity.update({ clientId, clientIdentity: bobs }))).reason).toBe("NOT_SUCCESSOR");
    const renewed = await client.identity.update({ clientId, clientIdentity: await credentialOf(swapped) });
    expect(renewed).toMatchObject({ version: 2, handle: "alice/phone", domain: "example.org" });
  });

  test("an update with the same certificate takes the name and the end that it has by now", async () => {
    const { applicationId, client } = await world.application({ identityProvider: x509Provider(certificates, {}) });
    const device = await certifiedDevice(client, certificates, phone);
    const { clientId, mls } = device;
    const other = await certifiedDevice(client, certificates, ["otherDevice", "account", "domain"]);
    const publish = async () => client.keyPool.publish({ clientId, keyPackages: await keyPackages(mls, 1) });
    expect((await publish()).rejected).toEqual([]);
    await world.operator.application.update({ applicationId, settings: { identityProvider: house } });

    // Commits would be refused to whoever claims these: the certificate names another than its client.
    expect((await publish()).rejected).toMatchObject([{ reason: "WRONG_IDENTITY" }]);
    const clientIdentity = mls.credential;
    const update = () => client.identity.update({ clientId, clientIdentity });
    const facts = { handle: "alice/phone", account: "alice", domain: "example.org", notAfter: endOf(20) };
    expect(await update()).toMatchObject({ version: 2, ...facts });
    expect(await client.identity.resolve({ clientIdentity })).toEqual({ clientId, version: 2, current: true });
    expect((await client.identity.history({ clientId })).identities).toMatchObject([
      { handle: "phone" },
      { handle: "alice/phone" },
    ]);
    expect((await client.keyPool.claim({ targets: [{ clientId }] })).failed).toMatchObject([{ reason: "POOL_EMPTY" }]);
    expect((await publish()).rejected).toEqual([]);
    // Nothing is left to change: the pool stays.
    expect(await update()).toMatchObject({ version: 3, ...facts });
    expect((await client.identity.history({ clientId })).identities).toHaveLength(2);
    expect((await client.keyPool.claim({ targets: [{ clientId }] })).claimed).toHaveLength(1);

    const taken = await refusal(
      client.identity.update({ clientId: other.clientId, clientIdentity: await credentialOf(phone) }),
    );
    expect(taken.reason).toBe("HANDLE_TAKEN");
  });
});

describe("key pools", () => {
  test("[M1] take packages signed with the certificate's key only, and none outlives its certificate", async () => {
    const { client } = await world.application({ identityProvider: house });
    const device = await certifiedDevice(client, certificates, phone);
    const { clientId } = device;
    const good = await keyPackages(device.mls, 2, { lifetimeMs: 60 * DAY_MS });
    const stranger = await MlsClient.create({ identity: "x", certificates: certificates.ders(phone) });
    const foreign = await keyPackages(stranger, 1);
    const published = await client.keyPool.publish({ clientId, keyPackages: [...foreign, ...good] });
    expect(published.accepted).toHaveLength(2);
    expect(published.rejected).toMatchObject([{ index: 0, reason: "WRONG_IDENTITY" }]);
    const { claimed } = await client.keyPool.claim({ targets: [{ clientId }] });
    expect(claimed).toMatchObject([{ clientId, notAfter: endOf(20), lastResort: false }]);
    await client.identity.update({
      clientId,
      clientIdentity: await credentialOf(["deviceRenewed", "account", "domain"]),
    });
    const after = await client.keyPool.claim({ targets: [{ clientId }] });
    expect(after.failed).toEqual([{ clientId, reason: "POOL_EMPTY" }]);
  });
});
