import { expect, it } from "vitest";
import type { KeyPoolCommand } from "../../src/actors/key-pool-machine.ts";
import { EXPIRY_MARGIN_MS, handedOutPart, keyMark, packageName, usedMark } from "../../src/actors/key-pool-queues.ts";
import { machineCatalogue } from "../../src/actors/machine-catalogue.ts";
import type { OfferedPackage } from "../../src/actors/key-pool-publish.ts";
import { claim, HOUR_MS, offered, publish, remove } from "../support/actor-commands.ts";
import { address } from "../support/actor-world.ts";
import { Bench, describeMachine, NOW } from "../support/machine-bench.ts";

type State = "open" | "closed";

const entry = machineCatalogue.keyPool;
const pool = address("keyPool", "c1");
const later = NOW + HOUR_MS;
const first = offered(1, later);
const second = offered(2, later + 1);
const last = offered(9, later, { index: -1 });
const nameOf = (kind: "once" | "last", one: OfferedPackage, labelHex = "") => packageName(kind, { ...one, labelHex });
const refOf = (one: OfferedPackage) => Buffer.from(one.refHex, "hex");

const stored = (kind: "once" | "last", one: OfferedPackage) => [
  { type: "putPart", name: nameOf(kind, one), bytes: one.bytes },
  ...one.keyHashes.map((key) => ({ type: "putMark", name: keyMark(key), bytes: refOf(one), expiresAt: one.notAfter })),
];
const dropped = (kind: "once" | "last", one: OfferedPackage) => [
  { type: "deletePart", name: nameOf(kind, one) },
  ...one.keyHashes.map((hash) => ({ type: "deleteMark", name: keyMark(hash) })),
];
const available = (count: number) => (count === 0 ? [] : [{ ciphersuite: 1, label: "", available: count }]);
const accepted = (packages: readonly OfferedPackage[], count: number, rejected: object[] = []) => ({
  type: "reply",
  value: { accepted: packages.map(refOf), rejected, available: available(count) },
});
const handed = (one: OfferedPackage, lastResort: boolean) => ({
  type: "reply",
  value: { ciphersuite: 1, keyPackageRef: refOf(one), lastResort, notAfter: one.notAfter },
});
const event = (type: string, body: object) => ({
  type: "tell",
  to: { kind: "identity", id: "c1" },
  command: { type: "deliver", event: { type, body } },
});
const expiryTimer = { type: "setTimer", name: "expiry", at: later - EXPIRY_MARGIN_MS };
const timer = { type: "timer", name: "expiry" };
const filled = publish([first, second, last]);

