// What a request asks of the store, counted by Redis itself.
import { randomUUID } from "node:crypto";
import { Redis } from "ioredis";
import { afterAll, beforeAll, expect, test } from "vitest";
import { connect, type AegisClient } from "../../src/client/client.ts";
import { MlsClient } from "../support/mls-client.ts";
import { opaqueMessage } from "../support/opaque-messages.ts";
import { type RedisServer, startRedis } from "../support/redis-server.ts";
import { ServerProcess } from "../support/server-process.ts";

const SENT = 50;

let redis: RedisServer;
let server: ServerProcess;
let operator: AegisClient;
let client: AegisClient;
let admin: Redis;

beforeAll(async () => {
  redis = await startRedis();
  server = await ServerProcess.start({ redisUrl: redis.url });
  operator = await connect({ url: server.url, token: server.operatorToken });
  const { key } = await operator.application.create({ name: "store calls" });
  client = await connect({ url: server.url, token: key.secret });
  admin = new Redis(redis.url);
});

afterAll(async () => {
  admin.disconnect();
  await client.close();
  await operator.close();
  await server.dispose();
  await redis.stop();
});

/** Calls of scripts and reads of hashes since the last look. */
async function counted(): Promise<{ readonly scripts: number; readonly hashes: number }> {
  const stats = await admin.info("commandstats");
  const calls = (command: string): number =>
    Number(new RegExp(`^cmdstat_${command}:calls=(\\d+)`, "m").exec(stats)?.[1] ?? 0);
  await admin.config("RESETSTAT");
  return { scripts: calls("evalsha"), hashes: calls("hget") };
}

test("[L2] a message to a group whose actor is in memory asks the store once: to write it", async () => {
  const member = await MlsClient.create({ identity: "founder" });
  const groupId = Buffer.from(randomUUID());
  const groupInfo = await (await member.createGroup(groupId)).groupInfo();
  await client.group.create({ groupInfo, tracking: "ordering", settings: { externalJoin: "none" } });
  await client.group.send({ groupId, message: opaqueMessage(groupId, 0n, "application") });
  await counted();
  for (let n = 0; n < SENT; n += 1) {
    await client.group.send({ groupId, message: opaqueMessage(groupId, 0n, "application") });
  }
  const { scripts, hashes } = await counted();
  expect(scripts).toBeGreaterThanOrEqual(SENT);
  // Heartbeats, and what the founding still owed.
  expect(scripts).toBeLessThan(SENT * 1.5);
  // The script itself looks where the log ends.
  expect(hashes).toBeLessThan(SENT * 1.5);
});
