// Logs and inboxes over the wire with real events (PROTOCOL §3): where a stream begins, what it keeps, how it ends.
// Credit and slow sockets are subscriptions.test.ts.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { encodeCredit } from "../../src/protocol/frames.ts";
import type { Subscription, StreamItem } from "../../src/client/client.ts";
import { AppWorld, basicCredential, refusal, type TestApplication } from "../support/app-world.ts";
import { createDevice, hexOf } from "../support/devices.ts";
import { groupEvents, Member } from "../support/members.ts";
import { opaqueMessage } from "../support/opaque-messages.ts";

const KEPT = 8;

let world: AppWorld;
let app: TestApplication;
let short: TestApplication;
beforeAll(async () => {
  world = await AppWorld.start();
  app = await world.application();
  short = await world.application({ groupRetention: { events: KEPT }, inboxRetention: { events: KEPT } });
});
afterAll(() => world.stop());

let made = 0;
function founder(application = app): Promise<Member> {
  made += 1;
  const device = createDevice(application.client, `member-${String(made)}`);
  return device.then((one) => Member.create(application.client, one, { tracking: "ordering" }));
}

/** Application messages of the current epoch; the server can't tell that nobody could read them. */
async function say({ client, groupId, group }: Member, count: number): Promise<void> {
  for (let n = 0; n < count; n += 1) {
    await client.group.send({ groupId, message: opaqueMessage(groupId, group.epoch, "application") });
  }
}

async function take(subscription: Subscription, count: number): Promise<StreamItem[]> {
  const items: StreamItem[] = [];
  for await (const item of subscription) {
    items.push(item);
    if (items.length === count) break;
  }
  return items;
}

function offsets(items: readonly StreamItem[]): (number | string)[] {
  return items.map((item) => (item.kind === "event" ? item.offset : item.reason));
}

describe("where a group's log begins", () => {
  test("[S3] now, start, a position, an epoch: each begins right after it and misses nothing", async () => {
    const member = await founder();
    const { groupId: id } = member;
    await say(member, 2);
    await member.commit();
    await say(member, 1);
    await member.commit();
    const log = await groupEvents(app.client, id);
    expect(log.map(({ offset, type }) => [offset, type])).toEqual([
      [1, "application"],
      [2, "application"],
      [3, "commit"],
      [4, "application"],
      [5, "commit"],
    ]);
    const { position } = await app.client.group.get({ groupId: id });
    const at = (offset: number) => ({ lineage: position.lineage, offset });
    const cases = [
      [undefined, [6]],
      ["now", [6]],
      ["start", [1, 2, 3, 4, 5, 6]],
      [at(4), [5, 6]],
      [{ epoch: 0n }, [1, 2, 3, 4, 5, 6]],
      [{ epoch: 1n }, [4, 5, 6]],
      [{ epoch: 2n }, [6]],
    ] as const;
    const taking: Promise<StreamItem[]>[] = [];
    for (const [after, expected] of cases) {
      const subscription = app.client.subscribe();
      const [added] = await subscription.add([{ kind: "group", id, ...(after === undefined ? {} : { after }) }]);
      expect(added).toMatchObject({ recovered: true, position: at(expected[0] - 1) });
      taking.push(take(subscription, expected.length));
    }
    await say(member, 1);
    expect((await Promise.all(taking)).map(offsets)).toEqual(cases.map(([, expected]) => expected));
    const ahead = await refusal(app.client.stream.read({ kind: "group", id, after: { epoch: 3n } }));
    expect(ahead).toMatchObject({ code: "ABORTED", reason: "EPOCH_AHEAD" });
  });

  test("[S3] of many streams each has its own answer, in order; 1,000 fit one call", async () => {
    const member = await founder();
    const wire = await world.wire(app.token);
    const { subscription } = (await wire.call("subscription.open", {})).result as { subscription: number };
    const nobody = "00000000-0000-4000-8000-000000000000";
    const streams = [
      { kind: "group", id: Uint8Array.of(1, 2, 3) },
      { kind: "group", id: member.groupId },
      { kind: "client", id: nobody },
      { kind: "client", id: member.device.clientId, after: "start" },
    ];
    const { result } = await wire.call("subscription.add", { subscription, streams });
    const added = (result as { streams: { stream?: number; error?: object }[] }).streams;
    expect(added).toMatchObject([
      { error: { code: "NOT_FOUND", reason: "STREAM_NOT_FOUND" } },
      { recovered: true, position: { offset: 0 } },
      { error: { code: "NOT_FOUND", reason: "STREAM_NOT_FOUND" } },
      { recovered: true, position: { offset: 0 } },
    ]);
    expect(added[1]?.stream).not.toBe(added[3]?.stream);
    const many = Array.from({ length: 1001 }, () => ({ kind: "client", id: nobody }));
    const over = await wire.call("subscription.add", { subscription, streams: many });
    expect(over.error).toMatchObject({ reason: "BAD_PARAMS", details: { path: "streams" } });
    const full = await wire.call("subscription.add", { subscription, streams: many.slice(1) });
    expect((full.result as { streams: object[] }).streams).toHaveLength(1000);
  });

  test("[S7] every session that attached the log gets every event, in order and once", async () => {
    const member = await founder();
    const sessions = await Promise.all([0, 1, 2].map(() => world.connect(app.token)));
    const subscriptions = sessions.map((client) => client.subscribe({ messages: 4 }));
    for (const subscription of subscriptions) await subscription.add([{ kind: "group", id: member.groupId }]);
    const taking = subscriptions.map((subscription) => take(subscription, 40));
    await Promise.all(Array.from({ length: 4 }, () => say(member, 10)));
    const expected = Array.from({ length: 40 }, (_, n) => n + 1);
    for (const items of await Promise.all(taking)) expect(offsets(items)).toEqual(expected);
  });
});