describeMachine<State, KeyPoolCommand["type"]>({
  name: "key pool",
  entry,
  address: pool,
  commands: { publish: true, claim: true, remove: true, changeIdentity: true, close: true, timer: true },
  reach: { open: [], closed: [{ type: "close" }] },
  cases: [
    {
      in: "open",
      send: publish([first]),
      emits: [...stored("once", first), accepted([first], 1), expiryTimer],
      context: { generation: 1, identityVersion: 1, expiryAt: later - EXPIRY_MARGIN_MS },
    },
    {
      in: "open",
      when: "again, unclaimed",
      first: [publish([first])],
      send: publish([first], { generation: 1 }),
      emits: [accepted([first], 1)],
    },
    {
      in: "open",
      when: "handed out before",
      send: publish([{ ...first, used: true }]),
      emits: [accepted([], 0, [{ index: 0, reason: "USED", message: "this package was handed out before" }])],
    },
    {
      in: "open",
      when: "with a known key",
      send: publish([{ ...first, keysKnown: true }]),
      emits: [{ type: "reply", value: { accepted: [], rejected: [{ index: 0, reason: "INIT_KEY" }] } }],
    },
    {
      in: "open",
      when: "two with one key",
      send: publish([first, { ...second, index: 1, keyHashes: first.keyHashes }]),
      emits: [
        ...stored("once", first),
        { type: "reply", value: { rejected: [{ index: 1, reason: "INIT_KEY" }] } },
        expiryTimer,
      ],
    },
    {
      in: "open",
      when: "a full queue",
      first: [publish([first], { queueMax: 1 })],
      send: publish([second], { generation: 1, queueMax: 1 }),
      emits: [{ type: "reply", value: { accepted: [], rejected: [{ index: 0, reason: "POOL_FULL" }] } }],
    },
    {
      in: "open",
      when: "the last resort of a full queue",
      first: [publish([first], { queueMax: 1 })],
      send: publish([last], { generation: 1, queueMax: 1 }),
      emits: [...stored("last", last), accepted([last], 1)],
    },
    {
      in: "open",
      when: "another last resort",
      first: [publish([last])],
      send: publish([{ ...first, index: -1 }], { generation: 1 }),
      emits: [...dropped("last", last), ...stored("last", first), accepted([first], 0)],
    },
    {
      in: "open",
      when: "reset",
      first: [publish([first, last])],
      send: publish([second], { generation: 1, reset: true }),
      emits: [
        ...dropped("once", first),
        ...dropped("last", last),
        ...stored("once", second),
        accepted([second], 1),
        { type: "setTimer" },
      ],
    },
    {
      in: "open",
      when: "reset with a package that was there",
      first: [publish([first])],
      send: publish([{ ...first, keysKnown: true, cameBefore: true }], { generation: 1, reset: true }),
      emits: [...dropped("once", first), ...stored("once", first), accepted([first], 1)],
    },
    {
      in: "open",
      when: "reset of another label",
      first: [publish([first])],
      send: publish([], { generation: 1, reset: true, labelHex: "61" }),
      emits: [{ type: "reply", value: { accepted: [], available: [] } }],
    },
    {
      in: "open",
      when: "under a newer identity",
      first: [publish([first])],
      send: publish([second], { generation: 1, identityVersion: 2 }),
      emits: [...dropped("once", first), ...stored("once", second), accepted([second], 1), { type: "setTimer" }],
      context: { identityVersion: 2 },
    },
    {
      in: "open",
      when: "judged at another generation",
      send: publish([first], { generation: 4 }),
      refused: "STATE_MOVED",
    },
    {
      in: "open",
      when: "under an older identity",
      first: [{ type: "changeIdentity", identityVersion: 3 }],
      send: publish([first], { generation: 1, identityVersion: 2 }),
      refused: "STATE_MOVED",
    },

    {
      in: "open",
      when: "the soonest to expire first",
      first: [publish([second, first, last])],
      send: claim(),
      emits: [
        { type: "takePart", name: nameOf("once", first), keep: false },
        handed(first, false),
        { type: "putPart", name: `rate/requester/${String(NOW)}/1` },
        { type: "putMark", name: usedMark(first.refHex), expiresAt: first.notAfter },
      ],
      context: { generation: 1 },
    },
    {
      in: "open",
      when: "the second by one requester",
      first: [filled, claim()],
      send: claim(),
      emits: [
        { type: "takePart", name: nameOf("once", second) },
        handed(second, false),
        { type: "deletePart", name: `rate/requester/${String(NOW)}/1` },
        { type: "putPart", name: `rate/requester/${String(NOW)}/2` },
        { type: "putMark", name: usedMark(second.refHex) },
        event("keyPool.low", { ciphersuite: 1, label: "", available: 0, target: 100 }),
      ],
    },
    {
      in: "open",
      when: "the last resort",
      first: [publish([last])],
      send: claim(),
      emits: [
        { type: "takePart", name: nameOf("last", last), keep: true },
        handed(last, true),
        { type: "putPart" },
        { type: "putMark", name: usedMark(last.refHex), expiresAt: last.notAfter },
        { type: "putPart", name: handedOutPart(last.refHex) },
        event("keyPool.lastResortUsed", { ciphersuite: 1, label: "" }),
      ],
    },
    {
      in: "open",
      when: "no last resort wanted",
      first: [publish([last])],
      send: claim({ allowLastResort: false }),
      refused: "POOL_EMPTY",
    },
    {
      in: "open",
      when: "a one-time package of a later suite before a last resort",
      first: [publish([last, { ...first, ciphersuite: 2 }])],
      send: claim({ ciphersuites: [1, 2] }),
      emits: [
        { type: "takePart", name: nameOf("once", { ...first, ciphersuite: 2 }) },
        { type: "reply" },
        { type: "putPart" },
        { type: "putMark" },
        { type: "tell" },
      ],
    },
    {
      in: "open",
      when: "low water",
      first: [filled],
      send: claim({ low: 1 }),
      emits: [
        { type: "takePart" },
        { type: "reply" },
        { type: "putPart" },
        { type: "putMark" },
        event("keyPool.low", { ciphersuite: 1, label: "", available: 1, target: 100 }),
      ],
    },
    { in: "open", when: "empty", send: claim(), refused: "POOL_EMPTY" },
    {
      in: "open",
      when: "other suites only",
      first: [filled],
      send: claim({ ciphersuites: [2] }),
      refused: "NO_CIPHERSUITE",
    },
    { in: "open", when: "another label", first: [filled], send: claim({ labelHex: "61" }), refused: "POOL_EMPTY" },
    {
      in: "open",
      when: "over the rate",
      first: [filled, claim({ claimsPerHour: 1 })],
      send: claim({ claimsPerHour: 1 }),
      refused: "RATE_LIMITED",
    },
    {
      in: "open",
      when: "a newer identity than the pool's",
      first: [filled],
      send: claim({ identityVersion: 2 }),
      refused: "POOL_EMPTY",
    },
    {
      in: "open",
      when: "within a minute of the expiry",
      first: [publish([offered(1, NOW + EXPIRY_MARGIN_MS)])],
      send: claim(),
      refused: "POOL_EMPTY",
    },
    {
      in: "open",
      send: remove([first.refHex, "00"]),
      first: [filled],
      emits: [...dropped("once", first), { type: "reply", value: { removed: 1 } }],
    },
    {
      in: "open",
      when: "all",
      first: [filled],
      send: remove("all"),
      emits: [
        ...dropped("once", first),
        ...dropped("once", second),
        ...dropped("last", last),
        event("keyPool.low", { ciphersuite: 1, label: "", available: 0, target: 100 }),
        { type: "reply", value: { removed: 3 } },
      ],
      context: { generation: 2 },
    },
    {
      in: "open",
      when: "down to the mark",
      first: [filled],
      send: remove([first.refHex], { low: 1 }),
      emits: [
        ...dropped("once", first),
        event("keyPool.low", { ciphersuite: 1, label: "", available: 1, target: 100 }),
        { type: "reply", value: { removed: 1 } },
      ],
    },
    {
      in: "open",
      when: "below the mark, where it was before",
      first: [filled],
      send: remove([first.refHex], { low: 2 }),
      emits: [...dropped("once", first), { type: "reply", value: { removed: 1 } }],
    },
    {
      in: "open",
      when: "the last resort alone",
      first: [publish([last], { low: 5 })],
      send: remove("all", { low: 5 }),
      emits: [...dropped("last", last), { type: "reply", value: { removed: 1 } }],
    },
    {
      in: "open",
      send: { type: "changeIdentity", identityVersion: 2 } as { type: string },
      first: [publish([first, last])],
      emits: [
        ...dropped("once", first),
        ...dropped("last", last),
        event("keyPool.low", { ciphersuite: 1, label: "", available: 0, target: 100 }),
      ],
      context: { identityVersion: 2, generation: 2 },
    },
    {
      in: "open",
      when: "one it knows",
      first: [filled],
      send: { type: "changeIdentity", identityVersion: 1 } as { type: string },
    },
    { in: "open", send: { type: "close" }, to: "closed", emits: [{ type: "purge" }] },
    { in: "open", when: "nothing expired", first: [publish([first])], send: timer, emits: [expiryTimer] },
    {
      in: "open",
      when: "one expired",
      first: [publish([offered(1, NOW + EXPIRY_MARGIN_MS), second])],
      send: timer,
      emits: [
        ...dropped("once", offered(1, NOW + EXPIRY_MARGIN_MS)),
        event("keyPool.expired", { keyPackageRefs: [refOf(first)] }),
        { type: "setTimer", at: second.notAfter - EXPIRY_MARGIN_MS },
      ],
    },
    {
      in: "open",
      when: "one of each of two queues expired, past the mark of one",
      first: [
        publish([offered(1, NOW + EXPIRY_MARGIN_MS), second, offered(3, later), offered(4, NOW, { ciphersuite: 2 })], {
          low: 2,
          target: 7,
        }),
      ],
      send: timer,
      emits: [
        ...dropped("once", offered(1, NOW + EXPIRY_MARGIN_MS)),
        ...dropped("once", offered(4, NOW, { ciphersuite: 2 })),
        { type: "tell" },
        event("keyPool.low", { ciphersuite: 1, label: "", available: 2, target: 7 }),
        event("keyPool.low", { ciphersuite: 2, label: "", available: 0, target: 7 }),
        { type: "setTimer" },
      ],
    },
    { in: "open", when: "another timer", first: [filled], send: { type: "timer", name: "x" } as { type: string } },

    { in: "closed", send: publish([first]), refused: "CLIENT_NOT_FOUND" },
    { in: "closed", send: claim(), refused: "CLIENT_NOT_FOUND" },
    { in: "closed", send: remove("all"), refused: "CLIENT_NOT_FOUND" },
    {
      in: "closed",
      send: { type: "changeIdentity", identityVersion: 9 } as { type: string },
      refused: "CLIENT_NOT_FOUND",
    },
    { in: "closed", send: { type: "close" } },
    { in: "closed", send: timer },
  ],
});

