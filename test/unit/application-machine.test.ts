import { expect, it } from "vitest";
import { KEYS_MAX, type ApplicationCommand } from "../../src/actors/application-machine.ts";
import { machineCatalogue } from "../../src/actors/machine-catalogue.ts";
import { REGISTRY, type RegistryCommand } from "../../src/actors/registry-machine.ts";
import { decode } from "../../src/protocol/codec.ts";
import { keyRecord, SETTINGS } from "../support/actor-commands.ts";
import { address } from "../support/actor-world.ts";
import { Bench, describeMachine, NOW } from "../support/machine-bench.ts";

type State = "absent" | "active" | "deleted";

const entry = machineCatalogue.application;
const application = address("application", "a1");
const sender = (ciphersuite: number) => ({
  ciphersuite,
  externalSender: new Uint8Array([ciphersuite]),
  publicKey: new Uint8Array([2]),
  sealedKey: new Uint8Array([3]),
});
const create = { type: "create", name: "app", settings: SETTINGS, key: keyRecord(), senders: [sender(1)] };
const update = { type: "update", settings: { keyPoolLow: 5, pastEpochs: undefined }, senders: [sender(1), sender(2)] };
const createKey = { type: "createKey", key: keyRecord("key-2"), token: "aegis_key-2_secret" };
const createKeyBeside = (...ended: string[]) => ({ ...createKey, ended });
const revokeKey = (keyId = "key-1") => ({ type: "revokeKey", keyId, record: keyRecord(keyId) });
const noteUse = (keyId = "key-1") => ({ type: "noteUse", keyId });
const asManyKeysAsMayBe = Array.from({ length: KEYS_MAX - 1 }, (_, n) => ({
  ...createKey,
  key: keyRecord(`more-${String(n)}`),
}));
const remove = { type: "delete" };
const timer = (name = "purge") => ({ type: "timer", name });

describeMachine<State, ApplicationCommand["type"]>({
  name: "application",
  entry,
  address: application,
  commands: { create: true, update: true, createKey: true, revokeKey: true, noteUse: true, delete: true, timer: true },
  reach: { absent: [], active: [create], deleted: [create, remove] },
  cases: [
    {
      in: "absent",
      send: create,
      to: "active",
      emits: [
        { type: "putPart", name: "key/key-1" },
        { type: "putPart", name: "sender/1" },
      ],
      context: { id: "a1", name: "app", settings: SETTINGS, createdAt: NOW },
    },
    ...[update, createKey, revokeKey(), noteUse(), remove, timer()].map((send) => ({
      in: "absent" as const,
      send,
      refused: "APPLICATION_NOT_FOUND",
    })),
    { in: "active", send: create },
    {
      in: "active",
      send: update,
      emits: [
        { type: "putPart", name: "sender/2" },
        { type: "reply", value: { settings: { ...SETTINGS, keyPoolLow: 5 } } },
      ],
      context: { settings: { ...SETTINGS, keyPoolLow: 5 } },
    },
    {
      in: "active",
      send: createKey,
      emits: [
        { type: "putPart", name: "key/key-2" },
        { type: "reply", value: { keyId: "key-2", secret: "aegis_key-2_secret" } },
      ],
    },
    {
      in: "active",
      when: "with as many keys as may be",
      first: asManyKeysAsMayBe,
      send: createKey,
      refused: "KEYS_LIMIT",
    },
    {
      in: "active",
      when: "with as many keys as may be, none of those that have ended among them",
      first: asManyKeysAsMayBe,
      send: createKeyBeside("gone"),
      refused: "KEYS_LIMIT",
    },
    {
      in: "active",
      when: "with as many keys as may be, of which some have ended",
      first: [...asManyKeysAsMayBe, noteUse("more-7")],
      send: createKeyBeside("gone", "more-7", "more-1"),
      emits: [
        { type: "deletePart", name: "key/more-7" },
        { type: "deletePart", name: "used/more-7" },
        { type: "putPart", name: "key/key-2" },
        { type: "reply", value: { keyId: "key-2", secret: "aegis_key-2_secret" } },
      ],
    },
    { in: "active", send: revokeKey(), emits: [{ type: "putPart", name: "key/key-1" }] },
    { in: "active", when: "an unknown key", send: revokeKey("key-9"), refused: "KEY_NOT_FOUND" },
    {
      in: "active",
      when: "an unread key",
      send: { type: "revokeKey", keyId: "key-1" } as object as { type: string },
      refused: "KEY_NOT_FOUND",
    },
    { in: "active", send: noteUse(), emits: [{ type: "putPart", name: "used/key-1" }] },
    { in: "active", when: "an unknown key", send: noteUse("key-9") },
    {
      in: "active",
      send: remove,
      to: "deleted",
      emits: [{ type: "purge" }, { type: "setTimer", name: "purge", at: NOW + 605_000 }],
      context: { id: "a1", name: "" },
    },
    { in: "active", send: timer() },
    ...[create, update, createKey, revokeKey(), noteUse(), remove].map((send) => ({
      in: "deleted" as const,
      send,
      refused: "APPLICATION_NOT_FOUND",
    })),
    { in: "deleted", send: timer(), emits: [{ type: "purgeApplication", applicationId: "a1" }] },
    { in: "deleted", when: "another timer", send: timer("x"), refused: "APPLICATION_NOT_FOUND" },
  ],
});

it("a key that was revoked keeps the time at which it first was", () => {
  const bench = new Bench(entry, application);
  bench.send(create);
  const record = { ...keyRecord(), revokedAt: 7 };
  const [operation] = bench.send({ type: "revokeKey", keyId: "key-1", record }).operations;
  expect(operation?.op === "putPart" && decode(operation.bytes)).toMatchObject({ revokedAt: 7 });
});

it("a deleted application keeps neither settings nor keys", () => {
  const bench = new Bench(entry, application);
  bench.send(create);
  bench.send(remove);
  expect(bench.context).toEqual({ id: "a1", name: "", createdAt: NOW });
  expect(bench.directory.list("")).toEqual([]);
});

const register = {
  type: "register",
  applicationId: "a1",
  name: "app",
  settings: SETTINGS,
  key: keyRecord(),
  senders: [sender(1)],
  token: "aegis_key-1_secret",
};

describeMachine<"open", RegistryCommand["type"]>({
  name: "registry",
  entry: machineCatalogue.registry,
  address: REGISTRY,
  commands: { register: true, unregister: true },
  reach: { open: [] },
  cases: [
    {
      in: "open",
      send: register,
      emits: [
        { type: "putPart", name: "application/a1" },
        {
          type: "tell",
          to: { applicationId: "a1", kind: "application", id: "a1" },
          command: { type: "create", name: "app", settings: SETTINGS, key: keyRecord() },
        },
        { type: "reply", value: { applicationId: "a1", key: { keyId: "key-1", secret: "aegis_key-1_secret" } } },
      ],
    },
    {
      in: "open",
      send: { type: "unregister", applicationId: "a1" } as object as { type: string },
      emits: [
        { type: "deletePart", name: "application/a1" },
        { type: "tell", to: { kind: "application", id: "a1" }, command: { type: "delete" } },
      ],
    },
  ],
});

it("[E4] the first key's token reaches neither the store nor the application's own actor", () => {
  const bench = new Bench(machineCatalogue.registry, REGISTRY);
  const { operations } = bench.send(register);
  const bytes = operations.map((operation) =>
    "bytes" in operation ? Buffer.from(operation.bytes).toString("latin1") : "",
  );
  expect(bytes.join()).not.toContain("secret");
});