describe("what streams keep", () => {
  test("[S3] [S6] a log keeps groupRetention; from before it one goes on with the oldest, and is told TRIMMED", async () => {
    const member = await founder(short);
    const { groupId: id } = member;
    await say(member, 20);
    const { position } = await short.client.group.get({ groupId: id });
    const at = (offset: number) => ({ lineage: position.lineage, offset });
    const oldest = 20 - KEPT;
    const read = await short.client.stream.read({ kind: "group", id, after: at(3), limit: 3 });
    expect(read).toMatchObject({ recovered: false, reason: "TRIMMED", more: true, position: at(oldest + 3) });
    expect(read.events.map(([offset]) => offset)).toEqual([oldest + 1, oldest + 2, oldest + 3]);
    const rest = await short.client.stream.read({ kind: "group", id, after: read.position });
    expect(rest).toMatchObject({ recovered: true, more: false, position: at(20) });
    expect(await short.client.stream.read({ kind: "group", id, after: rest.position })).toMatchObject({
      events: [],
      more: false,
      position: at(20),
    });
    const subscription = short.client.subscribe();
    const [added] = await subscription.add([{ kind: "group", id, after: at(1) }]);
    expect(added).toMatchObject({ recovered: false, reason: "TRIMMED", position: at(oldest) });
    expect(offsets(await take(subscription, KEPT))).toEqual(Array.from({ length: KEPT }, (_, n) => oldest + 1 + n));
  });

  test("[S3] a position of another lineage or beyond the end: LINEAGE_CHANGED, and all that there is from the oldest", async () => {
    const member = await founder();
    await say(member, 3);
    const { position } = await app.client.group.get({ groupId: member.groupId });
    for (const after of [
      { lineage: "another", offset: 2 },
      { lineage: position.lineage, offset: 9 },
    ]) {
      const read = await app.client.stream.read({ kind: "group", id: member.groupId, after });
      expect(read).toMatchObject({ recovered: false, reason: "LINEAGE_CHANGED", position });
      expect(read.events.map(([offset]) => offset)).toEqual([1, 2, 3]);
    }
  });

  test("[G5] [S5] what was trimmed while a subscriber had no credit is told by RESET, and it goes on from there", async () => {
    const member = await founder(short);
    const wire = await world.wire(short.token);
    const open = await wire.call("subscription.open", { messages: 2, bytes: 1_000_000 });
    const { subscription } = open.result as { subscription: number };
    const streams = [{ kind: "group", id: member.groupId, after: "start" }];
    const added = await wire.call("subscription.add", { subscription, streams });
    const { stream } = (added.result as { streams: [{ stream: number }] }).streams[0];
    await say(member, 20);
    await wire.until(() => wire.offsets(stream).length === 2, "two events");
    wire.send(encodeCredit(subscription, 100, 1_000_000));
    await wire.until(() => wire.offsets(stream).at(-1) === 20, "the newest event");
    const oldest = 20 - KEPT;
    expect(wire.of("reset")).toMatchObject([{ stream, reason: "TRIMMED", position: { offset: oldest } }]);
    expect(wire.offsets(stream)).toEqual([1, 2, ...Array.from({ length: KEPT }, (_, n) => oldest + 1 + n)]);
  });

  test("[S7] an inbox keeps inboxRetention, and forgets what was acknowledged, for every session", async () => {
    const { clientId } = await createDevice(short.client, "inbox");
    for (let n = 0; n < 12; n += 1) {
      await short.client.identity.update({ clientId, clientIdentity: basicCredential(`inbox ${String(n)}`) });
    }
    const read = await short.client.stream.read({ kind: "client", id: clientId });
    expect(read.events.map(([offset]) => offset)).toEqual(Array.from({ length: KEPT }, (_, n) => 12 - KEPT + 1 + n));
    const { lineage } = read.position;
    // Nothing was acknowledged: what went before that is lost, and whoever attaches is told.
    const unheard = await world.connect(short.token);
    expect(await unheard.subscribe().add([{ kind: "client", id: clientId }])).toMatchObject([
      { recovered: false, reason: "TRIMMED", position: { lineage, offset: 12 - KEPT } },
    ]);
    const acknowledge = (offset: number, of = lineage) =>
      short.client.stream.acknowledge({ id: clientId, position: { lineage: of, offset } });
    expect(await acknowledge(10)).toEqual({ position: { lineage, offset: 10 } });
    // Acknowledging less is no step back.
    expect(await acknowledge(6)).toEqual({ position: { lineage, offset: 10 } });
    expect((await short.client.stream.read({ kind: "client", id: clientId })).events.map(([offset]) => offset)).toEqual(
      [11, 12],
    );
    expect(await refusal(acknowledge(13))).toMatchObject({ code: "OUT_OF_RANGE", reason: "POSITION_AHEAD" });
    expect(await refusal(acknowledge(11, "another"))).toMatchObject({ code: "ABORTED", reason: "LINEAGE_CHANGED" });
    const subscription = (await world.connect(short.token)).subscribe();
    const [added] = await subscription.add([{ kind: "client", id: clientId }]);
    expect(added).toMatchObject({ recovered: true, position: { lineage, offset: 10 } });
    const items = await take(subscription, 2);
    expect(offsets(items)).toEqual([11, 12]);
  });
});

