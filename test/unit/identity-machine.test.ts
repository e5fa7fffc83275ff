import { expect, it } from "vitest";
import type { IdentityCommand } from "../../src/actors/identity-machine.ts";
import { machineCatalogue } from "../../src/actors/machine-catalogue.ts";
import { decode } from "../../src/protocol/codec.ts";
import { identityFacts, RETENTION } from "../support/actor-commands.ts";
import { address } from "../support/actor-world.ts";
import { Bench, describeMachine, NOW } from "../support/machine-bench.ts";

type State = "unborn" | "active" | "never" | "deleted";

const entry = machineCatalogue.identity;
const client = address("identity", "c1");
const alice = identityFacts("alice");
const bob = identityFacts("bob");

const create = (more: object = {}) => ({
  type: "create",
  reservation: "r1",
  identity: alice,
  tags: ["a", "b", "a"],
  retention: RETENTION,
  ...more,
});
const update = (more: object) => ({ type: "update", retention: RETENTION, ...more });
const toBob = (more: object = {}) => update({ identity: bob, reservation: "r2", judgedVersion: 1, ...more });
const settle = (reservation: string, handleId = alice.handleId) => ({
  type: "settleReservation",
  reservation,
  handleId,
});
const deliver = (more: object) => ({ type: "deliver", retention: RETENTION, ...more });
const event = deliver({ event: { type: "welcome", body: { n: 1 } } });
const joined = deliver({ membership: { groupActorId: "g1", groupId: new Uint8Array([1]), member: true } });
const left = deliver({ membership: { groupActorId: "g1", groupId: new Uint8Array([1]), member: false } });
const acknowledge = (offset: number) => ({ type: "acknowledge", offset });
const remove = { type: "delete" };
const expiring = { type: "timer", name: "expiring" };

const toHandle = (handleId: string, command: object) => ({
  type: "tell",
  to: { kind: "handle", id: handleId },
  command,
});
const record = (version: number, handle = "alice") => ({ type: "reply", value: { clientId: "c1", handle, version } });
const indexed = (version: number, tags: string[], removed: string[]) => ({
  type: "indexTags",
  clientId: "c1",
  version,
  tags: ["i:clients", ...tags.map((tag) => `t:${tag}`)],
  removed: removed.map((tag) => `t:${tag}`),
});
const answered = (reservation: string, held: boolean) =>
  toHandle(alice.handleId, { type: "reservationSettled", reservation, held });
const many = Array.from({ length: 65 }, (_, n) => `tag ${String(n)}`);

