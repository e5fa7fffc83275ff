// Inboxes whose Welcomes have a part in common, read from a real store: joined, bounded, trimmed when that part is gone.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { actorKey, shardOf } from "../../src/actors/actor-address.ts";
import { readWelcome } from "../../src/mls/welcome.ts";
import { decode, encode } from "../../src/protocol/codec.ts";
import { InboxReader } from "../../src/services/inbox-reader.ts";
import { openLmdbStore } from "../../src/store/lmdb/lmdb-store.ts";
import { openRedisStore } from "../../src/store/redis/redis-store.ts";
import type { Operation, Store } from "../../src/store/store.ts";
import { startRedis } from "../support/redis-server.ts";

const APPLICATION = "11111111-1111-4111-8111-111111111111";
const INBOX = actorKey({ applicationId: APPLICATION, kind: "identity", id: "22222222-2222-4222-8222-222222222222" });
const GROUP_ID = Uint8Array.of(1, 2, 3);
const GROUP = actorKey({ applicationId: APPLICATION, kind: "group", id: "010203" });
/** EncryptedGroupSecrets: a reference of 32 bytes, a KEM output, a ciphertext. */
const SECRETS = Uint8Array.of(32, ...new Array<number>(32).fill(7), 1, 8, 1, 9);
const ALWAYS = 4_000_000_000_000;

/** A store of its own, and what ends it. */
const engines = {
  async lmdb() {
    const folder = mkdtempSync(path.join(tmpdir(), "aegis-inbox-"));
    const store = await openLmdbStore({ path: folder, durability: "memory", shardCount: 4 });
    return { store, end: () => Promise.resolve(rmSync(folder, { recursive: true, force: true })) };
  },
  async redis() {
    const redis = await startRedis({ appendfsync: "everysec" });
    const store = await openRedisStore({ url: redis.url, prefix: "inbox", durability: "memory", shardCount: 4 });
    return { store, end: () => redis.stop() };
  },
};

async function write(store: Store, shard: number, operations: Operation[]): Promise<void> {
  const seen = await store.readOwner(shard);
  const claimant = { nonce: `n${String(shard)}${String(seen?.sequence)}`, owner: "o", address: "a", freshLineage: "l" };
  const claim = await store.claim(shard, seen?.fence, claimant);
  if (claim.kind !== "claimed") throw new Error("not claimed");
  const outcome = await store.commit(shard, claim.record.fence, claim.record.sequence + 1, operations);
  expect(outcome.kind).toBe("applied");
}

function mark(name: string, bytes: number, expiresAt: number): Operation {
  const shared = { ciphersuite: 1, encryptedGroupInfo: new Uint8Array(bytes).fill(5) };
  return { op: "putMark", actor: GROUP, name, bytes: encode(shared), expiresAt };
}

function welcome(offset: number, sharedWelcome: string): Operation {
  const body = encode({ groupId: GROUP_ID, epoch: 9n, secrets: SECRETS, sharedWelcome, treeBytes: 5 });
  return { op: "append", actor: INBOX, entry: { offset, time: offset, type: "welcome", body } };
}

function other(offset: number): Operation {
  return { op: "append", actor: INBOX, entry: { offset, time: offset, type: "removed", body: encode({}) } };
}

async function read(store: Store, after: number, bytesMax = 1_000_000, limit = 100) {
  const { entries, head } = await new InboxReader(store).readStream(shardOf(INBOX, 4), INBOX, {
    after,
    limit,
    bytesMax,
  });
  return { offsets: entries.map(({ offset }) => offset), head, entries };
}

describe.each(["lmdb", "redis"] as const)("on %s", (engine) => {
  let store: Store;
  let end: () => Promise<void>;
  beforeAll(async () => {
    ({ store, end } = await engines[engine]());
    await write(store, shardOf(GROUP, 4), [
      mark("welcome/kept/0", 40, ALWAYS),
      mark("welcome/large/0", 3000, ALWAYS),
      mark("welcome/gone/0", 40, 1),
    ]);
    const events = ["kept", "gone", "large", "large", "kept"].map((commit, n) => welcome(n + 1, `welcome/${commit}/0`));
    await write(store, shardOf(INBOX, 4), [...events, other(6)]);
  });
  afterAll(async () => {
    await store.close();
    await end();
  });

  test("a Welcome comes out whole, with its own secrets and nothing of how it is stored", async () => {
    const { entries } = await read(store, 2);
    const body = decode(entries[0]?.body as Uint8Array) as { welcome: Uint8Array };
    expect(Object.keys(body)).toEqual(["groupId", "epoch", "welcome", "treeBytes"]);
    const whole = readWelcome(body.welcome);
    if (whole.kind === "malformed") throw new Error(whole.why);
    expect(whole.value.secrets.map(({ bytes }) => [...bytes])).toEqual([[...SECRETS]]);
    expect(whole.value.encryptedGroupInfo).toEqual(new Uint8Array(3000).fill(5));
  });

  test("[S7] one whose common part is gone was kept as long as promised: it counts as trimmed, and what is older too", async () => {
    expect(await read(store, 0)).toMatchObject({ offsets: [3, 4, 5, 6], head: { first: 3, last: 6 } });
    expect(await read(store, 0, 1_000_000, 2)).toMatchObject({ offsets: [], head: { first: 3, last: 6 } });
    expect(await read(store, 0, 1_000_000, 1)).toMatchObject({ offsets: [1], head: { first: 1, last: 6 } });
  });

  test("[S5] what was joined counts: a read brings what its bounds allow, one event at least", async () => {
    expect((await read(store, 2, 3500)).offsets).toEqual([3]);
    expect((await read(store, 2, 10)).offsets).toEqual([3]);
    expect((await read(store, 2, 7000)).offsets).toEqual([3, 4, 5, 6]);
  });
});
