import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { encodeAck, encodeCredit } from "../../src/protocol/frames.ts";
import { collectGarbage } from "../support/group-memory.ts";
import { ordered, SessionHarness } from "../support/session-harness.ts";
import { APPLICATION, CLIENT, GROUP, INBOX, TOKENS } from "../support/transport-world.ts";
import { WireClient } from "../support/wire-client.ts";

const h = new SessionHarness();
beforeEach(() => h.begin());
afterEach(() => h.end());

describe("broken streams", () => {
  it("[G5] say TRIMMED with the position from which they go on", async () => {
    const subscription = await h.open(h.client, { messages: 0, bytes: 1000 });
    const [group] = await h.add(subscription, [GROUP]);
    h.world.publish(GROUP, 10);
    h.world.streams.trim(h.world.actorOf(APPLICATION, GROUP), 8);
    h.client.send(encodeCredit(subscription, 100, 0));
    await h.arrived(group!.stream, 10);
    expect(h.client.offsets(group!.stream)).toEqual([8, 9, 10]);
    expect(h.client.of("reset")).toMatchObject([
      { subscription, stream: group!.stream, reason: "TRIMMED", position: { lineage: "lineage-1", offset: 7 } },
    ]);
  });

  it("[G5] say LINEAGE_CHANGED and end, live and behind", async () => {
    const [live, behind] = [await h.open(), await h.open(h.client, { messages: 0, bytes: 1000 })];
    await h.add(live, [GROUP]);
    h.world.publish(GROUP, 2);
    await h.add(behind, [{ ...GROUP, after: "start" }]);
    h.world.streams.loseHistory(h.world.actorOf(APPLICATION, GROUP));
    h.client.send(encodeCredit(behind, 1, 0));
    await h.client.until(() => h.client.of("reset").length === 1, "one reset");
    h.world.publish(GROUP, 1);
    await h.client.until(() => h.client.of("reset").length === 2, "two resets");
    expect(h.client.of("reset").map(({ reason, subscription }) => [subscription, reason])).toEqual([
      [behind, "LINEAGE_CHANGED"],
      [live, "LINEAGE_CHANGED"],
    ]);
  });

  it("[G5] say CLOSED after a group's last event, or without it when its log is gone already", async () => {
    const [live, behind] = [await h.open(), await h.open(h.client, { messages: 0, bytes: 1000 })];
    const [[first], [second]] = [await h.add(live, [GROUP]), await h.add(behind, [GROUP])];
    h.world.publish(GROUP, 1, { type: "closed" });
    h.world.streams.purge(h.world.actorOf(APPLICATION, GROUP));
    h.world.delivery.purged(h.world.actorOf(APPLICATION, GROUP));
    h.client.send(encodeCredit(behind, 5, 0));
    await h.client.until(() => h.client.of("reset").length === 2, "two resets");
    expect(h.client.offsets(first!.stream)).toEqual([1]);
    expect(h.client.offsets(second!.stream)).toEqual([]);
    expect(h.client.of("reset").every(({ reason }) => reason === "CLOSED")).toBe(true);
  });

  it("[G5] say CLOSED when an actor is purged, and notice by themselves news that was lost", async () => {
    const subscription = await h.open();
    const [inbox, group] = await h.add(subscription, [INBOX, GROUP]);
    h.world.delivery.purged(h.world.actorOf(APPLICATION, INBOX));
    await h.client.until(() => h.client.of("reset").length === 1, "the reset");
    expect(h.client.of("reset")[0]).toMatchObject({ stream: inbox!.stream, reason: "CLOSED" });
    h.world.streams.append(h.world.actorOf(APPLICATION, GROUP), 3, "application", Uint8Array.of(0x80));
    await h.arrived(group!.stream, 3);
    h.world.delivery.purged(h.world.actorOf(APPLICATION, GROUP));
    await h.client.until(() => h.client.of("reset").length === 2, "both resets");
  });

  it("[G5] wait out an outage of the store", async () => {
    const subscription = await h.open();
    h.world.publish(GROUP, 5);
    h.world.streams.readsUntilFailure = 0;
    const [group] = await h.add(subscription, [{ ...GROUP, after: "start" }]);
    await h.client.until(() => h.world.log.some((line) => line.includes("could not be read")), "the failure");
    h.world.streams.readsUntilFailure = Number.POSITIVE_INFINITY;
    await h.arrived(group!.stream, 5);
    expect(h.client.offsets(group!.stream)).toEqual(ordered(1, 5));
  });
});