it("[G2] a closed pool forgets every name, an open one hands each out once", () => {
  const bench = new Bench(entry, pool);
  bench.send(publish([first, second]));
  const names = [bench.send(claim()), bench.send(claim())].flatMap(({ takes }) => takes);
  expect(new Set(names).size).toBe(2);
  expect(bench.send(claim()).refusal?.reason).toBe("POOL_EMPTY");
  bench.send({ type: "close" });
  expect(bench.directory.list("")).toEqual([]);
});

it("the rate is counted for an hour, and requesters are remembered up to a limit", () => {
  const bench = new Bench(entry, pool);
  bench.send(publish(Array.from({ length: 5 }, (_, n) => offered(n, NOW + 10 * HOUR_MS, { index: n }))));
  const limited = claim({ claimsPerHour: 2, requester: "r" });
  expect([1, 2, 3].map(() => bench.send(limited).refusal?.reason)).toEqual([undefined, undefined, "RATE_LIMITED"]);
  bench.now += HOUR_MS;
  expect(bench.send(limited).refusal).toBeUndefined();
  expect(bench.directory.list("rate/")).toEqual([`rate/r/${String(bench.now)}/1`]);
});

it("[L6] a pool holds so many packages and requesters and no more", () => {
  const bench = new Bench(entry, pool);
  let generation = 0;
  for (let label = 0; label < 40; label += 1) {
    const packages = Array.from({ length: 300 }, (_, n) => offered(label * 300 + n, later, { index: n }));
    const labelHex = Buffer.from(`label ${String(label)}`).toString("hex");
    bench.send(publish(packages, { labelHex, generation, queueMax: 100_000 }));
    generation += 1;
  }
  expect(bench.directory.count("once/")).toBe(10_000);
  const { operations } = bench.send({ type: "changeIdentity", identityVersion: 2 });
  expect(operations.length).toBeLessThanOrEqual(65_536);
  bench.send(publish([last], { generation: generation + 1, identityVersion: 2 }));
  for (let n = 0; n < 1100; n += 1) bench.send(claim({ requester: String(n).padStart(5, "0"), identityVersion: 2 }));
  expect(bench.directory.count("rate/")).toBe(1024);
});