describeMachine<State, IdentityCommand["type"]>({
  name: "identity",
  entry,
  address: client,
  commands: {
    create: true,
    update: true,
    delete: true,
    settleReservation: true,
    deliver: true,
    acknowledge: true,
    timer: true,
  },
  reach: {
    unborn: [],
    active: [create()],
    never: [settle("r1")],
    deleted: [create(), remove],
  },
  cases: [
    {
      in: "unborn",
      send: create(),
      to: "active",
      emits: [
        indexed(1, ["a", "b"], []),
        toHandle(alice.handleId, { type: "hold", clientId: "c1", reservation: "r1" }),
        record(1),
      ],
      context: { tags: ["a", "b"], version: 1, identityVersion: 1, createdAt: NOW, reservation: "r1" },
    },
    { in: "unborn", when: "65 tags", send: create({ tags: many }), refused: "TAGS_LIMIT" },
    { in: "unborn", send: update({}), refused: "CLIENT_NOT_FOUND" },
    { in: "unborn", send: remove, refused: "CLIENT_NOT_FOUND" },
    { in: "unborn", send: settle("r1"), to: "never", emits: [answered("r1", false)] },
    { in: "unborn", send: event, refused: "CLIENT_NOT_FOUND" },
    { in: "unborn", send: acknowledge(0), refused: "CLIENT_NOT_FOUND" },
    { in: "unborn", send: expiring, refused: "CLIENT_NOT_FOUND" },

    { in: "active", when: "the same reservation", send: create(), emits: [record(1)] },
    { in: "active", when: "another reservation", send: create({ reservation: "r9" }), refused: "RESERVATION_EXPIRED" },
    { in: "active", when: "another version", send: update({ ifVersion: 9 }), refused: "VERSION_MISMATCH" },
    { in: "active", when: "judged against an older one", send: toBob({ judgedVersion: 0 }), refused: "STATE_MOVED" },
    { in: "active", when: "65 tags", send: update({ tags: { add: many } }), refused: "TAGS_LIMIT" },
    { in: "active", when: "no successor", send: toBob({ successor: false }), refused: "NOT_SUCCESSOR" },
    {
      in: "active",
      when: "a void reservation",
      first: [settle("r2", bob.handleId)],
      send: toBob(),
      refused: "RESERVATION_EXPIRED",
    },
    {
      in: "active",
      when: "tags",
      send: update({ tags: { add: ["c"], remove: ["a"] }, ifVersion: 1 }),
      emits: [indexed(2, ["b", "c"], ["a"]), record(2)],
      context: { tags: ["b", "c"], version: 2, identityVersion: 1, updatedAt: NOW },
    },
    {
      in: "active",
      when: "all tags",
      send: update({ tags: { set: ["z", "z"] } }),
      emits: [indexed(2, ["z"], ["a", "b"]), record(2)],
    },
    {
      in: "active",
      when: "another handle",
      send: toBob({ successor: true }),
      emits: [
        indexed(2, ["a", "b"], []),
        { type: "putPart", name: "history/0000000001" },
        toHandle(bob.handleId, { type: "hold", clientId: "c1", reservation: "r2" }),
        toHandle(alice.handleId, { type: "release", clientId: "c1", reservation: "r1" }),
        { type: "tell", to: { kind: "keyPool", id: "c1" }, command: { type: "changeIdentity", identityVersion: 2 } },
        { type: "append", offset: 1, event: "identity.updated", body: { version: 2 } },
        record(2, "bob"),
      ],
      context: { identity: bob, identityVersion: 2, reservation: "r2", identitySince: NOW },
    },
    {
      in: "active",
      when: "the same handle, another credential",
      send: update({ identity: { ...alice, credential: "AAAA" } }),
      emits: [
        indexed(2, ["a", "b"], []),
        { type: "putPart" },
        { type: "tell", to: { kind: "keyPool" } },
        { type: "append", offset: 1 },
        record(2),
      ],
      context: { reservation: "r1", identityVersion: 2 },
    },
    {
      in: "active",
      send: remove,
      to: "deleted",
      emits: [
        { type: "purge" },
        { type: "indexTags", version: 2, tags: [], removed: ["i:clients", "t:a", "t:b"] },
        toHandle(alice.handleId, { type: "release", clientId: "c1", reservation: "r1" }),
        { type: "tell", to: { kind: "keyPool", id: "c1" }, command: { type: "close" } },
      ],
      context: { tags: [], version: 2 },
    },
    {
      in: "active",
      when: "in a group",
      first: [joined],
      send: remove,
      to: "deleted",
      emits: [
        { type: "purge" },
        { type: "indexTags" },
        { type: "tell" },
        { type: "tell" },
        { type: "tell", to: { kind: "group", id: "g1" }, command: { type: "removeClient", clientId: "c1" } },
      ],
    },
    { in: "active", when: "used", send: settle("r1"), emits: [answered("r1", true)] },
    {
      in: "active",
      when: "its own handle under another reservation",
      send: settle("r5"),
      emits: [toHandle(alice.handleId, { type: "reservationSettled", reservation: "r5", held: true, under: "r1" })],
    },
    {
      in: "active",
      when: "unused",
      send: settle("r2", bob.handleId),
      emits: [toHandle(bob.handleId, { type: "reservationSettled", reservation: "r2", held: false })],
      context: { voided: [{ reservation: "r2", at: NOW }] },
    },
    {
      in: "active",
      when: "too many void ones",
      first: many.slice(0, 64).map((name) => settle(name, bob.handleId)),
      send: settle("r2", bob.handleId),
      refused: "STATE_MOVED",
    },
    {
      in: "active",
      send: event,
      emits: [{ type: "append", offset: 1, event: "welcome", body: { n: 1 } }],
      context: { inbox: { window: { last: 1 }, acknowledged: 0 } },
    },
    { in: "active", when: "a membership", send: joined, emits: [{ type: "putPart", name: "group/g1" }] },
    { in: "active", when: "its end", send: left, emits: [{ type: "deletePart", name: "group/g1" }] },
    { in: "active", when: "ahead", send: acknowledge(1), refused: "POSITION_AHEAD" },
    {
      in: "active",
      when: "more",
      first: [event, event],
      send: acknowledge(1),
      emits: [
        { type: "trim", before: 2 },
        { type: "reply", value: { offset: 1 } },
      ],
      context: { inbox: { acknowledged: 1, window: { last: 2 } } },
    },
    {
      in: "active",
      when: "again",
      first: [event, event, acknowledge(2)],
      send: acknowledge(1),
      emits: [{ type: "reply", value: { offset: 2 } }],
    },
    { in: "active", when: "an identity that never expires", send: expiring },

    { in: "never", send: create(), refused: "RESERVATION_EXPIRED" },
    { in: "never", send: update({}), refused: "CLIENT_NOT_FOUND" },
    { in: "never", send: remove, refused: "CLIENT_NOT_FOUND" },
    { in: "never", send: settle("r1"), emits: [answered("r1", false)] },
    { in: "never", send: event, refused: "CLIENT_NOT_FOUND" },
    { in: "never", send: acknowledge(0), refused: "CLIENT_NOT_FOUND" },
    { in: "never", send: expiring, refused: "CLIENT_NOT_FOUND" },

    { in: "deleted", send: create(), refused: "RESERVATION_EXPIRED" },
    { in: "deleted", send: update({}), refused: "CLIENT_NOT_FOUND" },
    { in: "deleted", send: remove, refused: "CLIENT_NOT_FOUND" },
    { in: "deleted", send: settle("r1"), emits: [answered("r1", false)] },
    { in: "deleted", send: event, refused: "CLIENT_NOT_FOUND" },
    {
      in: "deleted",
      when: "a membership that came late",
      send: joined,
      emits: [{ type: "tell", to: { kind: "group", id: "g1" }, command: { type: "removeClient", clientId: "c1" } }],
    },
    { in: "deleted", send: acknowledge(0), refused: "CLIENT_NOT_FOUND" },
    { in: "deleted", when: "late", send: expiring },
  ],
});

