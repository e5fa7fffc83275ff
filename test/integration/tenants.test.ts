// No tenant sees another: every method of the schema, asked about another application's things, answers just as it
// does about things that nobody has. A method that is added without a probe here does not compile.
import { randomBytes, randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ResponseFrame } from "../../src/protocol/frames.ts";
import { methods, type MethodName, type ParamsInput } from "../../src/protocol/methods.ts";
import { AppWorld, type TestApplication } from "../support/app-world.ts";
import { createDevice, keyPackages, type Device } from "../support/devices.ts";
import { Member } from "../support/members.ts";
import { opaqueMessage } from "../support/opaque-messages.ts";
import type { WireClient } from "../support/wire-client.ts";

/** Everything that the other tenant has. */
interface Theirs {
  readonly app: TestApplication;
  readonly device: Device;
  readonly other: Device;
  readonly member: Member;
  readonly groupInfo: Uint8Array;
  readonly packages: readonly Uint8Array[];
  readonly position: { readonly lineage: string; readonly offset: number };
}

interface Probe<M extends MethodName> {
  /** About what the other tenant has. */
  readonly theirs: ParamsInput<M>;
  /** The same about what nobody has. */
  readonly nobodys: ParamsInput<M>;
}

type Probes = { readonly [M in MethodName]: (theirs: Theirs) => Probe<M> };

/** Their session has so many; the intruder's has fewer. */
const THEIR_SUBSCRIPTIONS = 9;
const SHARED_TAG = "account:shared";
const nobody = { clientId: randomUUID(), groupId: Uint8Array.from(randomBytes(16)), applicationId: randomUUID() };

function aboutApplication<P extends object>(more: P) {
  return ({ app }: Theirs) => ({
    theirs: { applicationId: app.applicationId, ...more },
    nobodys: { applicationId: nobody.applicationId, ...more },
  });
}

function aboutClient<P extends object>(more: P) {
  return ({ device }: Theirs) => ({
    theirs: { clientId: device.clientId, ...more },
    nobodys: { clientId: nobody.clientId, ...more },
  });
}

function aboutGroup<P extends object>(more: (groupId: Uint8Array, theirs: Theirs) => P) {
  return (theirs: Theirs) => ({
    theirs: { groupId: theirs.member.groupId, ...more(theirs.member.groupId, theirs) },
    nobodys: { groupId: nobody.groupId, ...more(nobody.groupId, theirs) },
  });
}

