// The identity service over the wire (PROTOCOL §4, T6, E4): clients, handles, history, quotas, races.
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { AppWorld, basicCredential, refusal, type TestApplication } from "../support/app-world.ts";

let world: AppWorld;
let app: TestApplication;
beforeAll(async () => {
  world = await AppWorld.start();
  app = await world.application();
});
afterAll(() => world.stop());

let made = 0;
/** An identity that no other test of this file uses. */
function fresh(name = "somebody"): string {
  made += 1;
  return `${name}-${String(made)}`;
}

function create(handle: string, tags: string[] = []) {
  return app.client.identity.create({ clientIdentity: basicCredential(handle), tags });
}

/** A credential with one certificate of that many bytes. */
function chainOf(bytes: number): Uint8Array {
  const header = (length: number): number[] => [0x80 | (length >> 24), length >> 16, length >> 8, length];
  return Uint8Array.from([0, 2, ...header(bytes + 4), ...header(bytes), ...new Uint8Array(bytes)]);
}

describe("a client's record", () => {
  test("create, get, resolve, history and validate tell the same", async () => {
    const handle = fresh("älice@example");
    const record = await create(handle, ["b", "a", "b"]);
    expect(record).toMatchObject({ handle, version: 1, clientIdentity: basicCredential(handle) });
    expect([...record.tags].sort()).toEqual(["a", "b"]);
    expect(record.createdAt).toBe(record.updatedAt);
    expect(Math.abs(record.createdAt - Date.now())).toBeLessThan(60_000);
    const { clientId } = record;
    const unknown = randomUUID();
    const { clients } = await app.client.identity.get({ clientIds: [unknown, clientId, clientId] });
    expect(clients).toMatchObject([{ clientId: unknown, error: { reason: "CLIENT_NOT_FOUND" } }, record, record]);
    expect(await app.client.identity.resolve({ handle })).toEqual({ clientId, version: 1, current: true });
    const { identities } = await app.client.identity.history({ clientId });
    expect(identities).toEqual([{ clientIdentity: basicCredential(handle), handle, from: record.createdAt }]);
    const validated = await app.client.identity.validate({ clientIdentity: basicCredential(handle) });
    expect(validated).toEqual({ valid: true, handle });
  });

  test("a credential that is none has its cause, in create and in validate; nothing is stored", async () => {
    const cases: [Uint8Array, string][] = [
      [Uint8Array.of(0, 2, 0), "type_unsupported"],
      [new Uint8Array(0), "malformed"],
      [Uint8Array.of(0xff), "malformed"],
      [Uint8Array.from([...basicCredential("x"), 0]), "malformed"],
      [basicCredential(Uint8Array.of(0xc3, 0x28)), "handle_not_utf8"],
      [chainOf(65_536 - 10), "type_unsupported"],
      [chainOf(65_536 - 9), "malformed"], // one byte too many for the server
    ];
    for (const [clientIdentity, cause] of cases) {
      const error = await refusal(app.client.identity.create({ clientIdentity }));
      expect(error).toMatchObject({ code: "INVALID_ARGUMENT", reason: "IDENTITY_INVALID", details: { cause } });
      expect(await app.client.identity.validate({ clientIdentity })).toEqual({ valid: false, cause });
    }
  });

  test("64 tags fit, 65 are TAGS_LIMIT, in create and in update", async () => {
    const tags = Array.from({ length: 64 }, (_, n) => `tag ${String(n)}`);
    const handle = fresh();
    expect(await refusal(create(handle, [...tags, "one more"]))).toMatchObject({
      code: "RESOURCE_EXHAUSTED",
      reason: "TAGS_LIMIT",
    });
    const { clientId } = await create(handle, tags);
    const update = (change: object) => app.client.identity.update({ clientId, tags: change });
    expect((await refusal(update({ add: ["one more"] }))).reason).toBe("TAGS_LIMIT");
    expect((await update({ add: ["one more"], remove: ["tag 0"] })).tags).toHaveLength(64);
    expect((await update({ set: [] })).tags).toEqual([]);
  });

  test("update counts versions, judges ifVersion, and refuses what does not fit", async () => {
    const { clientId, createdAt } = await create(fresh(), ["x"]);
    const second = await app.client.identity.update({ clientId, ifVersion: 1, tags: { add: ["y"], remove: ["x"] } });
    expect(second).toMatchObject({ version: 2, tags: ["y"], createdAt });
    const error = await refusal(app.client.identity.update({ clientId, ifVersion: 1, tags: { set: [] } }));
    expect(error).toMatchObject({ code: "ABORTED", reason: "VERSION_MISMATCH", details: { version: 2 } });
    const both = await refusal(app.client.identity.update({ clientId, tags: { set: [], add: ["z"] } }));
    expect(both).toMatchObject({ reason: "BAD_PARAMS", details: { path: "tags" } });
    const nobody = await refusal(app.client.identity.update({ clientId: randomUUID(), tags: { set: [] } }));
    expect(nobody).toMatchObject({ code: "NOT_FOUND", reason: "CLIENT_NOT_FOUND" });
  });

  test("an identity changes under the same id: history, resolve, and the inbox say so", async () => {
    const [old, next] = [fresh("old"), fresh("new")];
    const { clientId } = await create(old);
    const updated = await app.client.identity.update({ clientId, clientIdentity: basicCredential(next) });
    expect(updated).toMatchObject({ clientId, handle: next, version: 2 });
    expect(await app.client.identity.resolve({ handle: next })).toMatchObject({ clientId, current: true });
    expect(await app.client.identity.resolve({ handle: old })).toMatchObject({ clientId, current: false });
    const byOld = await app.client.identity.resolve({ clientIdentity: basicCredential(old) });
    expect(byOld).toEqual({ clientId, version: 2, current: false });
    const { identities } = await app.client.identity.history({ clientId });
    expect(identities.map(({ handle }) => handle)).toEqual([old, next]);
    expect(identities[0]?.until).toBe(identities[1]?.from);
    const { events } = await app.client.stream.read({ kind: "client", id: clientId });
    expect(events.map(([offset, , type, body]) => [offset, type, body])).toEqual([
      [1, "identity.updated", { version: 2 }],
    ]);
    // A change of tags alone is no change of identity.
    await app.client.identity.update({ clientId, tags: { set: ["t"] } });
    expect((await app.client.stream.read({ kind: "client", id: clientId })).events).toHaveLength(1);
  });

  test("`successor` lets a basic identity change to nothing but itself: NOT_SUCCESSOR", async () => {
    const strict = await world.application({ identityChange: "successor" });
    const { clientId } = await strict.client.identity.create({ clientIdentity: basicCredential("one") });
    const change = (to: string) => strict.client.identity.update({ clientId, clientIdentity: basicCredential(to) });
    expect(await refusal(change("two"))).toMatchObject({ code: "FAILED_PRECONDITION", reason: "NOT_SUCCESSOR" });
    expect((await change("one")).handle).toBe("one");
    // The handle that was not won is free for others, and nobody ever held it.
    expect((await refusal(strict.client.identity.resolve({ handle: "two" }))).reason).toBe("HANDLE_NOT_FOUND");
    await strict.client.identity.create({ clientIdentity: basicCredential("two") });
  });

  test("history tells every identity that a client has had, however many", async () => {
    const names = [fresh("even"), fresh("odd")] as const;
    const { clientId } = await create(names[0]);
    for (let n = 1; n <= 1002; n += 1) {
      await app.client.identity.update({ clientId, clientIdentity: basicCredential(names[n % 2 === 0 ? 0 : 1]) });
    }
    const { identities } = await app.client.identity.history({ clientId });
    expect(identities).toHaveLength(1003);
    for (const [n, { until }] of identities.entries()) expect(until).toBe(identities[n + 1]?.from);
    const wrong = app.client.identity.history({ clientId, cursor: "x" });
    expect((await refusal(wrong)).reason).toBe("CURSOR_INVALID");
  });

  test("delete takes the record, the tags and the inbox; the id is never used again", async () => {
    const handle = fresh();
    const tag = fresh("tag");
    const { clientId } = await create(handle, [tag]);
    await app.client.identity.delete({ clientId });
    const { clients } = await app.client.identity.get({ clientIds: [clientId] });
    expect(clients).toMatchObject([{ clientId, error: { reason: "CLIENT_NOT_FOUND" } }]);
    expect(await app.client.identity.find({ all: [tag] })).toEqual({ clients: [] });
    expect(await app.client.identity.resolve({ handle })).toMatchObject({ clientId, current: false });
    const refused = [
      app.client.identity.delete({ clientId }),
      app.client.identity.update({ clientId, tags: { set: [] } }),
      app.client.identity.history({ clientId }),
    ].map(refusal);
    for (const { reason } of await Promise.all(refused)) expect(reason).toBe("CLIENT_NOT_FOUND");
    expect((await refusal(app.client.stream.read({ kind: "client", id: clientId }))).reason).toBe("STREAM_NOT_FOUND");
  });
});

