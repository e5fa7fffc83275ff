import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { encodeCredit } from "../../src/protocol/frames.ts";
import { ordered, SessionHarness, type Added } from "../support/session-harness.ts";
import { APPLICATION, GROUP, INBOX, TOKENS } from "../support/transport-world.ts";
import { WireClient } from "../support/wire-client.ts";

const h = new SessionHarness();
beforeEach(() => h.begin());
afterEach(() => h.end());

describe("subscriptions", () => {
  it("[S2] [S3] carry many streams, each answered in order by a number or an error of its own", async () => {
    h.world.publish(GROUP, 3);
    const subscription = await h.open();
    const added = await h.add(subscription, [
      { ...GROUP, after: "start" },
      { kind: "group", id: Uint8Array.of(0) },
      INBOX,
    ]);
    expect(added[0]).toMatchObject({ recovered: true, position: { lineage: "lineage-1", offset: 0 } });
    expect(added[1]?.error).toMatchObject({ code: "NOT_FOUND", reason: "STREAM_NOT_FOUND" });
    expect(added[2]).toMatchObject({ recovered: true });
    const [group, inbox] = [added[0]?.stream ?? 0, added[2]?.stream ?? 0];
    h.world.publish(GROUP, 2);
    h.world.publish(INBOX, 1);
    await h.arrived(group, 5);
    await h.arrived(inbox, 1);
    expect(h.client.offsets(group)).toEqual(ordered(1, 5));
    expect(h.client.of("event")[0]).toMatchObject({ subscription, events: [{ type: "application" }, {}, {}] });
    const { body } = h.client.of("event")[0]!.events[0]!;
    expect(body).toEqual({ message: new Uint8Array(8) });
  });

  it("[S3] begin where they are told: start, now, a position", async () => {
    h.world.publish(GROUP, 5);
    const subscription = await h.open();
    const position = { lineage: "lineage-1", offset: 2 };
    const [start, now, third] = await h.add(subscription, [
      { ...GROUP, after: "start" },
      GROUP,
      { ...GROUP, after: position },
    ]);
    h.world.publish(GROUP, 1);
    for (const added of [start, now, third]) await h.arrived(added!.stream, 6);
    expect(h.client.offsets(start!.stream)).toEqual(ordered(1, 6));
    expect(h.client.offsets(now!.stream)).toEqual([6]);
    expect(h.client.offsets(third!.stream)).toEqual(ordered(3, 6));
  });

  it("[S3] number a stream before its first event, even when events race with the call", async () => {
    const subscription = await h.open(h.client, { messages: 1_000_000, bytes: 1_000_000_000 });
    for (let round = 0; round < 50; round += 1) {
      const id = h.client.request("subscription.add", { subscription, streams: [GROUP] });
      while (h.client.frames.find((frame) => frame.type === "response" && frame.id === id) === undefined) {
        h.world.publish(GROUP, 1);
        await new Promise((resolve) => {
          setImmediate(resolve);
        });
      }
    }
    h.world.publish(GROUP, 1);
    const { last } = h.world.streams.log(h.world.actorOf(APPLICATION, GROUP));
    const known = new Map<number, number>();
    await h.client.until(
      () => h.client.of("event").filter(({ events }) => events.some(({ offset }) => offset === last)).length >= 50,
      "the last event everywhere",
    );
    for (const frame of h.client.frames) {
      if (frame.type === "response") {
        for (const { stream, position } of (frame.result as { streams?: Added[] }).streams ?? [])
          known.set(stream, position.offset);
      } else if (frame.type === "event") {
        for (const { offset } of frame.events) {
          expect(offset).toBe((known.get(frame.stream) ?? -1) + 1);
          known.set(frame.stream, offset);
        }
      }
    }
  });

  it("[S4] fall silent for a removed stream and for a closed subscription", async () => {
    const [one, two] = [await h.open(), await h.open()];
    const [first, second] = await h.add(one, [GROUP, INBOX]);
    const [third] = await h.add(two, [GROUP]);
    await h.client.call("subscription.remove", { subscription: one, streams: [first!.stream, 999] });
    await h.client.call("subscription.close", { subscription: two });
    h.world.publish(GROUP, 1);
    h.world.publish(INBOX, 1);
    await h.arrived(second!.stream, 1);
    expect([h.client.offsets(first!.stream), h.client.offsets(third!.stream)]).toEqual([[], []]);
    expect((await h.client.call("subscription.close", { subscription: two })).error).toMatchObject({
      reason: "SUBSCRIPTION_NOT_FOUND",
    });
    expect((await h.world.telemetry.metrics()).body).toContain("aegis_streams_attached 1");
  });

  it("[S4] [L6] keep no stream that was still being looked up when they were closed", async () => {
    const subscription = await h.open();
    const found = { resolve: (): void => undefined };
    h.world.lookUps = new Promise((resolve) => (found.resolve = resolve));
    const streams = Array.from({ length: 100 }, () => ({ ...GROUP, after: "start" }));
    const adding = h.client.call("subscription.add", { subscription, streams });
    await h.client.call("subscription.close", { subscription });
    found.resolve();
    expect((await adding).error).toMatchObject({ code: "NOT_FOUND", reason: "SUBSCRIPTION_NOT_FOUND" });
    h.world.publish(GROUP, 3);
    // Room for as many again: none of them counts any more.
    const next = await h.open();
    expect(await h.add(next, [GROUP])).toMatchObject([{ recovered: true }]);
    expect((await h.world.telemetry.metrics()).body).toContain("aegis_streams_attached 1");
    expect(h.client.of("event")).toEqual([]);
  });

  it("[S5] send while both credits are above 0, and keep nothing in memory beyond", async () => {
    const subscription = await h.open(h.client, { messages: 3, bytes: 1_000_000 });
    const [group] = await h.add(subscription, [GROUP]);
    h.world.publish(GROUP, 10);
    await h.arrived(group!.stream, 3);
    h.client.send(encodeCredit(subscription, 2, 0));
    await h.arrived(group!.stream, 5);
    // What was published long ago comes from the store, in the same order as what is live.
    h.world.publish(GROUP, 1);
    h.client.send(encodeCredit(subscription, 100, 0));
    await h.arrived(group!.stream, 11);
    h.world.publish(GROUP, 1);
    await h.arrived(group!.stream, 12);
    expect(h.client.offsets(group!.stream)).toEqual(ordered(1, 12));
    const { body } = await h.world.telemetry.metrics();
    expect(body).toContain('aegis_events_sent_total{from="memory"} 4');
    expect(body).toContain('aegis_events_sent_total{from="store"} 8');
  });

  it("[S5] let the bytes fall below 0 by one event, no more", async () => {
    const subscription = await h.open(h.client, { messages: 100, bytes: 10 });
    const [group] = await h.add(subscription, [GROUP]);
    h.world.publish(GROUP, 3, { bytes: 100 });
    await h.arrived(group!.stream, 1);
    h.client.send(encodeCredit(subscription, 0, 50));
    await h.client.call("identity.get", { clientIds: [] });
    expect(h.client.offsets(group!.stream)).toEqual([1]);
    h.client.send(encodeCredit(subscription, 0, 100));
    await h.arrived(group!.stream, 2);
  });

  it("[S5] share a small credit among all streams that wait", async () => {
    const groups = Array.from({ length: 20 }, (_, at) => ({ kind: "group" as const, id: Uint8Array.of(100 + at) }));
    for (const group of groups) h.world.publish(group, 50);
    const subscription = await h.open(h.client, { messages: 0, bytes: 10_000_000 });
    const added = await h.add(
      subscription,
      groups.map((group) => ({ ...group, after: "start" })),
    );
    for (let grants = 0; grants < 40; grants += 1) h.client.send(encodeCredit(subscription, 5, 0));
    await h.client.until(() => h.client.of("event").flatMap(({ events }) => events).length === 200, "200 events");
    for (const { stream } of added) expect(h.client.offsets(stream).length).toBeGreaterThan(0);
  });

  it("[S5] batch the events of one tick into one frame", async () => {
    const subscription = await h.open();
    const [group] = await h.add(subscription, [GROUP]);
    for (let count = 0; count < 20; count += 1) h.world.publish(GROUP, 1);
    await h.arrived(group!.stream, 20);
    expect(h.client.of("event")).toHaveLength(1);
  });

  it("[C6] are bounded in number, and their streams too", async () => {
    await h.restart({ subscriptionsMax: 2, streamsMax: 3 });
    const subscription = await h.open();
    await h.open();
    expect((await h.client.call("subscription.open", {})).error).toMatchObject({ reason: "SUBSCRIPTIONS_LIMIT" });
    const added = await h.add(subscription, [GROUP, GROUP, GROUP, GROUP]);
    expect(added.map(({ error }) => error?.reason)).toEqual([undefined, undefined, undefined, "STREAMS_LIMIT"]);
    await h.client.call("subscription.remove", { subscription, streams: [added[0]!.stream] });
    h.world.publish(GROUP, 1, { type: "closed" });
    await h.client.until(() => h.client.of("reset").length === 2, "two ends");
    expect((await h.add(subscription, [INBOX, INBOX, INBOX])).every(({ error }) => error === undefined)).toBe(true);
  });

  it("[S3] refuse by kind what the key's scopes do not cover", async () => {
    const pool = await WireClient.connect(h.world.port, TOKENS.poolOnly);
    expect((await pool.call("subscription.open", {})).error).toMatchObject({ reason: "SCOPE" });
    pool.socket.terminate();
  });
});
