// Creates, updates and deletes of few handles by many workers at once: whatever the order, every handle has one
// holder at most, and records, handles and the tag index tell the same story (GUARANTEES, rules 5 and 6).
import { afterAll, beforeAll, expect, test } from "vitest";
import { AegisError, type Result } from "../../src/client/client.ts";
import { AppWorld, basicCredential, type TestApplication } from "../support/app-world.ts";
import { randomFrom, seedOf } from "../support/seed.ts";

const WORKERS = 8;
const STEPS = 40;
const HANDLES = ["ann", "bob", "cem", "dot", "eve"];
const EXPECTED = new Set(["HANDLE_TAKEN", "CLIENT_NOT_FOUND", "VERSION_MISMATCH"]);

let world: AppWorld;
let app: TestApplication;
beforeAll(async () => {
  world = await AppWorld.start();
  app = await world.application();
});
afterAll(() => world.stop());

type ClientRecord = Result<"identity.create">;

async function unlessRefused<T>(call: Promise<T>): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    if (error instanceof AegisError && EXPECTED.has(error.reason)) return undefined;
    throw error;
  }
}

async function work(random: () => number, clientIds: Set<string>, tag: string): Promise<void> {
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T;
  const { identity } = app.client;
  for (let step = 0; step < STEPS; step += 1) {
    const dice = random();
    const clientIdentity = basicCredential(pick(HANDLES));
    const clientId = pick([...clientIds]) as string | undefined;
    if (dice < 0.4 || clientId === undefined) {
      const record = await unlessRefused(identity.create({ clientIdentity, tags: [tag] }));
      if (record !== undefined) clientIds.add(record.clientId);
    } else if (dice < 0.7) {
      await unlessRefused(identity.update({ clientId, clientIdentity, ...(dice < 0.5 ? { ifVersion: 1 } : {}) }));
    } else if (dice < 0.85) {
      await unlessRefused(identity.update({ clientId, tags: { add: [`${tag}-${String(step % 3)}`] } }));
    } else {
      await unlessRefused(identity.delete({ clientId }));
    }
  }
}

test("[G4] random creates, updates and deletes at once: one holder a handle, and every read agrees", async () => {
  const random = randomFrom(seedOf("identity interleavings"));
  const clientIds = new Set<string>();
  await Promise.all(
    Array.from({ length: WORKERS }, (_, n) =>
      work(randomFrom(Math.floor(random() * 2 ** 31)), clientIds, `w${String(n)}`),
    ),
  );
  const { clients } = await app.client.identity.get({ clientIds: [...clientIds] });
  const living = clients.filter((client): client is ClientRecord => !("error" in client));
  expect(new Set(living.map(({ handle }) => handle)).size).toBe(living.length);
  for (const handle of HANDLES) {
    const holder = living.find((client) => client.handle === handle);
    const resolved = await unlessRefused(app.client.identity.resolve({ handle })).catch(() => undefined);
    if (holder === undefined) expect(resolved?.current ?? false, handle).toBe(false);
    else expect(resolved).toEqual({ clientId: holder.clientId, version: holder.version, current: true });
  }
  const tags = Array.from({ length: WORKERS }, (_, n) => `w${String(n)}`);
  const found = await app.client.identity.find({ any: tags, limit: 1000 });
  const byId = (a: ClientRecord, b: ClientRecord) => (a.clientId < b.clientId ? -1 : 1);
  expect([...found.clients].sort(byId)).toEqual([...living].sort(byId));
  // What nobody holds now can be taken at once: no reservation was left behind.
  for (const handle of HANDLES) {
    if (living.some((client) => client.handle === handle)) continue;
    const taken = await app.client.identity.create({ clientIdentity: basicCredential(handle) });
    expect(taken.handle).toBe(handle);
  }
});