describe("acknowledgements", () => {
  it("[S7] gather ACKs of an inbox into the newest, and pass over groups and what was not sent", async () => {
    const subscription = await h.open();
    const [inbox, group] = await h.add(subscription, [INBOX, GROUP]);
    h.world.publish(INBOX, 10);
    h.world.publish(GROUP, 1);
    await h.arrived(inbox!.stream, 10);
    await h.arrived(group!.stream, 1);
    const ack = (stream: number, offset: number): Uint8Array => encodeAck(subscription, [{ stream, offset }]);
    h.client.send(
      ack(inbox!.stream, 1),
      ack(inbox!.stream, 7),
      ack(inbox!.stream, 4),
      ack(inbox!.stream, 11),
      ack(group!.stream, 1),
      ack(99, 1),
    );
    await h.client.until(() => h.world.acknowledged.length > 0, "the acknowledgement");
    h.client.send(encodeAck(subscription, [{ stream: inbox!.stream, offset: 10 }]));
    await h.client.until(() => h.world.acknowledged.length > 1, "the second acknowledgement");
    expect(h.world.acknowledged).toEqual([
      { clientId: CLIENT, position: { lineage: "lineage-1", offset: 7 } },
      { clientId: CLIENT, position: { lineage: "lineage-1", offset: 10 } },
    ]);
  });
});

describe("slow subscribers", () => {
  const BODY = 16_384;

  it("[F21] [S5] keep the node's memory bounded, are cut 4008 when nothing moves, and disturb nobody", async () => {
    await h.restart({ socketStallMs: 700 });
    const slow = await WireClient.connect(h.world.port, TOKENS.all);
    const plenty = { messages: 1_000_000, bytes: 10_000_000_000 };
    const [slowSub, fastSub] = [await h.open(slow, plenty), await h.open(h.client, plenty)];
    const [[stuck], [moving]] = [await h.add(slowSub, [GROUP], slow), await h.add(fastSub, [GROUP])];
    slow.socket.pause();
    collectGarbage();
    const before = process.memoryUsage();
    for (let round = 1; round <= 100; round += 1) {
      h.world.publish(GROUP, 20, { bytes: BODY });
      await h.arrived(moving!.stream, round * 20);
    }
    collectGarbage();
    const grown = process.memoryUsage().arrayBuffers - before.arrayBuffers;
    // The fast one, in this process too, keeps the 33 MB that it got; a second copy for the slow one is not there.
    expect(grown).toBeLessThan(40 * 1024 * 1024);
    await h.client.until(() => h.world.server.sessionCount === 1, "the cut");
    expect((await h.world.telemetry.metrics()).body).toContain('aegis_sessions_closed_total{code="4008"} 1');
    expect(h.client.offsets(moving!.stream)).toEqual(ordered(1, 2000));
    // Whoever comes back within some seconds still reads why.
    await delay(4_000);
    slow.socket.resume();
    expect(await slow.closeCode()).toBe(4008);
    const reached = slow.offsets(stuck!.stream);
    expect(reached).toEqual(ordered(1, reached.length));
    // Cut with its position: it goes on from there without a gap.
    const again = await WireClient.connect(h.world.port, TOKENS.all);
    const position = { lineage: "lineage-1", offset: reached.length };
    const [resumed] = await h.add(await h.open(again, plenty), [{ ...GROUP, after: position }], again);
    await h.arrived(resumed!.stream, 2000, again);
    expect(again.offsets(resumed!.stream)).toEqual(ordered(reached.length + 1, 2000));
    again.socket.terminate();
  }, 60_000);

  it("[F21] read again from the store what their socket had no room for, when they catch up in time", async () => {
    await h.restart({ socketPauseBytes: 65_536 });
    const subscription = await h.open(h.client, { messages: 1_000_000, bytes: 10_000_000_000 });
    const [group] = await h.add(subscription, [GROUP]);
    h.client.socket.pause();
    for (let round = 0; round < 60; round += 1) {
      h.world.publish(GROUP, 10, { bytes: BODY });
      await new Promise((resolve) => {
        setImmediate(resolve);
      });
    }
    h.client.socket.resume();
    await h.arrived(group!.stream, 600);
    expect(h.client.offsets(group!.stream)).toEqual(ordered(1, 600));
    expect((await h.world.telemetry.metrics()).body).toMatch(/aegis_events_sent_total{from="store"} [1-9]/);
  });

  it("[G6] get an answer that is larger than the queue's bound, when little else waits", async () => {
    await h.restart({ socketQueueBytesMax: 1_000_000, socketPauseBytes: 65_536 });
    h.world.answer = () => Promise.resolve({ kind: "done", result: { blob: new Uint8Array(3_000_000) } });
    const { result } = await h.client.call("identity.get", { clientIds: [] });
    expect((result as { blob: Uint8Array }).blob).toHaveLength(3_000_000);
    expect((await h.client.call("identity.get", { clientIds: [] })).error).toBeUndefined();
  });

  it("[S5] close 4008 when answers pile up beyond the queue's bound", async () => {
    await h.restart({ socketQueueBytesMax: 1_000_000, socketPauseBytes: 65_536 });
    h.world.answer = () => Promise.resolve({ kind: "done", result: { blob: new Uint8Array(300_000) } });
    h.client.socket.pause();
    for (let count = 0; count < 60; count += 1) h.client.request("identity.get", { clientIds: [] });
    await h.client.until(() => h.world.server.sessionCount === 0, "the cut");
    expect((await h.world.telemetry.metrics()).body).toContain('aegis_sessions_closed_total{code="4008"} 1');
  });
});
