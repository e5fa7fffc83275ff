// Claiming key packages over the wire (PROTOCOL §4): order, races, retries, limits, and the events of a pool.
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ParamsInput } from "../../src/client/client.ts";
import { AppWorld, basicCredential, refusal, type TestApplication } from "../support/app-world.ts";
import { createDevice, hexOf, keyPackages, type Device, type DeviceOptions } from "../support/devices.ts";
import { MlsClient } from "../support/mls-client.ts";

const DAY_MS = 24 * 3_600_000;

let world: AppWorld;
let app: TestApplication;
beforeAll(async () => {
  world = await AppWorld.start();
  app = await world.application({ keyPoolLow: 2, keyPoolTarget: 5, claimsPerHour: 100 });
});
afterAll(() => world.stop());

let made = 0;
/** A device with so many packages in its pool. */
async function device(packages: number, options: DeviceOptions & { lastResort?: boolean } = {}): Promise<Device> {
  made += 1;
  const created = await createDevice(app.client, `device-${String(made)}`, options);
  const last = options.lastResort === true ? await keyPackages(created.mls, 1, { lastResort: true }) : [];
  await app.client.keyPool.publish({
    clientId: created.clientId,
    keyPackages: await keyPackages(created.mls, packages),
    ...(last[0] === undefined ? {} : { lastResort: last[0] }),
  });
  return created;
}

function claim(clientId: string, params: Partial<ParamsInput<"keyPool.claim">> = {}, key?: string) {
  return app.client.keyPool.claim({ targets: [{ clientId }], ...params }, key === undefined ? {} : { key });
}

async function events({ clientId }: Device, type: string): Promise<unknown[]> {
  const read = await app.client.stream.read({ kind: "client", id: clientId, limit: 1000 });
  return read.events.filter(([, , of]) => of === type).map(([, , , body]) => body);
}

