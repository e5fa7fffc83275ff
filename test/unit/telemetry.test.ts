import { AssertionError } from "node:assert";
import { expect, it } from "vitest";
import { createTelemetry } from "../../src/telemetry.ts";

function collect(level = "trace") {
  const lines: string[] = [];
  const telemetry = createTelemetry({
    level,
    node: "n1",
    version: "0",
    destination: { write: (line: string) => lines.push(line) },
  });
  return { lines, telemetry };
}

it("counts what it is told and shows it to Prometheus", async () => {
  const { telemetry } = collect();
  telemetry.sessionOpened("s", "a");
  telemetry.sessionOpened("t", undefined);
  telemetry.sessionClosed("s", 4008);
  telemetry.requestAnswered({ method: "identity.create" }, "OK", 12);
  telemetry.batchCommitted(3, 2, 1);
  const { body } = await telemetry.metrics();
  expect(body).toContain("aegis_sessions 1");
  expect(body).toContain('aegis_sessions_closed_total{code="4008"} 1');
  expect(body).toContain('aegis_requests_total{method="identity.create",code="OK"} 1');
  expect(body).toContain("aegis_batch_operations_total 3");
});

it("counts a store that does not answer on a node that nobody asks anything", async () => {
  const { telemetry } = collect();
  telemetry.heartbeatFailed(new Error("away"));
  expect((await telemetry.metrics()).body).toContain("aegis_store_outages_total 1");
});

it("[G10] says that handshakes are refused, why and from where, in a line for each status at a time", async () => {
  const { lines, telemetry } = collect("info");
  for (let round = 0; round < 100; round += 1) telemetry.handshakeRefused(401, "KEY_UNKNOWN", "10.0.0.7");
  telemetry.handshakeRefused(503, "DRAINING", "10.0.0.8");
  const said = lines.map((line) => JSON.parse(line) as object);
  expect(said).toMatchObject([
    { status: 401, reason: "KEY_UNKNOWN", from: "10.0.0.7", unsaid: 0 },
    { status: 503, reason: "DRAINING", from: "10.0.0.8", unsaid: 0 },
  ]);
  expect((await telemetry.metrics()).body).toContain('aegis_handshakes_refused_total{status="401"} 100');
});

it("names a node that comes, goes or can't be reached by the address at which an operator knows it", () => {
  const { lines, telemetry } = collect("info");
  const member = { nodeId: "n2", address: "10.0.0.8:7400" };
  telemetry.memberJoined(member);
  telemetry.memberUnreached(member, "certificate has expired");
  telemetry.memberReached(member);
  telemetry.memberGone(member, false);
  const said = lines.map((line) => JSON.parse(line) as object);
  const named = { member: "n2", address: "10.0.0.8:7400" };
  expect(said).toMatchObject([named, { ...named, why: "certificate has expired" }, named, named]);
});

it("[F14] says that a shard is lost once for each shard at a time, and counts them all", async () => {
  const { lines, telemetry } = collect("info");
  for (let round = 0; round < 100; round += 1)
    for (const shard of [1, 2]) telemetry.shardLost(shard, "the disk is full");
  const said = lines.map((line) => JSON.parse(line) as object);
  expect(said).toMatchObject([
    { shard: 1, cause: "the disk is full", unsaid: 0 },
    { shard: 2, cause: "the disk is full", unsaid: 0 },
  ]);
  expect((await telemetry.metrics()).body).toContain('aegis_shards_lost_total{cause="the disk is full"} 200');
});

it("[F23] says that a newer version wrote a shard once for each shard at a time, and not that it is a defect", async () => {
  const { lines, telemetry } = collect("info");
  for (let round = 0; round < 100; round += 1) telemetry.snapshotTooNew(7, "group", { written: 9, known: 8 });
  expect(lines.map((line) => JSON.parse(line) as object)).toMatchObject([
    { level: 40, shard: 7, kind: "group", written: 9, known: 8, unsaid: 0 },
  ]);
  const { body } = await telemetry.metrics();
  expect(body).toContain('aegis_snapshots_too_new_total{kind="group"} 100');
  expect(body).not.toContain("aegis_actor_failures_total{");
});

it("says as an error that the certificate in use has expired", () => {
  const { lines, telemetry } = collect("warn");
  telemetry.certificateUsed(Date.now() + 60_000);
  expect(lines).toEqual([]);
  telemetry.certificateUsed(Date.UTC(2020, 0));
  expect(JSON.parse(lines[0] ?? "")).toMatchObject({ level: 50, validUntil: "2020-01-01T00:00:00.000Z" });
});

it("keeps registries apart, so that two servers fit one process", async () => {
  const [one, two] = [collect(), collect()];
  one.telemetry.streamRead();
  expect((await two.telemetry.metrics()).body).toContain("aegis_stream_reads_total 0");
});

it("[G10] logs no message of an error that may quote what it was given, and redacts named secrets", () => {
  const { lines, telemetry } = collect();
  telemetry.bug("codec", new Error("unexpected: hush", { cause: new TypeError("hush too") }));
  telemetry.dispatchRejected({ method: "identity.create" }, new AssertionError({ message: "the epoch went back" }));
  telemetry.log.warn({ token: "hush", deep: { secret: "hush", handle: "hush" } }, "named");
  const log = lines.join("");
  expect(log).not.toContain("hush");
  expect(log).toContain("the epoch went back");
  expect(log).toContain("[redacted]");
  expect(JSON.parse(lines[0] ?? "")).toMatchObject({
    where: "codec",
    err: { name: "Error", cause: { name: "TypeError" } },
    node: "n1",
  });
});

it("says what came of a request under the name that its caller gave it, where debug is asked for", () => {
  for (const [level, said] of [
    ["debug", 1],
    ["info", 0],
  ] as const) {
    const { lines, telemetry } = collect(level);
    telemetry.requestAnswered({ method: "group.send" }, "OK", 2);
    telemetry.requestAnswered({ method: "group.send", trace: "theirs" }, "ABORTED", 3);
    expect(lines).toHaveLength(said);
    if (said > 0) expect(JSON.parse(lines[0] ?? "")).toMatchObject({ trace: "theirs", code: "ABORTED", latencyMs: 3 });
    telemetry.dispatchRejected({ method: "group.send", trace: "theirs" }, new Error());
    expect(JSON.parse(lines.at(-1) ?? "")).toMatchObject({ trace: "theirs", method: "group.send" });
  }
});

it("is as quiet as its level", () => {
  const { lines, telemetry } = collect("error");
  telemetry.stopping("SIGTERM");
  expect(lines).toEqual([]);
});