describe("handles", () => {
  test("one of 200 racing creates of one handle wins, the others are HANDLE_TAKEN", async () => {
    const handle = fresh("contested");
    const outcomes = await Promise.allSettled(Array.from({ length: 200 }, () => create(handle)));
    const won = outcomes.flatMap((outcome) => (outcome.status === "fulfilled" ? [outcome.value] : []));
    const lost = outcomes.flatMap((outcome) => (outcome.status === "rejected" ? [outcome.reason as object] : []));
    expect(won).toHaveLength(1);
    expect(lost).toHaveLength(199);
    for (const error of lost) expect(error).toMatchObject({ code: "ALREADY_EXISTS", reason: "HANDLE_TAKEN" });
    const holder = { clientId: won[0]?.clientId, current: true };
    expect(await app.client.identity.resolve({ handle })).toMatchObject(holder);
  });

  test("a handle is free as soon as the delete or the update that gave it back is acknowledged", async () => {
    const [handle, next] = [fresh("reused"), fresh("reused")];
    for (let round = 0; round < 10; round += 1) {
      const { clientId } = await create(handle);
      expect((await refusal(create(handle))).reason).toBe("HANDLE_TAKEN");
      if (round % 2 === 0) await app.client.identity.delete({ clientId });
      else {
        await app.client.identity.update({ clientId, clientIdentity: basicCredential(`${next}-${String(round)}`) });
      }
    }
    const holder = await create(handle);
    const other = await create(next);
    const change = { clientId: other.clientId, clientIdentity: basicCredential(handle) };
    expect((await refusal(app.client.identity.update(change))).reason).toBe("HANDLE_TAKEN");
    await app.client.identity.delete({ clientId: holder.clientId });
    expect((await app.client.identity.update(change)).handle).toBe(handle);
  });

  test("an update refused for its version gives the new handle back, and nobody is said to have held it", async () => {
    const { clientId } = await create(fresh());
    const wanted = fresh("wanted");
    const change = { clientId, clientIdentity: basicCredential(wanted), ifVersion: 7 };
    expect((await refusal(app.client.identity.update(change))).reason).toBe("VERSION_MISMATCH");
    expect((await refusal(app.client.identity.resolve({ handle: wanted }))).reason).toBe("HANDLE_NOT_FOUND");
    expect((await create(wanted)).handle).toBe(wanted);
  });

  test("two clients that trade handles at once end with one holder each, or a refusal", async () => {
    const names = [fresh("trade"), fresh("trade")] as const;
    const clients = await Promise.all(names.map((name) => create(name)));
    const updates = clients.map(({ clientId }, n) =>
      app.client.identity.update({ clientId, clientIdentity: basicCredential(names[1 - n] as string) }),
    );
    for (const { reason } of (await Promise.allSettled(updates)).filter((outcome) => outcome.status === "rejected")) {
      expect(reason).toMatchObject({ reason: "HANDLE_TAKEN" });
    }
    const read = await app.client.identity.get({ clientIds: clients.map(({ clientId }) => clientId) });
    const handles = read.clients.map((client) => ("handle" in client ? client.handle : ""));
    expect(new Set(handles).size).toBe(2);
    for (const [n, handle] of handles.entries()) {
      const holder = await app.client.identity.resolve({ handle });
      expect(holder).toMatchObject({ clientId: clients[n]?.clientId, current: true });
    }
  });
});

