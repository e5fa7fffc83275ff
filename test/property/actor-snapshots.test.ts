// What is stored of an actor is all of it: in whatever state it is, the machine that comes back from the bytes
// says and does the same as the one that never left memory (L1, F23).
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { ActorKind } from "../../src/actors/actor-port.ts";
import { LiveActor, SnapshotTooNew } from "../../src/actors/live-actor.ts";
import { machineCatalogue } from "../../src/actors/machine-catalogue.ts";
import { encodeRosterClients, encodeRosterPage } from "../../src/actors/roster.ts";
import { decodeEnvelope, encodeEnvelope } from "../../src/actors/snapshot.ts";
import { encode } from "../../src/protocol/codec.ts";
import {
  claim,
  createGroup,
  HOUR_MS,
  identityFacts,
  keyRecord,
  offered,
  publish,
  remove,
  RETENTION,
  SETTINGS,
  submitCommit,
} from "../support/actor-commands.ts";
import { address } from "../support/actor-world.ts";
import { Bench, NOW } from "../support/machine-bench.ts";
import { seedOf } from "../support/seed.ts";

interface Draw {
  /** Which command. */
  readonly which: number;
  /** What its parameters are made of. */
  readonly n: number;
  /** Time that passes before it. */
  readonly ms: number;
  /** The actor leaves memory after it and comes back. */
  readonly restart: boolean;
}

type Made = (n: number, bench: Bench) => object;

const bytes = (n: number) => new Uint8Array(n % 40).fill(n);
const epochOf = (bench: Bench): string => String(bench.context["epoch"]);
const reservationsOf = ({ context }: Bench): number =>
  (context["reservations"] as { readonly made: number } | undefined)?.made ?? 0;
const retention = { ms: 10 * HOUR_MS, events: 12 };
const governed = {
  ...SETTINGS,
  groupRetention: { ms: 5 * HOUR_MS, events: 20, bytes: 2000 },
  inboxRetention: retention,
};
const tree = (n: number) => ({ encoded: bytes(n), treeHash: "aGFzaA==", bytes: n % 40, members: 1 + (n % 5) });
const snapshot = (n: number) => ({ ...tree(n), groupContext: bytes(3), confirmationTag: bytes(4) });
const full = (n: number) => ({
  entered: [{ leaf: n % 7, clientId: `c${String(n % 5)}` }],
  left: [n % 3],
  memberCount: n % 9,
  treeBytes: n,
  ...(n % 4 === 0 ? { snapshot: snapshot(n) } : {}),
});

