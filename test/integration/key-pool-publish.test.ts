// Publishing key packages over the wire: each judged by itself (PROTOCOL §4, M1), and what a pool then holds.
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { AppWorld, refusal, type TestApplication } from "../support/app-world.ts";
import { changedKeyPackage, createDevice, hexOf, keyPackageOf, keyPackages, type Device } from "../support/devices.ts";
import { MlsClient } from "../support/mls-client.ts";

const DAY_MS = 24 * 3_600_000;

let world: AppWorld;
let app: TestApplication;
beforeAll(async () => {
  world = await AppWorld.start();
  app = await world.application({ keyPoolMax: 5 });
});
afterAll(() => world.stop());

let made = 0;
function device(ciphersuite: 1 | 2 | 5 = 1): Promise<Device> {
  made += 1;
  return createDevice(app.client, `device-${String(made)}`, { ciphersuite });
}

/** Publishes one package; the reason for which it was rejected, or "accepted". */
async function judged({ clientId }: Device, keyPackage: Uint8Array): Promise<string> {
  const { accepted, rejected } = await app.client.keyPool.publish({ clientId, keyPackages: [keyPackage] });
  expect(accepted.length + rejected.length).toBe(1);
  return rejected[0]?.reason ?? "accepted";
}

describe("[M1] each package is judged by itself", () => {
  test("bytes, signatures and source", async () => {
    const alice = await device();
    const [good] = (await keyPackages(alice.mls, 1)) as [Uint8Array];
    expect(await judged(alice, good.subarray(4))).toBe("MALFORMED");
    expect(await judged(alice, new Uint8Array(0))).toBe("MALFORMED");
    expect(await judged(alice, Uint8Array.from([...good, 0]))).toBe("MALFORMED");
    const flipped = Uint8Array.from(good);
    flipped[flipped.length - 1] = (flipped.at(-1) as number) ^ 1;
    expect(await judged(alice, flipped)).toBe("SIGNATURE");
    const badLeaf = await changedKeyPackage(alice.mls, good, (tbs) => {
      const signature = Uint8Array.from(tbs.leafNode.signature);
      signature[0] = (signature[0] as number) ^ 1;
      return { ...tbs, leafNode: { ...tbs.leafNode, signature } };
    });
    expect(await judged(alice, badLeaf)).toBe("LEAF_SIGNATURE");
    const update = await changedKeyPackage(alice.mls, good, (tbs) => {
      return { ...tbs, leafNode: { ...tbs.leafNode, leafNodeSource: "update" } as never };
    });
    expect(await judged(alice, update)).toBe("LEAF_SOURCE");
    expect(await judged(alice, good)).toBe("accepted");
  });

  test("[G10] one that is longer than the limit is refused, and the others stand", async () => {
    const alice = await device();
    const capabilities = { extensions: [0xf001] };
    const sized = async (bytes: number): Promise<Uint8Array> => {
      const extensions = [{ extensionType: 0xf001 as never, extensionData: new Uint8Array(bytes) }];
      return (await alice.mls.createKeyPackage({ capabilities, extensions })).message;
    };
    const overhead = (await sized(60_000)).length - 60_000;
    const [most, more] = [await sized(65_536 - overhead), await sized(65_537 - overhead)] as const;
    expect([most.length, more.length]).toEqual([65_536, 65_537]);
    const given = { clientId: alice.clientId, keyPackages: [more, most], lastResort: await sized(3_000_000) };
    const { accepted, rejected } = await app.client.keyPool.publish(given);
    expect(accepted).toHaveLength(1);
    expect(rejected).toMatchObject([-1, 0].map((index) => ({ index, reason: "MALFORMED" })));
  });

  test("lifetimes: over, not begun, too long; and none is too long where the setting is nil", async () => {
    const alice = await device();
    const lifetime = async (nowMs: number, lifetimeMs: number): Promise<string> =>
      judged(alice, (await alice.mls.createKeyPackage({ nowMs, lifetimeMs })).message);
    expect(await lifetime(Date.now() - DAY_MS, DAY_MS / 2)).toBe("LIFETIME");
    expect(await lifetime(Date.now() + DAY_MS, DAY_MS)).toBe("LIFETIME");
    expect(await lifetime(Date.now(), 90 * DAY_MS + 1000)).toBe("LIFETIME_TOO_LONG");
    expect(await lifetime(Date.now(), 90 * DAY_MS)).toBe("accepted");
    const endless = await world.application({ keyPackageLifetimeMaxMs: null });
    const bob = await createDevice(endless.client, "bob");
    const { message } = await bob.mls.createKeyPackage({ lifetimeMs: 50_000 * DAY_MS });
    const { accepted } = await endless.client.keyPool.publish({ clientId: bob.clientId, keyPackages: [message] });
    expect(accepted).toHaveLength(1);
  });

  test("suite, keys, identity and capabilities", async () => {
    const alice = await device();
    const stranger = await device(5);
    const [suite5] = (await keyPackages(stranger.mls, 1)) as [Uint8Array];
    expect(await judged(stranger, suite5)).toBe("CIPHERSUITE");
    const [one, two] = (await keyPackages(alice.mls, 2)) as [Uint8Array, Uint8Array];
    const sameKeys = await changedKeyPackage(alice.mls, one, (tbs) => {
      return { ...tbs, initKey: tbs.leafNode.hpkePublicKey };
    });
    expect(await judged(alice, sameKeys)).toBe("INIT_KEY");
    expect(await judged(alice, one)).toBe("accepted");
    const knownKey = await changedKeyPackage(alice.mls, two, (tbs) => {
      return { ...tbs, initKey: keyPackageOf(one).initKey };
    });
    expect(await judged(alice, knownKey)).toBe("INIT_KEY");
    const bob = await device();
    expect(await judged(bob, two)).toBe("WRONG_IDENTITY");
    const capabilities = { credentials: ["x509" as const] };
    expect(await judged(alice, (await alice.mls.createKeyPackage({ capabilities })).message)).toBe("CAPABILITIES");
    const grease = { extensions: [0x0a0a, 1], proposals: [0x1a1a, 3] };
    expect(await judged(alice, (await alice.mls.createKeyPackage({ capabilities: grease })).message)).toBe("accepted");
  });

  test("of one publish some are accepted and some rejected, each by its index; the last resort is -1", async () => {
    const alice = await device();
    const [one, two] = (await keyPackages(alice.mls, 2)) as [Uint8Array, Uint8Array];
    const [marked, last] = (await keyPackages(alice.mls, 2, { lastResort: true })) as [Uint8Array, Uint8Array];
    const { clientId } = alice;
    const first = await app.client.keyPool.publish({
      clientId,
      keyPackages: [one, Uint8Array.of(1), marked, two],
      lastResort: Uint8Array.of(2),
    });
    expect(first.rejected.map(({ index, reason }) => [index, reason])).toEqual([
      [-1, "MALFORMED"],
      [1, "MALFORMED"],
      [2, "LAST_RESORT_MARKED"],
    ]);
    expect(first.accepted).toHaveLength(2);
    expect(first.available).toEqual([{ ciphersuite: 1, label: "", available: 2 }]);
    const second = await app.client.keyPool.publish({ clientId, keyPackages: [one], lastResort: last });
    expect(second).toMatchObject({ rejected: [], available: [{ available: 2 }] });
    expect(second.accepted.map(hexOf)).toContain(hexOf(first.accepted[0] as Uint8Array));
    const { keyPackages: listed } = await app.client.keyPool.list({ clientId });
    expect(listed.map(({ lastResort }) => lastResort).sort()).toEqual([false, false, true]);
  });

  test("a queue holds keyPoolMax: POOL_FULL, a queue by itself for each suite and label", async () => {
    const alice = await device();
    const { clientId } = alice;
    const seven = await keyPackages(alice.mls, 7);
    const published = await app.client.keyPool.publish({ clientId, keyPackages: seven });
    expect(published.rejected.map(({ index, reason }) => [index, reason])).toEqual([
      [5, "POOL_FULL"],
      [6, "POOL_FULL"],
    ]);
    const rest = seven.slice(5);
    const labelled = await app.client.keyPool.publish({ clientId, keyPackages: rest, label: "web" });
    expect(labelled).toMatchObject({ rejected: [], available: [{ label: "web", available: 2 }] });
  });

  test("a package that was handed out is USED; one that was removed may come again", async () => {
    const alice = await device();
    const { clientId } = alice;
    const [one, two] = (await keyPackages(alice.mls, 2)) as [Uint8Array, Uint8Array];
    expect(await judged(alice, one)).toBe("accepted");
    const { claimed } = await app.client.keyPool.claim({ targets: [{ clientId }] });
    expect(claimed.map(({ keyPackage }) => hexOf(keyPackage))).toEqual([hexOf(one)]);
    expect(await judged(alice, one)).toBe("USED");
    const sameKeys = await changedKeyPackage(alice.mls, two, (tbs) => ({ ...tbs, initKey: keyPackageOf(one).initKey }));
    expect(await judged(alice, sameKeys)).toBe("INIT_KEY");
    expect(await judged(alice, two)).toBe("accepted");
    expect(await app.client.keyPool.remove({ clientId, all: true })).toEqual({ removed: 1 });
    expect(await judged(alice, two)).toBe("accepted");
  });

  test.each(["displaced", "removed", "reset"] as const)(
    "[G2] a last resort that was handed out and then %s never goes out as one-time: USED, its keys INIT_KEY",
    async (gone) => {
      const alice = await device();
      const { clientId } = alice;
      const [last, next, other] = (await keyPackages(alice.mls, 3)) as [Uint8Array, Uint8Array, Uint8Array];
      await app.client.keyPool.publish({ clientId, keyPackages: [], lastResort: last });
      const { claimed } = await app.client.keyPool.claim({ targets: [{ clientId }] });
      expect(claimed).toMatchObject([{ lastResort: true }]);
      expect(await judged(alice, last)).toBe("USED");
      const again = await app.client.keyPool.publish({ clientId, keyPackages: [], lastResort: last });
      expect(again).toMatchObject({ accepted: [claimed[0]?.keyPackageRef], rejected: [] });
      if (gone === "displaced") await app.client.keyPool.publish({ clientId, keyPackages: [], lastResort: next });
      if (gone === "removed") await app.client.keyPool.remove({ clientId, all: true });
      const reset = gone === "reset";
      const { rejected } = await app.client.keyPool.publish({ clientId, keyPackages: [last], reset });
      expect(rejected).toMatchObject([{ index: 0, reason: "USED" }]);
      const sameKey = await changedKeyPackage(alice.mls, other, (tbs) => {
        return { ...tbs, initKey: keyPackageOf(last).initKey };
      });
      expect(await judged(alice, sameKey)).toBe("INIT_KEY");
    },
  );

  test("100 packages fit one publish, 101 are BAD_PARAMS, and an unknown client has no pool", async () => {
    const { clientId } = await device();
    const many = Array.from({ length: 101 }, () => Uint8Array.of(1));
    const { rejected } = await app.client.keyPool.publish({ clientId, keyPackages: many.slice(1) });
    expect(rejected).toHaveLength(100);
    const error = await refusal(app.client.keyPool.publish({ clientId, keyPackages: many }));
    expect(error).toMatchObject({ reason: "BAD_PARAMS", details: { path: "keyPackages" } });
    const unknown = await refusal(app.client.keyPool.publish({ clientId: randomUUID(), keyPackages: [] }));
    expect(unknown.reason).toBe("CLIENT_NOT_FOUND");
  });
});