it("tells what it was, from when until when, in a history of parts", () => {
  const bench = new Bench(entry, client);
  bench.send(create());
  bench.now += 1000;
  const [part] = bench.send(toBob()).operations.filter(({ op }) => op === "putPart");
  expect(part?.op === "putPart" ? decode(part.bytes) : undefined).toEqual({
    credential: alice.credential,
    handle: "alice",
    from: NOW,
    until: NOW + 1000,
  });
});

it("void reservations are forgotten only when no update that carries them can be alive", () => {
  const bench = new Bench(entry, client);
  bench.send(create());
  for (const name of many.slice(0, 64)) bench.send(settle(name, bob.handleId));
  bench.now += 899_999;
  expect(bench.send(settle("late", bob.handleId)).refusal?.reason).toBe("STATE_MOVED");
  bench.now += 1;
  expect(bench.send(settle("late", bob.handleId)).refusal).toBeUndefined();
  expect(bench.context["voided"]).toHaveLength(1);
});

it("drops the oldest events of an inbox that nobody reads, by number and by age, and says so to the store", () => {
  const bench = new Bench(entry, client);
  bench.send(create());
  const small = { ...event, retention: { ms: 1_000_000, events: 10 } };
  for (let n = 1; n <= 10; n += 1) bench.send(small);
  expect(bench.send(small).operations).toContainEqual({ op: "trim", actor: bench.key, before: 2 });
  bench.now += 2_000_000;
  // Nobody knows how old the last segment's newest event is before the next one begins: it stays one longer.
  expect(bench.send(small).operations).toContainEqual({ op: "trim", actor: bench.key, before: 11 });
});