test("[E4] an acknowledgement's key repeats its answer, refuses other params, and outlives the client", async () => {
  const { clientId } = await createDevice(app.client, "acknowledging");
  await app.client.identity.update({ clientId, clientIdentity: basicCredential("acknowledging 2") });
  const { position } = await app.client.stream.read({ kind: "client", id: clientId });
  const params = { id: clientId, position };
  const options = { key: "acknowledge" };
  const applied = await app.client.stream.acknowledge(params, options);
  expect(applied).toEqual({ position });
  await app.client.identity.delete({ clientId });
  expect(await app.client.stream.acknowledge(params, options)).toEqual(applied);
  const other = { id: clientId, position: { ...position, offset: 0 } };
  expect((await refusal(app.client.stream.acknowledge(other, options))).reason).toBe("KEY_REUSED");
  expect((await refusal(app.client.stream.acknowledge(params))).reason).toBe("STREAM_NOT_FOUND");
});

describe("how streams end", () => {
  test("[G5] group.delete: the `closed` event, then CLOSED, for who listens; for others there is no such stream", async () => {
    const member = await founder();
    const { groupId } = member;
    const subscription = app.client.subscribe();
    await subscription.add([{ kind: "group", id: groupId }]);
    await say(member, 2);
    await app.client.group.delete({ groupId });
    const items = await take(subscription, 4);
    expect(offsets(items)).toEqual([1, 2, 3, "CLOSED"]);
    expect(items[2]).toMatchObject({ type: "closed", body: { reason: "deleted" } });
    const [again] = await subscription.add([{ kind: "group", id: groupId, after: "start" }]);
    expect(again).toMatchObject({ error: { reason: "STREAM_NOT_FOUND" } });
    expect(items.map((item) => hexOf(item.stream.id as Uint8Array))).toEqual(Array(4).fill(hexOf(groupId)));
  });

  test("[G5] a subscriber without credit learns of the end too", async () => {
    const member = await founder();
    const wire = await world.wire(app.token);
    const open = await wire.call("subscription.open", { messages: 1, bytes: 1_000_000 });
    const { subscription } = open.result as { subscription: number };
    const streams = [{ kind: "group", id: member.groupId }];
    const added = await wire.call("subscription.add", { subscription, streams });
    const { stream } = (added.result as { streams: [{ stream: number }] }).streams[0];
    await say(member, 5);
    await wire.until(() => wire.offsets(stream).length === 1, "one event");
    await app.client.group.delete({ groupId: member.groupId });
    wire.send(encodeCredit(subscription, 100, 1_000_000));
    const reset = await wire.until(() => wire.of("reset").at(-1), "the reset");
    expect(reset).toMatchObject({ stream, reason: "CLOSED" });
  });
});