const probes: Probes = {
  "application.create": () => ({ theirs: { name: "x" }, nobodys: { name: "x" } }),
  "application.list": () => ({ theirs: {}, nobodys: {} }),
  "application.delete": aboutApplication({}),
  "application.get": aboutApplication({}),
  "application.update": aboutApplication({ settings: {} }),
  "application.createKey": aboutApplication({ scopes: ["group" as const] }),
  "application.listKeys": aboutApplication({}),
  "application.revokeKey": ({ app }) => ({
    theirs: { applicationId: app.applicationId, keyId: app.keyId },
    nobodys: { applicationId: nobody.applicationId, keyId: "nobody" },
  }),
  "identity.create": ({ other }) => ({
    theirs: { clientIdentity: other.mls.credential },
    nobodys: { clientIdentity: Uint8Array.of(0, 1, 1, 0x6e) },
  }),
  "identity.get": ({ device }) => ({
    theirs: { clientIds: [device.clientId] },
    nobodys: { clientIds: [nobody.clientId] },
  }),
  "identity.find": () => ({ theirs: { all: [SHARED_TAG] }, nobodys: { all: ["tag of nobody"] } }),
  "identity.resolve": ({ device }) => ({ theirs: { handle: device.mls.identity }, nobodys: { handle: "nobody" } }),
  "identity.history": aboutClient({}),
  "identity.update": aboutClient({ tags: { add: ["stolen"] } }),
  "identity.validate": ({ device }) => ({
    theirs: { clientIdentity: device.mls.credential },
    nobodys: { clientIdentity: device.mls.credential },
  }),
  "identity.delete": aboutClient({}),
  "keyPool.publish": (theirs) => aboutClient({ keyPackages: [...theirs.packages], reset: true })(theirs),
  "keyPool.claim": ({ device }) => ({
    theirs: { targets: [{ clientId: device.clientId }, { all: [SHARED_TAG] }], requester: device.clientId },
    nobodys: { targets: [{ clientId: nobody.clientId }, { all: ["tag of nobody"] }], requester: nobody.clientId },
  }),
  "keyPool.status": ({ device }) => ({
    theirs: { clientIds: [device.clientId] },
    nobodys: { clientIds: [nobody.clientId] },
  }),
  "keyPool.list": aboutClient({}),
  "keyPool.remove": aboutClient({ all: true as const }),
  "group.create": ({ device, groupInfo }) => {
    const params = { groupInfo, tracking: "ordering" as const };
    return { theirs: { ...params, as: device.clientId }, nobodys: { ...params, as: nobody.clientId } };
  },
  "group.commit": aboutGroup((groupId) => ({ commit: opaqueMessage(groupId, 0n, "commit") })),
  "group.putGroupInfo": aboutGroup(() => ({ groupInfo: Uint8Array.of(0, 1) })),
  "group.propose": aboutGroup((groupId) => ({ proposal: opaqueMessage(groupId, 0n, "proposal") })),
  "group.send": aboutGroup((groupId) => ({ message: opaqueMessage(groupId, 0n, "application") })),
  "group.get": aboutGroup(() => ({ include: ["groupInfo" as const, "proposals" as const, "settings" as const] })),
  "group.tree": aboutGroup(() => ({})),
  "group.members": aboutGroup(() => ({})),
  "group.list": aboutClient({}),
  "group.update": aboutGroup(() => ({ settings: { pastEpochs: 0 } })),
  "group.delete": aboutGroup(() => ({})),
  "subscription.open": () => ({ theirs: {}, nobodys: {} }),
  "subscription.add": ({ device, member, position }) => ({
    theirs: {
      subscription: 1,
      streams: [
        { kind: "client", id: device.clientId, after: "start" },
        { kind: "group", id: member.groupId, after: position },
      ],
    },
    nobodys: {
      subscription: 1,
      streams: [
        { kind: "client", id: nobody.clientId, after: "start" },
        { kind: "group", id: nobody.groupId, after: position },
      ],
    },
  }),
  "subscription.remove": () => ({
    theirs: { subscription: 1, streams: [1, 2] },
    nobodys: { subscription: 1, streams: [77] },
  }),
  "subscription.close": () => ({ theirs: { subscription: THEIR_SUBSCRIPTIONS }, nobodys: { subscription: 99 } }),
  "stream.read": ({ member }) => ({
    theirs: { kind: "group", id: member.groupId },
    nobodys: { kind: "group", id: nobody.groupId },
  }),
  "stream.acknowledge": ({ device }) => ({
    // A lineage belongs to a shard, and two ids may share one: a lineage of nowhere makes the two alike.
    theirs: { id: device.clientId, position: { lineage: "nowhere", offset: 1 } },
    nobodys: { id: nobody.clientId, position: { lineage: "nowhere", offset: 1 } },
  }),
};