const commands: Readonly<Record<ActorKind, readonly Made[]>> = {
  registry: [
    (n) => ({
      type: "register",
      applicationId: `a${String(n)}`,
      name: "n",
      settings: SETTINGS,
      key: keyRecord(),
      senders: [],
      token: "t",
    }),
    (n) => ({ type: "unregister", applicationId: `a${String(n)}` }),
  ],
  application: [
    () => ({ type: "create", name: "app", settings: SETTINGS, key: keyRecord(), senders: [] }),
    (n) => ({ type: "update", settings: { keyPoolLow: n, quotas: { ...SETTINGS.quotas, groups: null } }, senders: [] }),
    (n) => ({ type: "createKey", key: { ...keyRecord(`k${String(n % 4)}`), expiresAt: NOW + n }, token: "t" }),
    (n) => ({ type: "revokeKey", keyId: `k${String(n % 4)}`, record: keyRecord(`k${String(n % 4)}`) }),
    (n) => ({ type: "noteUse", keyId: `k${String(n % 4)}` }),
    (n) => (n % 5 === 0 ? { type: "delete" } : { type: "timer", name: "purge" }),
  ],
  handle: [
    (n) => ({ type: "reserve", clientId: `c${String(n % 3)}`, reservation: `r${String(n % 4)}`, key: "k" }),
    (n) => ({ type: "hold", clientId: `c${String(n % 3)}`, reservation: `r${String(n % 4)}` }),
    (n) => ({ type: "release", clientId: `c${String(n % 3)}`, reservation: `r${String(n % 4)}` }),
    (n) => ({
      type: "reservationSettled",
      reservation: `r${String(n % 4)}`,
      held: n % 2 === 0,
      under: `r${String(n % 3)}`,
    }),
    () => ({ type: "timer", name: "settle" }),
  ],
  identity: [
    (n) => ({ type: "create", reservation: "r0", identity: identityFacts("ann"), tags: [`t${String(n % 3)}`, "é"] }),
    (n) => ({ type: "update", tags: { add: [`t${String(n % 70)}`] }, retention }),
    (n, { context }) => ({
      type: "update",
      identity: { ...identityFacts(`h${String(n % 4)}`), account: "acc", domain: "d", notAfter: NOW + n },
      reservation: `r${String(n % 5)}`,
      judgedVersion: context["version"],
      retention,
    }),
    (n) => ({ type: "settleReservation", reservation: `r${String(n % 5)}`, handleId: "x" }),
    (n) => ({ type: "deliver", event: { type: "welcome", body: { n, bytes: bytes(n) } }, retention }),
    (n) => ({
      type: "deliver",
      membership: { groupActorId: `g${String(n % 4)}`, groupId: bytes(2), member: n % 3 > 0 },
      retention: RETENTION,
    }),
    (n) => ({ type: "acknowledge", offset: n % 20 }),
    (n) => (n % 12 === 0 ? { type: "delete" } : { type: "acknowledge", offset: 0 }),
  ],
  keyPool: [
    (n, { context }) =>
      publish(
        [
          offered(n, NOW + n * 60_000),
          offered(n + 1, NOW + HOUR_MS + n, { index: n % 3 === 0 ? -1 : 1, ciphersuite: 2 }),
        ],
        {
          generation: context["generation"] as number,
          identityVersion: Math.max(context["identityVersion"] as number, 1),
          labelHex: n % 4 === 0 ? "61" : "",
          reset: n % 9 === 0,
        },
      ),
    (n, { context }) =>
      claim({
        ciphersuites: [2, 1],
        requester: `q${String(n % 3)}`,
        identityVersion: context["identityVersion"] as number,
        low: 1,
        claimsPerHour: 5,
      }),
    (n) => remove(n % 5 === 0 ? "all" : [offered(n, NOW).refHex], { low: 1, inboxRetention: retention }),
    (n) => ({ type: "changeIdentity", identityVersion: n % 6 }),
    (n) => (n % 15 === 0 ? { type: "close" } : { type: "timer", name: "expiry" }),
  ],
  group: [
    (n) => ({ type: "reserve", predecessor: String(n % 3) }),
    (n, bench) =>
      createGroup({
        reservations: reservationsOf(bench),
        epoch: String(n),
        members: [encodeRosterPage(["c0", "c1"])],
        governed,
        ...(n % 2 === 0 ? { tree: tree(n) } : {}),
      }),
    (n, bench) =>
      createGroup({
        reservations: reservationsOf(bench),
        tracking: "full",
        epoch: "18014398509481984",
        governed,
        members: [encodeRosterPage(["c0"])],
        full: { snapshot: snapshot(n), leaves: 1, clients: [encodeRosterClients({ c0: 0 })] },
      }),
    (n, bench) =>
      submitCommit(epochOf(bench), {
        governed,
        message: bytes(n),
        digest: "d",
        removed: n % 4 === 0 ? ["c1"] : [],
        added: n % 3 === 0 ? [{ clientId: `c${String(n % 5)}`, keyPackageRef: bytes(9), welcome: bytes(n) }] : [],
        ...(bench.context["tracking"] === "full" ? { full: full(n) } : { tree: tree(n) }),
      }),
    (n, bench) => ({
      type: "submitProposal",
      epoch: epochOf(bench),
      message: bytes(n),
      sender: { type: "member", leaf: n },
      governed,
    }),
    (n, bench) => ({ type: "sendMessage", epoch: epochOf(bench), message: bytes(n), governed }),
    (n, bench) => ({ type: "putGroupInfo", epoch: epochOf(bench), groupInfo: bytes(n) }),
    (n) => ({ type: "removeClient", clientId: `c${String(n % 5)}` }),
    (n, bench) => ({ type: "forgetRemovals", epoch: epochOf(bench), clients: [`c${String(n % 5)}`] }),
    (n) => ({ type: "update", settings: { pastEpochs: n % 3, groupRetention: governed.groupRetention }, governed }),
    () => ({ type: "timer", name: "trees" }),
    (n) => (n % 20 === 0 ? { type: "delete", governed } : { type: "timer", name: "trees" }),
  ],
};