describe("what a claim takes", () => {
  test("the soonest to expire first, with what the package is; the bytes as they were published", async () => {
    const alice = await device(0);
    const days = [9, 3, 27, 1, 14];
    const published = await Promise.all(days.map((n) => alice.mls.createKeyPackage({ lifetimeMs: n * DAY_MS })));
    await app.client.keyPool.publish({
      clientId: alice.clientId,
      keyPackages: published.map(({ message }) => message),
    });
    const order = [...published.keys()].sort((a, b) => (days[a] as number) - (days[b] as number));
    for (const at of order) {
      const { claimed } = await claim(alice.clientId);
      expect(claimed).toHaveLength(1);
      expect(claimed[0]).toMatchObject({ clientId: alice.clientId, ciphersuite: 1, lastResort: false });
      expect(hexOf(claimed[0]?.keyPackage as Uint8Array)).toBe(hexOf(published[at]?.message as Uint8Array));
      expect(hexOf(claimed[0]?.keyPackageRef as Uint8Array)).toBe(hexOf(published[at]?.ref as Uint8Array));
      expect(claimed[0]?.notAfter).toBeGreaterThan(Date.now());
    }
    expect((await claim(alice.clientId)).failed).toEqual([{ clientId: alice.clientId, reason: "POOL_EMPTY" }]);
  });

  test("the first suite in order that has one: the claim's order, else the application's; the label's own queues", async () => {
    const strict = await world.application({ ciphersuites: [2, 1] });
    const pool = strict.client.keyPool;
    const one = await createDevice(strict.client, "both");
    const { clientId } = one;
    const p256 = await MlsClient.create({ identity: "both", ciphersuite: 2 });
    const packages = [...(await keyPackages(one.mls, 2)), ...(await keyPackages(p256, 2))];
    await pool.publish({ clientId, keyPackages: packages });
    const suites = async (params: object): Promise<(number | string)[]> => {
      const { claimed, failed } = await pool.claim({ targets: [{ clientId }], ...params });
      return [...claimed.map(({ ciphersuite }) => ciphersuite), ...failed.map(({ reason }) => reason)];
    };
    expect(await suites({})).toEqual([2]);
    expect(await suites({ ciphersuites: [1, 2] })).toEqual([1]);
    expect(await suites({ ciphersuites: [7, 2] })).toEqual([2]);
    expect(await suites({ ciphersuites: [2] })).toEqual(["NO_CIPHERSUITE"]);
    expect(await suites({ ciphersuites: [7] })).toEqual(["NO_CIPHERSUITE"]);
    expect(await suites({ label: "web" })).toEqual(["POOL_EMPTY"]);
    expect(await suites({})).toEqual([1]);
    expect(await suites({ ciphersuites: [7] })).toEqual(["POOL_EMPTY"]);
  });

  test("the last resort goes out again and again, says so, and not where it is not allowed", async () => {
    const alice = await device(1, { lastResort: true });
    const { clientId } = alice;
    expect((await claim(clientId)).claimed).toMatchObject([{ lastResort: false }]);
    const refused = await claim(clientId, { allowLastResort: false });
    expect(refused).toEqual({ claimed: [], failed: [{ clientId, reason: "POOL_EMPTY" }] });
    const again = [await claim(clientId), await claim(clientId)].map(({ claimed }) => claimed[0]);
    expect(again).toMatchObject([{ lastResort: true }, { lastResort: true }]);
    expect(again[0]).toEqual(again[1]);
    // A new last resort takes the old one's place.
    const fresh = await alice.mls.createKeyPackage();
    await app.client.keyPool.publish({ clientId, keyPackages: [], lastResort: fresh.message });
    const { claimed } = await claim(clientId);
    expect(hexOf(claimed[0]?.keyPackage as Uint8Array)).toBe(hexOf(fresh.message));
    const used = { ciphersuite: 1, label: "" };
    await expect.poll(() => events(alice, "keyPool.lastResortUsed")).toEqual([used, used]);
  });

  test("[S7] a last resort that goes out again and again pushes nothing out of the inbox", async () => {
    const short = await world.application({ inboxRetention: { ms: DAY_MS, events: 10 } });
    const { clientId, mls } = await createDevice(short.client, "first");
    const renamed = await MlsClient.create({ identity: "second" });
    await short.client.identity.update({ clientId, clientIdentity: renamed.credential });
    const [lastResort] = (await keyPackages(renamed, 1)) as [Uint8Array];
    await short.client.keyPool.publish({ clientId, keyPackages: [], lastResort });
    for (let n = 0; n < 12; n += 1) await short.client.keyPool.claim({ targets: [{ clientId }] });
    await short.client.identity.update({ clientId, clientIdentity: mls.credential });
    const types = async (): Promise<unknown[]> =>
      (await short.client.stream.read({ kind: "client", id: clientId })).events.map(([, , type]) => type).sort();
    await expect.poll(types).toEqual(["identity.updated", "identity.updated", "keyPool.lastResortUsed"]);
  });

  test("keyPool.low says once that a queue has come down to keyPoolLow, and again when it is empty", async () => {
    const alice = await device(4);
    for (let n = 0; n < 4; n += 1) await claim(alice.clientId);
    const low = (available: number) => ({ ciphersuite: 1, label: "", available, target: 5 });
    await expect.poll(() => events(alice, "keyPool.low")).toEqual([low(2), low(0)]);
  });
});

