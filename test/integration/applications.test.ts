// Applications, their settings and their keys over the wire (PROTOCOL §1 C2, §4), as an operator sees them.
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { KEYS_MAX } from "../../src/actors/application-machine.ts";
import { defaultSettings } from "../../src/protocol/schemas/application.ts";
import { AppWorld, basicCredential, refusal } from "../support/app-world.ts";
import { refusedUpgrade } from "../support/wire-client.ts";

let world: AppWorld;
beforeAll(async () => {
  world = await AppWorld.start();
});
afterAll(() => world.stop());

describe("applications", () => {
  test("[C2] the first key has all scopes and its secret is a whole token that works at once", async () => {
    const { applicationId, key } = await world.operator.application.create({ name: "first" });
    expect(key.secret).toMatch(new RegExp(`^aegis_${key.keyId}_[A-Za-z0-9-]{43,}$`));
    const client = await world.connect(key.secret);
    expect(client.welcome?.applicationId).toBe(applicationId);
    const { keys } = await world.operator.application.listKeys({ applicationId });
    expect(keys).toMatchObject([{ keyId: key.keyId, scopes: ["identity", "keyPool", "group"] }]);
    expect(JSON.stringify(keys)).not.toContain(key.secret.split("_")[2]);
  });

  test("[E4] a create again under its key answers word for word, the secret too; other params are KEY_REUSED", async () => {
    const wire = await world.wire(world.operatorToken);
    const first = await wire.call("application.create", { name: "once" }, { key: "create-once" });
    const again = await wire.call("application.create", { name: "once" }, { key: "create-once" });
    expect(again.result).toEqual(first.result);
    const other = await wire.call("application.create", { name: "twice" }, { key: "create-once" });
    expect(other.error).toMatchObject({ code: "ALREADY_EXISTS", reason: "KEY_REUSED", retryable: false });
    // str and bin are two keys, and no key at all makes another application.
    const binary = await wire.call("application.create", { name: "once" }, { key: Buffer.from("create-once") });
    expect(binary.result).not.toEqual(first.result);
  });

  test("[E4] a key made again under its key has the same secret", async () => {
    const { applicationId } = await world.application();
    const params = { applicationId, scopes: ["group" as const] };
    const first = await world.operator.application.createKey(params, { key: "one" });
    expect(await world.operator.application.createKey(params, { key: "one" })).toEqual(first);
    const error = await refusal(
      world.operator.application.createKey({ ...params, scopes: ["identity"] }, { key: "one" }),
    );
    expect(error.reason).toBe("KEY_REUSED");
  });

  test("[C2] keys that were revoked or have expired make room for new ones, the one that ended first; others do not", async () => {
    const { applicationId, client } = await world.application();
    const { createKey, revokeKey, listKeys } = world.operator.application;
    const scopes = ["group" as const];
    const made = [await createKey({ applicationId, scopes, expiresAt: 1 }), await createKey({ applicationId, scopes })];
    for (let left = KEYS_MAX - 3; left > 0; left -= 50) {
      await Promise.all(Array.from({ length: Math.min(left, 50) }, () => createKey({ applicationId, scopes })));
    }
    const [expired, revoked] = made as [(typeof made)[0], (typeof made)[0]];
    await revokeKey({ applicationId, keyId: revoked.keyId });
    const status = async (token: string): Promise<number> => (await refusedUpgrade(world.port, { token })).status;
    expect([await status(expired.secret), await status(revoked.secret)]).toEqual([403, 403]);
    const fresh = await createKey({ applicationId, scopes });
    expect([await status(expired.secret), await status(revoked.secret)]).toEqual([401, 403]);
    await createKey({ applicationId, scopes });
    expect(await status(revoked.secret)).toBe(401);
    expect((await refusal(createKey({ applicationId, scopes }))).reason).toBe("KEYS_LIMIT");
    const { keys } = await listKeys({ applicationId });
    expect(keys).toHaveLength(KEYS_MAX);
    expect(keys.map(({ keyId }) => keyId)).toContain(fresh.keyId);
    expect((await client.application.get({})).applicationId).toBe(applicationId);
  }, 60_000);

  test("settings have the defaults of the table; keys given replace whole, the others stay", async () => {
    const { applicationId, client } = await world.application({ keyPoolTarget: 7 });
    const got = await client.application.get({});
    const { externalSenders, ...rest } = got;
    expect(rest).toEqual({ applicationId, name: "test", settings: { ...defaultSettings, keyPoolTarget: 7 } });
    expect(externalSenders.map(({ ciphersuite }) => ciphersuite)).toEqual(defaultSettings.ciphersuites);
    expect((await world.operator.application.get({ applicationId })).externalSenders).toEqual(externalSenders);
    const settings = { pastEpochs: 3, quotas: { identities: 5 } };
    const updated = await world.operator.application.update({ applicationId, settings });
    // A map is replaced as a whole: what is not named in it takes its default again.
    const expected = { ...defaultSettings, keyPoolTarget: 7, pastEpochs: 3 };
    expect(updated.settings).toEqual({ ...expected, quotas: { ...defaultSettings.quotas, identities: 5 } });
    const second = await world.operator.application.update({ applicationId, settings: { quotas: { groups: 9 } } });
    expect(second.settings.quotas).toEqual({ ...defaultSettings.quotas, groups: 9 });
    expect((await client.application.get({})).settings).toEqual(second.settings);
    expect((await world.operator.application.get({ applicationId })).settings).toEqual(second.settings);
  });

  test("[T1] nil equals absent in settings but where it means no limit", async () => {
    const { applicationId } = await world.application();
    const wire = await world.wire(world.operatorToken);
    const settings = { keyPackageLifetimeMaxMs: null, pastEpochs: null, keyPoolMax: 9.0, unknownSetting: 1 };
    const answer = await wire.call("application.update", { applicationId, settings });
    expect(answer.result).toMatchObject({
      settings: { keyPackageLifetimeMaxMs: null, pastEpochs: 1, keyPoolMax: 9 },
    });
    const bad = await wire.call("application.update", { applicationId, settings: { ciphersuites: [1, 8] } });
    expect(bad.error).toMatchObject({ reason: "BAD_PARAMS", details: { path: "settings.ciphersuites.1" } });
  });

  test("list pages through every application exactly once", async () => {
    const made = new Set<string>();
    for (let n = 0; n < 7; n += 1) {
      const { applicationId } = await world.operator.application.create({ name: `listed ${String(n)}` });
      made.add(applicationId);
    }
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await world.operator.application.list({ limit: 3, ...(cursor === undefined ? {} : { cursor }) });
      expect(page.applications.length).toBeLessThanOrEqual(3);
      seen.push(...page.applications.map(({ applicationId }) => applicationId));
      cursor = page.cursor;
    } while (cursor !== undefined);
    expect(new Set(seen).size).toBe(seen.length);
    expect(seen).toEqual(expect.arrayContaining([...made]));
    const error = await refusal(world.operator.application.list({ cursor: "nonsense" }));
    expect(error).toMatchObject({ code: "INVALID_ARGUMENT", reason: "CURSOR_INVALID" });
  });

  test("unknown applications and keys are NOT_FOUND, whichever method asks", async () => {
    const applicationId = randomUUID();
    const { application } = world.operator;
    const refused = [
      application.get({ applicationId }),
      application.update({ applicationId, settings: {} }),
      application.createKey({ applicationId, scopes: ["group"] }),
      application.listKeys({ applicationId }),
      application.revokeKey({ applicationId, keyId: "nobody" }),
      application.delete({ applicationId }),
    ].map(refusal);
    for (const error of await Promise.all(refused)) {
      expect(error).toMatchObject({ code: "NOT_FOUND", reason: "APPLICATION_NOT_FOUND" });
    }
    const known = await world.application();
    const error = await refusal(application.revokeKey({ applicationId: known.applicationId, keyId: "nobody" }));
    expect(error).toMatchObject({ code: "NOT_FOUND", reason: "KEY_NOT_FOUND" });
    expect((await refusal(application.get({}))).reason).toBe("BAD_PARAMS");
  });

  test("[E2] a key does what its scopes say and nothing else, and scope is judged before params", async () => {
    const { applicationId } = await world.application();
    const { secret } = await world.operator.application.createKey({ applicationId, scopes: ["keyPool"] });
    const wire = await world.wire(secret);
    for (const method of ["identity.get", "group.get", "application.create", "application.list", "stream.read"]) {
      const { error } = await wire.call(method, { clientIds: 5 });
      expect(error, method).toMatchObject({ code: "PERMISSION_DENIED", reason: "SCOPE" });
    }
    expect((await wire.call("keyPool.status", { clientIds: [] })).error).toBeUndefined();
    expect((await wire.call("application.get", {})).error).toBeUndefined();
    const operator = await world.wire(world.operatorToken);
    const { error } = await operator.call("identity.get", { clientIds: [] });
    expect(error).toMatchObject({ code: "PERMISSION_DENIED", reason: "SCOPE" });
  });

  test("[C2] a revoked key is refused at the door, and its sessions close 4501 within 2 s", async () => {
    const { applicationId, keyId, token } = await world.application();
    const spare = await world.operator.application.createKey({ applicationId, scopes: ["identity"] });
    const open = await world.wire(token);
    const other = await world.wire(spare.secret);
    await world.operator.application.revokeKey({ applicationId, keyId });
    const revokedAt = performance.now();
    expect(await open.closeCode()).toBe(4501);
    expect(performance.now() - revokedAt).toBeLessThan(2000);
    expect((await refusedUpgrade(world.port, { token })).status).toBe(403);
    const forged = token.slice(0, -1) + (token.endsWith("0") ? "1" : "0");
    expect((await refusedUpgrade(world.port, { token: forged })).status).toBe(401);
    expect((await other.call("identity.get", { clientIds: [] })).error).toBeUndefined();
    const { keys } = await world.operator.application.listKeys({ applicationId });
    expect(keys.map((key) => key.keyId)).toEqual([spare.keyId]);
  });

  test("[C2] a key that expires stops working, at the door and within its sessions", async () => {
    const { applicationId } = await world.application();
    const expiresAt = Date.now() + 1500;
    const { secret } = await world.operator.application.createKey({ applicationId, scopes: ["group"], expiresAt });
    const open = await world.wire(secret);
    expect(await open.closeCode()).toBe(4501);
    expect(Date.now()).toBeGreaterThanOrEqual(expiresAt - 100);
    expect(Date.now() - expiresAt).toBeLessThan(2000);
    expect((await refusedUpgrade(world.port, { token: secret })).status).toBe(403);
  });

  test("listKeys tells when a key was last used", async () => {
    const { applicationId, keyId } = await world.application();
    await expect
      .poll(async () => {
        const { keys } = await world.operator.application.listKeys({ applicationId });
        return keys.find((key) => key.keyId === keyId)?.lastUsedAt ?? 0;
      })
      .toBeGreaterThan(Date.now() - 60_000);
  });

  test("[C2] quotas of sessions and requests hold, and say when to come again", async () => {
    const { token, client } = await world.application({ quotas: { sessions: 2, requestsPerSecond: 5 } });
    const wire = await world.wire(token);
    const refused = await refusedUpgrade(world.port, { token });
    expect(refused.status).toBe(429);
    expect(Number(refused.headers["retry-after"])).toBeGreaterThan(0);
    await client.close();
    const ids = Array.from({ length: 20 }, () => wire.request("identity.get", { clientIds: [] }));
    const answers = await Promise.all(ids.map((id) => wire.response(id)));
    const limited = answers.flatMap(({ error }) => error ?? []);
    expect(limited.length).toBeGreaterThanOrEqual(10);
    for (const error of limited) {
      expect(error).toMatchObject({ code: "RESOURCE_EXHAUSTED", reason: "RATE_LIMITED", retryable: true });
      expect(error.retryAfterMs).toBeGreaterThan(0);
    }
  });

  test("[E4] a key of a delete is the application's own: it may serve for another, and for what was asked elsewhere", async () => {
    const { operator } = world;
    const [one, two] = [
      await operator.application.create({ name: "one" }, { key: "same" }),
      await operator.application.create({ name: "two" }, { key: "other" }),
    ];
    for (const { applicationId } of [one, two]) {
      await operator.application.delete({ applicationId }, { key: "same" });
      expect((await refusal(operator.application.get({ applicationId }))).reason).toBe("APPLICATION_NOT_FOUND");
    }
  });

  test("delete takes the keys, the sessions and everything in it", async () => {
    const { applicationId, token, client } = await world.application();
    await client.identity.create({ clientIdentity: basicCredential("gone") });
    const open = await world.wire(token);
    await world.operator.application.delete({ applicationId }, { key: "delete-it" });
    await world.operator.application.delete({ applicationId }, { key: "delete-it" });
    expect(await open.closeCode()).toBe(4501);
    expect((await refusedUpgrade(world.port, { token })).status).toBeGreaterThanOrEqual(401);
    const { application } = world.operator;
    expect((await refusal(application.get({ applicationId }))).reason).toBe("APPLICATION_NOT_FOUND");
    expect((await refusal(application.delete({ applicationId }))).reason).toBe("APPLICATION_NOT_FOUND");
    const { applications } = await application.list({ limit: 1000 });
    expect(applications.map((listed) => listed.applicationId)).not.toContain(applicationId);
  });
});