describe("what a pool holds", () => {
  test("status and list tell queues, labels and expiry; remove takes by ref", async () => {
    const alice = await device();
    const { clientId } = alice;
    const unknown = randomUUID();
    const [soon, late] = await Promise.all(
      [2, 9].map((days) => keyPackages(alice.mls, 1, { lifetimeMs: days * DAY_MS })),
    );
    const both = [...(late ?? []), ...(soon ?? [])];
    const [last] = (await keyPackages(alice.mls, 1)) as [Uint8Array];
    const { accepted } = await app.client.keyPool.publish({
      clientId,
      keyPackages: both,
      lastResort: last,
      label: "l",
    });
    const { pools } = await app.client.keyPool.status({ clientIds: [clientId, unknown] });
    const soonestNotAfter =
      Number((keyPackageOf(both[1] as Uint8Array).leafNode as { lifetime: { notAfter: bigint } }).lifetime.notAfter) *
      1000;
    expect(pools).toMatchObject([
      { clientId, queues: [{ ciphersuite: 1, label: "l", available: 2, lastResort: true, soonestNotAfter }] },
      { clientId: unknown, error: { reason: "CLIENT_NOT_FOUND" } },
    ]);
    const listed = await app.client.keyPool.list({ clientId });
    expect(listed.keyPackages.map(({ keyPackageRef }) => hexOf(keyPackageRef)).sort()).toEqual(
      accepted.map(hexOf).sort(),
    );
    const removed = await app.client.keyPool.remove({
      clientId,
      keyPackageRefs: [accepted[0] as Uint8Array, Uint8Array.of(1)],
    });
    expect(removed).toEqual({ removed: 1 });
    expect((await app.client.keyPool.list({ clientId })).keyPackages).toHaveLength(2);
    await app.client.keyPool.remove({ clientId, all: true });
    await expect
      .poll(async () =>
        (await app.client.stream.read({ kind: "client", id: clientId })).events.map(([, , type]) => type),
      )
      .toEqual(["keyPool.low"]);
    for (const { reason } of await Promise.all([
      refusal(app.client.keyPool.list({ clientId: unknown })),
      refusal(app.client.keyPool.remove({ clientId: unknown, all: true })),
    ])) {
      expect(reason).toBe("CLIENT_NOT_FOUND");
    }
  });

  test("reset empties that label's queues in the same step, and no other label's", async () => {
    const alice = await device();
    const { clientId } = alice;
    const [a, b, c] = (await keyPackages(alice.mls, 3)) as [Uint8Array, Uint8Array, Uint8Array];
    const [last] = (await keyPackages(alice.mls, 1)) as [Uint8Array];
    await app.client.keyPool.publish({ clientId, keyPackages: [a], lastResort: last });
    await app.client.keyPool.publish({ clientId, keyPackages: [b], label: "other" });
    // What stood in the queue may stand in the new one.
    const reset = await app.client.keyPool.publish({ clientId, keyPackages: [c, a], reset: true });
    expect(reset).toMatchObject({ rejected: [], available: [{ label: "", available: 2 }] });
    const { keyPackages: listed } = await app.client.keyPool.list({ clientId });
    expect(listed.map(({ label, lastResort }) => [label, lastResort]).sort()).toEqual([
      ["", false],
      ["", false],
      ["other", false],
    ]);
  });

  test("a change of identity empties the pool before it is acknowledged, and the old identity is WRONG_IDENTITY", async () => {
    const alice = await device();
    const { clientId } = alice;
    await app.client.keyPool.publish({
      clientId,
      keyPackages: await keyPackages(alice.mls, 3),
      lastResort: (await alice.mls.createKeyPackage()).message,
    });
    const renamed = await MlsClient.create({ identity: `${alice.mls.identity}-renamed` });
    await app.client.identity.update({ clientId, clientIdentity: renamed.credential });
    const { claimed, failed } = await app.client.keyPool.claim({ targets: [{ clientId }] });
    expect({ claimed, failed }).toEqual({ claimed: [], failed: [{ clientId, reason: "POOL_EMPTY" }] });
    expect((await app.client.keyPool.list({ clientId })).keyPackages).toEqual([]);
    expect(await judged(alice, (await alice.mls.createKeyPackage()).message)).toBe("WRONG_IDENTITY");
    expect(await judged(alice, (await renamed.createKeyPackage()).message)).toBe("accepted");
  });

  test("packages that expire leave with keyPool.expired, and are never handed out in their last minute", async () => {
    const alice = await device();
    const { clientId } = alice;
    const notAfterInMs = (ms: number) => ({ lifetimeMs: 60_000 + ms });
    const [dying] = (await keyPackages(alice.mls, 1, notAfterInMs(50_000))) as [Uint8Array];
    const [soon] = (await keyPackages(alice.mls, 1, notAfterInMs(64_000))) as [Uint8Array];
    const published = await app.client.keyPool.publish({ clientId, keyPackages: [soon] });
    expect(published.available).toMatchObject([{ available: 1 }]);
    const late = await app.client.keyPool.publish({ clientId, keyPackages: [dying] });
    expect(late.available).toMatchObject([{ available: 1 }]);
    const expired = async (): Promise<string[]> => {
      const { events } = await app.client.stream.read({ kind: "client", id: clientId });
      return events
        .filter(([, , type]) => type === "keyPool.expired")
        .flatMap(([, , , body]) => (body as { keyPackageRefs: Uint8Array[] }).keyPackageRefs.map(hexOf));
    };
    const refs = [...published.accepted, ...late.accepted].map(hexOf).sort();
    await expect.poll(async () => (await expired()).sort(), { timeout: 10_000 }).toEqual(refs);
    // Two messages of the pool to its client, each delivered by itself.
    const low = async () => {
      const { events } = await app.client.stream.read({ kind: "client", id: clientId });
      return events.filter(([, , type]) => type === "keyPool.low").map(([, , , body]) => body);
    };
    await expect.poll(low, { timeout: 10_000 }).toMatchObject([{ ciphersuite: 1, label: "", available: 0 }]);
    expect((await app.client.keyPool.list({ clientId })).keyPackages).toEqual([]);
  });
});