describe("retries and quotas", () => {
  test("[E4] each mutation again under its key answers as the first time, whatever happened since", async () => {
    const [handle, next] = [fresh(), fresh()];
    const wire = await world.wire(app.token);
    const creation = { clientIdentity: basicCredential(handle), tags: ["t"] };
    const created = await wire.call("identity.create", creation, { key: "c" });
    const { clientId } = created.result as { clientId: string };
    const change = { clientId, clientIdentity: basicCredential(next) };
    const updated = await wire.call("identity.update", change, { key: "u" });
    expect(updated.error).toBeUndefined();
    await wire.call("identity.update", { clientId, clientIdentity: basicCredential(fresh()) });
    await create(next);
    expect((await wire.call("identity.update", change, { key: "u" })).result).toEqual(updated.result);
    expect((await wire.call("identity.create", creation, { key: "c" })).result).toEqual(created.result);
    const reused = await wire.call("identity.update", { ...change, tags: { set: [] } }, { key: "u" });
    expect(reused.error).toMatchObject({ reason: "KEY_REUSED" });
    const deleted = await wire.call("identity.delete", { clientId }, { key: "d" });
    expect(deleted.result).toEqual({});
    expect((await wire.call("identity.delete", { clientId }, { key: "d" })).result).toEqual({});
    expect((await wire.call("identity.update", change, { key: "u" })).result).toEqual(updated.result);
  });

  test("[E4] a create's key is the handle's: the same key serves for the client's update and delete", async () => {
    const wire = await world.wire(app.token);
    const creation = { clientIdentity: basicCredential(fresh()) };
    const created = await wire.call("identity.create", creation, { key: "one" });
    const { clientId } = created.result as { clientId: string };
    const updated = await wire.call("identity.update", { clientId, tags: { set: ["t"] } }, { key: "one" });
    expect(updated.error).toBeUndefined();
    expect((await wire.call("identity.create", creation, { key: "one" })).result).toEqual(created.result);
    const other = await create(fresh());
    const deleted = await wire.call("identity.delete", { clientId: other.clientId }, { key: "one" });
    expect(deleted.result).toEqual({});
  });

  test("[E4] 20 at once under one key make one client and get one answer", async () => {
    const clientIdentity = basicCredential(fresh());
    const calls = Array.from({ length: 20 }, () => app.client.identity.create({ clientIdentity }, { key: "same" }));
    const records = await Promise.all(calls);
    expect(new Set(records.map(({ clientId }) => clientId)).size).toBe(1);
  });

  test("[E4] a refusal is not remembered: the key serves once the reason is gone", async () => {
    const handle = fresh();
    const { clientId } = await create(handle);
    const again = () => app.client.identity.create({ clientIdentity: basicCredential(handle) }, { key: "later" });
    expect((await refusal(again())).reason).toBe("HANDLE_TAKEN");
    await app.client.identity.delete({ clientId });
    expect((await again()).handle).toBe(handle);
  });

  test("a quota of identities counts what is there; a retry of what was applied is no new one", async () => {
    const small = await world.application({ quotas: { identities: 2 } });
    const make = (name: string, key: string) =>
      small.client.identity.create({ clientIdentity: basicCredential(name) }, { key });
    const first = await make("a", "a");
    await make("b", "b");
    expect(await refusal(make("c", "c"))).toMatchObject({
      code: "RESOURCE_EXHAUSTED",
      reason: "QUOTA",
      details: { quota: "identities" },
    });
    expect(await make("a", "a")).toEqual(first);
    await small.client.identity.delete({ clientId: first.clientId });
    expect((await make("c", "c")).handle).toBe("c");
  });

  test("a quota of identities holds for 12 creates at once: as many as there is room for are made", async () => {
    const small = await world.application({ quotas: { identities: 3 } });
    const creates = Array.from({ length: 12 }, (_, n) =>
      small.client.identity.create({ clientIdentity: basicCredential(`crowd-${String(n)}`) }),
    );
    const outcomes = await Promise.allSettled(creates);
    const lost = outcomes.flatMap((outcome) => (outcome.status === "rejected" ? [outcome.reason as object] : []));
    expect(lost).toHaveLength(9);
    for (const error of lost) expect(error).toMatchObject({ reason: "QUOTA", details: { quota: "identities" } });
  });
});