test("[G2] a pool that is claimed from all the time is filled all the same, and each package goes out once", async () => {
  const busy = await world.application({ claimsPerHour: 1_000_000 });
  const pool = busy.client.keyPool;
  const { mls, clientId } = await createDevice(busy.client, "busy");
  const [lastResort] = (await keyPackages(mls, 1)) as [Uint8Array];
  await pool.publish({ clientId, keyPackages: [], lastResort });
  const batches = await Promise.all(Array.from({ length: 12 }, () => keyPackages(mls, 10)));
  const went: string[] = [];
  let isFilled = false;
  const claimUntilDrained = async (): Promise<void> => {
    for (let isDrained = false; !isDrained;) {
      const wasFilled = isFilled;
      const { claimed } = await pool.claim({ targets: [{ clientId }] });
      const once = claimed.filter((one) => !one.lastResort);
      went.push(...once.map(({ keyPackage }) => hexOf(keyPackage)));
      isDrained = wasFilled && once.length === 0;
    }
  };
  const claiming = Array.from({ length: 16 }, claimUntilDrained);
  // Past the client's own retries: each publish must be done at once.
  const wire = await world.wire(busy.token);
  const errors = [];
  for (const batch of batches) {
    errors.push((await wire.call("keyPool.publish", { clientId, keyPackages: batch })).error ?? undefined);
  }
  isFilled = true;
  await Promise.all(claiming);
  expect(errors.filter((error) => error !== undefined)).toEqual([]);
  expect(went.sort()).toEqual(batches.flat().map(hexOf).sort());
});

describe("targets", () => {
  test("a filter stands for every client it finds, each client once, less those excluded", async () => {
    const devices = await Promise.all([0, 1, 2, 3].map(() => device(2, { tags: ["account:a"] })));
    const [first, second] = devices as [Device, Device];
    const unknown = randomUUID();
    const { claimed, failed } = await app.client.keyPool.claim({
      targets: [{ all: ["account:a"] }, { clientId: first.clientId }, { any: ["account:a"] }, { clientId: unknown }],
      exclude: [second.clientId],
    });
    const expected = devices.filter((one) => one !== second).map(({ clientId }) => clientId);
    expect(claimed.map(({ clientId }) => clientId).sort()).toEqual(expected.sort());
    expect(failed).toEqual([{ clientId: unknown, reason: "NOT_FOUND" }]);
    const nobody = await app.client.keyPool.claim({ targets: [{ all: ["account:nobody"] }] });
    expect(nobody).toEqual({ claimed: [], failed: [] });
  });

  test("no filter at all is FILTER_EMPTY; more than 1,000 clients are TOO_MANY_TARGETS and take nothing", async () => {
    const empty = await refusal(app.client.keyPool.claim({ targets: [{ none: ["x"] }] }));
    expect(empty).toMatchObject({ code: "INVALID_ARGUMENT", reason: "FILTER_EMPTY" });
    const { clientId } = await device(1);
    const ids = Array.from({ length: 1000 }, () => ({ clientId: randomUUID() }));
    const many = await refusal(app.client.keyPool.claim({ targets: [{ clientId }, ...ids] }));
    expect(many).toMatchObject({ code: "OUT_OF_RANGE", reason: "TOO_MANY_TARGETS" });
    const { claimed, failed } = await app.client.keyPool.claim({ targets: [{ clientId }, ...ids.slice(1)] });
    expect([claimed.length, failed.length]).toEqual([1, 999]);
  });

  test("a deleted client's pool is gone: NOT_FOUND", async () => {
    const { clientId } = await device(1);
    await app.client.identity.delete({ clientId });
    expect((await claim(clientId)).failed).toEqual([{ clientId, reason: "NOT_FOUND" }]);
    expect((await refusal(app.client.keyPool.list({ clientId }))).reason).toBe("CLIENT_NOT_FOUND");
  });

  test("claimsPerHour counts one requester on one client: RATE_LIMITED; a retry by key counts nothing", async () => {
    const limited = await world.application({ claimsPerHour: 2 });
    const pool = limited.client.keyPool;
    const targets: { clientId: string }[] = [];
    for (const name of ["one", "two"]) {
      const { mls, clientId } = await createDevice(limited.client, name);
      await pool.publish({ clientId, keyPackages: await keyPackages(mls, 6) });
      targets.push({ clientId });
    }
    const [requester, other] = [randomUUID(), randomUUID()];
    const reasons = async (params: object, key?: string): Promise<string[]> => {
      const { failed } = await pool.claim({ targets, ...params }, key === undefined ? {} : { key });
      return failed.map(({ reason }) => reason);
    };
    for (let n = 0; n < 4; n += 1) expect(await reasons({ requester }, "same")).toEqual([]);
    expect(await reasons({ requester })).toEqual([]);
    expect(await reasons({ requester })).toEqual(["RATE_LIMITED", "RATE_LIMITED"]);
    expect(await reasons({ requester: other })).toEqual([]);
    // Without a requester the session is counted.
    expect([await reasons({}), await reasons({})]).toEqual([[], []]);
    expect(await reasons({})).toEqual(["RATE_LIMITED", "RATE_LIMITED"]);
  });
});