const draw: fc.Arbitrary<Draw> = fc.record({
  which: fc.nat(100),
  n: fc.nat(100),
  ms: fc.oneof(fc.nat(1000), fc.nat(2 * HOUR_MS)),
  restart: fc.integer({ min: 0, max: 4 }).map((n) => n === 0),
});

for (const kind of Object.keys(commands) as ActorKind[]) {
  describe(kind, () => {
    it("[F24] comes back from its bytes and goes on as if it had never left", () => {
      const seed = seedOf(`snapshots of ${kind}`);
      const states = new Set<string>();
      fc.assert(
        fc.property(fc.array(draw, { minLength: 1, maxLength: 40 }), (draws) => {
          const staying = new Bench(machineCatalogue[kind], address(kind, "1"));
          let leaving = staying.copy();
          for (const { which, n, ms, restart } of draws) {
            const make = commands[kind][which % commands[kind].length] as Made;
            staying.now += ms;
            leaving.now = staying.now;
            const command = make(n, staying);
            const [stayed, left] = [staying.send(command), leaving.send(command)];
            expect(encode(left)).toEqual(encode(stayed));
            expect(leaving.stored()).toEqual(staying.stored());
            states.add(staying.state);
            if (restart) leaving = leaving.copy();
          }
        }),
        { numRuns: Number(process.env["AEGIS_PROPERTY_RUNS"] ?? 60), seed },
      );
      // Whatever the seed, the common states are met; a machine with one of its own is met in it.
      expect(states.size).toBeGreaterThan(Object.keys(machineCatalogue[kind].machine.states).length > 1 ? 1 : 0);
    });

    it("[F23] refuses a snapshot with a higher version, and takes one with its own or a lower", () => {
      const entry = machineCatalogue[kind];
      const bench = new Bench(entry, address(kind, "1"));
      const stored = (machineVersion: number) => ({
        snapshot: encodeEnvelope({
          machineVersion,
          state: bench.stored(),
          outboxNumber: 3,
          lineage: "l",
          resultsUntil: 7,
        }),
        names: [],
      });
      expect(() => new LiveActor(bench.key, entry).start(stored(entry.version + 1), "l")).toThrow(SnapshotTooNew);
      for (const version of [entry.version, 0]) {
        const live = new LiveActor(bench.key, entry);
        live.start(stored(version), "l");
        expect(live.outboxNumber).toBe(3);
        expect(decodeEnvelope(live.encodeSnapshot())).toMatchObject({
          machineVersion: entry.version,
          outboxNumber: 3,
          resultsUntil: 7,
        });
      }
    });
  });
}

it("[F23] bytes that are no envelope are refused, never guessed at", () => {
  const entry = machineCatalogue.handle;
  for (const junk of [
    new Uint8Array(),
    encode({}),
    encode({ v: 1, s: null, o: 0, l: "" }),
    encode({ v: 1, s: {}, o: 0, l: "", r: "" }),
    encode([1]),
    encode("x"),
  ]) {
    expect(() => new LiveActor("a/handle/1", entry).start({ snapshot: junk, names: [] }, "l")).toThrow();
  }
});