/** An answer as text, the ids that were asked about made equal. */
function told(answer: ResponseFrame, asked: readonly (string | Uint8Array)[]): string {
  const text = JSON.stringify([answer.error, answer.result], (_, value: unknown) =>
    value instanceof Uint8Array ? hex(value) : typeof value === "bigint" ? String(value) : value,
  );
  return asked.reduce<string>((left, id) => left.replaceAll(typeof id === "string" ? id : hex(id), "ID"), text);
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

describe("[G9] another tenant's things and nobody's are the same to", () => {
  let world: AppWorld;
  let theirs: Theirs;
  let intruder: WireClient;
  let before: unknown;

  beforeAll(async () => {
    world = await AppWorld.start();
    const app = await world.application();
    const device = await createDevice(app.client, "alice", { tags: [SHARED_TAG] });
    const packages = await keyPackages(device.mls, 3);
    await app.client.keyPool.publish({ clientId: device.clientId, keyPackages: packages });
    const member = await Member.create(app.client, device);
    const other = await createDevice(app.client, "bob");
    await member.add([other]);
    const { position } = await app.client.group.get({ groupId: member.groupId });
    const groupInfo = await member.group.groupInfo();
    theirs = { app, device, other, member, groupInfo, packages, position };
    before = await everything();
    for (let n = 0; n < THEIR_SUBSCRIPTIONS; n += 1) {
      await app.client.subscribe().add([{ kind: "group", id: member.groupId }]);
    }
    intruder = await world.wire((await world.application()).token);
    await intruder.call("subscription.open", {});
  });
  afterAll(() => world.stop());

  async function everything(): Promise<unknown> {
    const { client } = theirs.app;
    const [clientIds, groupId] = [[theirs.device.clientId], theirs.member.groupId];
    return [
      await client.identity.get({ clientIds }),
      await client.keyPool.status({ clientIds }),
      await client.group.get({ groupId, include: ["groupInfo", "proposals", "settings"] }),
      await client.group.members({ groupId }),
      await client.stream.read({ kind: "group", id: groupId }),
      await world.operator.application.get({ applicationId: theirs.app.applicationId }),
    ];
  }

  test.each(Object.keys(methods) as MethodName[])("%s", async (method) => {
    const probe = probes[method](theirs);
    const { app, device, member } = theirs;
    const asked = [app.applicationId, device.clientId, member.groupId, ...Object.values(nobody)];
    const about = await intruder.call(method, probe.theirs);
    const nothing = await intruder.call(method, probe.nobodys);
    if (["identity.create", "subscription.open"].includes(method)) {
      expect([about.error, nothing.error]).toEqual([undefined, undefined]);
    } else expect(told(about, asked)).toBe(told(nothing, asked));
    // The lineage of a stream, or an id that was not asked about, would tell that there is something.
    for (const secret of [theirs.position.lineage, app.keyId, hex(theirs.packages[0] as Uint8Array)]) {
      const given = JSON.stringify(probe.theirs).includes(secret);
      if (!given) expect(told(about, [])).not.toContain(secret);
    }
  });

  test("an intruder's handle, tag and group id of the same name are its own", async () => {
    const own = await world.application();
    const device = await createDevice(own.client, "alice", { tags: [SHARED_TAG] });
    expect(device.clientId).not.toBe(theirs.device.clientId);
    const { clients } = await own.client.identity.find({ all: [SHARED_TAG] });
    expect(clients.map(({ clientId }) => clientId)).toEqual([device.clientId]);
    const { groupInfo } = await theirs.app.client.group.get({ groupId: theirs.member.groupId, include: ["groupInfo"] });
    const created = await own.client.group.create({ groupInfo: groupInfo as Uint8Array, tracking: "ordering" });
    expect(created.groupId).toEqual(theirs.member.groupId);
    expect((await own.client.stream.read({ kind: "group", id: created.groupId })).events).toEqual([]);
  });

  test("a cursor of one tenant is none of another's", async () => {
    const { client } = theirs.app;
    await createDevice(client, "carol", { tags: [SHARED_TAG] });
    const { cursor } = await client.identity.find({ all: [SHARED_TAG], limit: 1 });
    const answer = await intruder.call("identity.find", { all: [SHARED_TAG], cursor });
    expect(told(answer, [])).not.toContain(theirs.device.clientId);
    expect((answer.result as { clients?: unknown[] }).clients ?? []).toEqual([]);
  });

  test("and nothing of it has changed", async () => {
    expect(await everything()).toEqual(before);
  });
});