describe("races and retries", () => {
  test("[F20] of 64 racers for the last package one gets it, the others the last resort or POOL_EMPTY", async () => {
    const alice = await device(1, { lastResort: true });
    const bob = await device(1);
    const racers = await Promise.all(Array.from({ length: 8 }, () => world.connect(app.token)));
    const claims = Array.from({ length: 64 }, (_, n) =>
      (racers[n % 8] as (typeof racers)[number]).keyPool.claim({
        targets: [{ clientId: alice.clientId }, { clientId: bob.clientId }],
        requester: randomUUID(),
      }),
    );
    const results = await Promise.all(claims);
    const of = ({ clientId }: Device) =>
      results.flatMap(({ claimed }) => claimed.filter((c) => c.clientId === clientId));
    expect(of(alice).filter(({ lastResort }) => !lastResort)).toHaveLength(1);
    expect(of(alice).filter(({ lastResort }) => lastResort)).toHaveLength(63);
    expect(of(bob)).toHaveLength(1);
    const failed = results.flatMap((result) => result.failed);
    expect(failed).toHaveLength(63);
    expect(new Set(failed.map(({ reason }) => reason))).toEqual(new Set(["POOL_EMPTY"]));
  });

  test("[G2] claims and publishes at once: no package goes out twice, and none is lost", async () => {
    const alice = await device(0);
    const { clientId } = alice;
    const batches = await Promise.all(Array.from({ length: 5 }, () => keyPackages(alice.mls, 10)));
    const claims: ReturnType<typeof claim>[] = [];
    for (const batch of batches) {
      const publishing = app.client.keyPool.publish({ clientId, keyPackages: batch });
      for (let n = 0; n < 16; n += 1) claims.push(claim(clientId, { requester: randomUUID() }));
      await publishing;
    }
    const refs = (await Promise.all(claims)).flatMap(({ claimed }) => claimed.map((one) => hexOf(one.keyPackageRef)));
    expect(new Set(refs).size).toBe(refs.length);
    const { keyPackages: left } = await app.client.keyPool.list({ clientId });
    expect(refs.length + left.length).toBe(50);
    expect(left.map(({ keyPackageRef }) => hexOf(keyPackageRef)).filter((ref) => refs.includes(ref))).toEqual([]);
  });

  test("[E4] [G2] a retry under its key gets the same package, word for word, 20 at once too", async () => {
    const { clientId } = await device(5);
    const wire = await world.wire(app.token);
    const params = { targets: [{ clientId }] };
    const calls = Array.from({ length: 20 }, () => wire.call("keyPool.claim", params, { key: "again" }));
    const results = (await Promise.all(calls)).map(({ result }) => result);
    for (const result of results) expect(result).toEqual(results[0]);
    expect((await app.client.keyPool.status({ clientIds: [clientId] })).pools).toMatchObject([
      { queues: [{ available: 4 }] },
    ]);
    // Remembered although the pool and the client are gone.
    await app.client.identity.delete({ clientId });
    expect((await wire.call("keyPool.claim", params, { key: "again" })).result).toEqual(results[0]);
  });

  test("[E4] a claim by tags is idempotent per client: a retry reaches more, never a second package for one", async () => {
    const tag = "account:grows";
    const first = await device(3, { tags: [tag] });
    const once = await app.client.keyPool.claim({ targets: [{ all: [tag] }] }, { key: "by-tag" });
    const second = await device(3, { tags: [tag] });
    const again = await app.client.keyPool.claim({ targets: [{ all: [tag] }] }, { key: "by-tag" });
    const of = (clientId: string) => again.claimed.find((one) => one.clientId === clientId);
    expect(again.claimed).toHaveLength(2);
    expect(of(first.clientId)).toEqual(once.claimed[0]);
    expect(of(second.clientId)).toBeDefined();
    const other = await claim(first.clientId, {}, "by-tag");
    expect(other).toEqual({ claimed: [], failed: [{ clientId: first.clientId, reason: "KEY_REUSED" }] });
  });

  test("[E4] a publish and a remove again under their keys answer as the first time", async () => {
    const alice = await device(0);
    const { clientId } = alice;
    const wire = await world.wire(app.token);
    const publish = { clientId, keyPackages: await keyPackages(alice.mls, 2) };
    const published = await wire.call("keyPool.publish", publish, { key: "p" });
    await claim(clientId);
    expect((await wire.call("keyPool.publish", publish, { key: "p" })).result).toEqual(published.result);
    const removed = await wire.call("keyPool.remove", { clientId, all: true }, { key: "r" });
    expect(removed.result).toEqual({ removed: 1 });
    expect((await wire.call("keyPool.remove", { clientId, all: true }, { key: "r" })).result).toEqual({ removed: 1 });
  });

  test("no claim begun after an update of the identity is acknowledged returns a package under the old one", async () => {
    for (let round = 0; round < 5; round += 1) {
      const alice = await device(20);
      const { clientId } = alice;
      const racing = Array.from({ length: 10 }, () => claim(clientId));
      const identity = `${alice.mls.identity} renamed`;
      await app.client.identity.update({ clientId, clientIdentity: basicCredential(identity) });
      const after = await Promise.all(Array.from({ length: 5 }, () => claim(clientId)));
      expect(after.flatMap(({ claimed }) => claimed)).toEqual([]);
      await Promise.all(racing);
    }
  });
});

describe("a request that would read for long", () => {
  /** The one that reads is asked first. */
  async function whileReading(
    method: string,
    params: object,
    ttlMs: number,
  ): Promise<{ reader: unknown; readerAnsweredLast: boolean }> {
    const [reader, other] = [await world.wire(app.token), await world.wire(app.token)];
    const order: string[] = [];
    const reading = reader.call(method, params, { ttlMs }).then((answer) => (order.push("reader"), answer));
    await other.call("identity.get", { clientIds: [] });
    order.push("other");
    const { error } = await reading;
    return { reader: error?.reason, readerAnsweredLast: order.at(-1) === "reader" };
  }

  test("[E3] [G10] a claim of thousands of filters ends at its deadline and holds nobody up meanwhile", async () => {
    const any = Array.from({ length: 20 }, (_, n) => `nobody has it ${String(n)}`);
    const targets = Array.from({ length: 4000 }, () => ({ any }));
    const answer = await whileReading("keyPool.claim", { targets }, 1000);
    expect(answer).toEqual({ reader: "DEADLINE_EXCEEDED", readerAnsweredLast: true });
  });

  test("[E3] [G10] so does the status of a thousand full pools", async () => {
    const { clientId } = await device(100);
    const params = { clientIds: Array.from({ length: 1000 }, () => clientId) };
    // Half the time that it takes here and now.
    const began = performance.now();
    await app.client.keyPool.status(params);
    const answer = await whileReading("keyPool.status", params, Math.ceil((performance.now() - began) / 2));
    expect(answer).toEqual({ reader: "DEADLINE_EXCEEDED", readerAnsweredLast: true });
  });
});
