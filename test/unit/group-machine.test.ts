import { expect, it } from "vitest";
import type { GroupCommand } from "../../src/actors/group-machine.ts";
import { epochMark } from "../../src/actors/group-state.ts";
import { TREE_SLICE_BYTES } from "../../src/actors/group-trees.ts";
import { machineCatalogue } from "../../src/actors/machine-catalogue.ts";
import { encodeRosterClients, encodeRosterPage } from "../../src/actors/roster.ts";
import { createGroup, SETTINGS as GOVERNED, submitCommit } from "../support/actor-commands.ts";
import { address } from "../support/actor-world.ts";
import { Bench, describeMachine, LINEAGE, NOW } from "../support/machine-bench.ts";

type State = "absent" | "active" | "reinit" | "closed";

const entry = machineCatalogue.group;
const group = address("group", "67726f7570");
const bytes = (length: number) => new Uint8Array(length).fill(1);
const tree = (length: number, members = 2) => ({
  encoded: bytes(length),
  treeHash: "aGFzaA==",
  bytes: length,
  members,
});
const propose = (epoch: string | number = 0) => ({
  type: "submitProposal",
  epoch: String(epoch),
  message: bytes(3),
  proposalRef: bytes(4),
  governed: GOVERNED,
});
const send = (epoch: string | number = 0, more: object = {}) => ({
  type: "sendMessage",
  epoch: String(epoch),
  message: bytes(3),
  governed: GOVERNED,
  ...more,
});
const putGroupInfo = (epoch: string | number = 0) => ({
  type: "putGroupInfo",
  epoch: String(epoch),
  groupInfo: bytes(5),
});
const update = { type: "update", settings: { pastEpochs: 0 }, governed: GOVERNED };
const remove = { type: "delete", governed: GOVERNED };
const reserve = { type: "reserve", predecessor: "cA==" };
const removeClient = { type: "removeClient", clientId: "c9" };
const forget = (epoch = 0) => ({ type: "forgetRemovals", epoch: String(epoch), clients: ["c8", "c9"] });
const timer = { type: "timer", name: "trees" };
const snapshot = { ...tree(10), groupContext: bytes(1), confirmationTag: bytes(1) };
const page = encodeRosterPage(["c0"]);
const followed = createGroup({
  tracking: "full",
  members: [encodeRosterPage(["c0", false])],
  full: { snapshot, leaves: 2, clients: [encodeRosterClients({ c0: 0 })] },
});
const follows = (more: object = {}) => ({ full: { entered: [], left: [], memberCount: 2, treeBytes: 10, ...more } });
const reinit = { groupId: bytes(2), version: 1, ciphersuite: 2 };
const ends = submitCommit(0, follows({ reinit }));

const logged = (offset: number, event: string, body: object = {}) => ({ type: "append", offset, event, body });
const began = (epoch: number, offset: number) => ({ type: "reply", value: { epoch: BigInt(epoch), offset } });
const toClient = (id: string, command: object) => ({ type: "tell", to: { kind: "identity", id }, command });
const memberOf = { groupActorId: group.id, groupId: Buffer.from("group") };

describeMachine<State, GroupCommand["type"]>({
  name: "group",
  entry,
  address: group,
  commands: {
    create: true,
    reserve: true,
    submitCommit: true,
    submitProposal: true,
    sendMessage: true,
    removeClient: true,
    forgetRemovals: true,
    putGroupInfo: true,
    update: true,
    delete: true,
    timer: true,
  },
  reach: { absent: [], active: [createGroup()], reinit: [followed, ends], closed: [createGroup(), remove] },
  cases: [
    {
      in: "absent",
      send: createGroup({ members: [page], tree: tree(TREE_SLICE_BYTES + 1), epoch: "7", settings: { pastEpochs: 3 } }),
      to: "active",
      emits: [
        { type: "putPart", name: "member/c0" },
        { type: "putPart", name: "groupInfo" },
        { type: "tellClients", page, command: { type: "deliver", membership: { ...memberOf, member: true } } },
        { type: "indexTags", version: 1, tags: ["i:groups"], removed: [] },
        { type: "putPart", name: "tree/00000000000000000007/000000" },
        { type: "putPart", name: "tree/00000000000000000007/000001" },
        began(7, 0),
      ],
      context: { epoch: "7", members: 1, settings: { pastEpochs: 3 }, treeBytes: TREE_SLICE_BYTES + 1 },
    },
    {
      in: "absent",
      when: "followed",
      send: followed,
      to: "active",
      emits: [
        { type: "putPart", name: "roster/00000000" },
        { type: "putPart", name: "clients/00000000" },
        { type: "putPart", name: "groupInfo" },
        { type: "tellClients", command: { type: "deliver", membership: { ...memberOf, member: true } } },
        { type: "indexTags" },
        { type: "putPart", name: "tree/00000000000000000000/000000" },
        { type: "putPart", name: "state/00000000000000000000" },
        began(0, 0),
      ],
    },
    ...[submitCommit(0), propose(), send(), removeClient, forget(), putGroupInfo(), update, remove, timer].map(
      (command) => ({
        in: "absent" as const,
        send: command,
        refused: "GROUP_NOT_FOUND",
      }),
    ),

    {
      in: "absent",
      send: reserve,
      emits: [{ type: "reply", value: {} }],
      context: { reservations: { made: 1, by: [{ predecessor: "cA==" }] } },
    },
    ...(["active", "reinit", "closed"] as const).map((state) => ({
      in: state,
      send: reserve,
      refused: "GROUP_EXISTS",
    })),

    { in: "active", send: createGroup(), refused: "GROUP_EXISTS" },
    {
      in: "active",
      send: submitCommit(0, { digest: "d", committer: { type: "member" } }),
      emits: [
        logged(1, "commit", { epoch: 1n, added: [], removed: [], external: false }),
        { type: "putMark", name: epochMark("1"), expiresAt: NOW + GOVERNED.groupRetention.ms },
        { type: "putPart", name: "groupInfo" },
        began(1, 1),
      ],
      context: { epoch: "1", window: { last: 1 }, proposals: 0 },
    },
    {
      in: "active",
      when: "with one Welcome for two: what they have in common is written once, and stays for a while",
      send: submitCommit(0, {
        digest: "d",
        added: ["c1", "c2"].map((clientId, n) => ({ clientId, shared: { of: 0, secrets: bytes(n + 1) } })),
        sharedWelcomes: [{ of: 0, encryptedGroupInfo: bytes(30) }],
      }),
      emits: [
        logged(1, "commit", { epoch: 1n, added: ["c1", "c2"] }),
        { type: "putMark" },
        {
          type: "putMark",
          name: "welcome/d/0",
        },
        ...["c1", "c2"].flatMap((clientId, n) => [
          { type: "putPart", name: `member/${clientId}` },
          toClient(clientId, {
            event: { type: "welcome", body: { secrets: bytes(n + 1), sharedWelcome: "welcome/d/0" } },
          }),
        ]),
        { type: "putPart", name: "groupInfo" },
        began(1, 1),
      ],
    },
    {
      in: "active",
      when: "with who comes and who goes",
      first: [propose()],
      send: submitCommit(0, {
        removed: ["c0"],
        added: [{ clientId: "c1", keyPackageRef: bytes(4), welcome: bytes(9) }, { clientId: "c2" }],
        tree: tree(20, 5),
      }),
      emits: [
        logged(2, "commit", { epoch: 1n, added: ["c1", "c2"], removed: ["c0"] }),
        { type: "putMark" },
        { type: "deletePart", name: "proposal/000000" },
        { type: "deletePart", name: "member/c0" },
        toClient("c0", { membership: { ...memberOf, member: false }, event: { type: "removed", body: { epoch: 1n } } }),
        { type: "putPart", name: "member/c1" },
        toClient("c1", {
          membership: { ...memberOf, member: true },
          event: {
            type: "welcome",
            body: {
              epoch: 1n,
              keyPackageRef: bytes(4),
              welcome: bytes(9),
              after: { lineage: LINEAGE, offset: 2 },
              treeBytes: 20,
            },
          },
        }),
        { type: "putPart", name: "member/c2" },
        toClient("c2", { membership: { ...memberOf, member: true } }),
        { type: "putPart", name: "groupInfo" },
        { type: "putPart", name: "tree/00000000000000000001/000000" },
        began(1, 2),
      ],
      context: { epoch: "1", members: 5, proposals: 0, treeBytes: 20 },
    },
    {
      in: "active",
      when: "of the epoch before",
      first: [submitCommit(0)],
      send: submitCommit(0),
      refused: "EPOCH_CONFLICT",
    },
    { in: "active", when: "of an epoch ahead", send: submitCommit(1), refused: "EPOCH_CONFLICT" },
    { in: "active", when: "by a stranger", send: submitCommit(0, { external: true }), refused: "EXTERNAL_JOIN" },
    {
      in: "active",
      when: "by anybody where nobody joins by itself",
      send: submitCommit(0, { external: true, resync: true, governed: { ...GOVERNED, externalJoin: "none" } }),
      refused: "EXTERNAL_JOIN",
    },
    {
      in: "active",
      when: "a resync",
      send: submitCommit(0, { external: true, resync: true, added: [{ clientId: "c0" }] }),
      emits: [
        logged(1, "commit", { external: true }),
        { type: "putMark" },
        { type: "putPart" },
        { type: "tell" },
        { type: "putPart" },
        { type: "reply" },
      ],
      context: { members: 1 },
    },
    {
      in: "active",
      when: "without a GroupInfo",
      send: withoutGroupInfo(submitCommit(0)),
      refused: "GROUP_INFO_REQUIRED",
    },
    {
      in: "active",
      when: "without a GroupInfo where none is needed",
      send: withoutGroupInfo(submitCommit(0, { governed: { ...GOVERNED, externalJoin: "none" } })),
      emits: [logged(1, "commit"), { type: "putMark" }, { type: "deletePart", name: "groupInfo" }, { type: "reply" }],
    },
    {
      in: "active",
      when: "too many members",
      send: submitCommit(0, { added: [{ clientId: "c1" }], governed: { ...GOVERNED, groupMembersMax: 1 } }),
      refused: "MEMBERS_LIMIT",
    },
    {
      in: "active",
      when: "a ReInit",
      first: [],
      send: ends,
      to: "reinit",
      emits: [logged(1, "commit"), { type: "putMark" }, { type: "putPart" }, logged(2, "reinit", reinit), began(1, 1)],
      context: { window: { last: 2 }, successor: { groupId: "AQE=", version: 1, ciphersuite: 2 } },
    },
    {
      in: "active",
      send: propose(),
      emits: [
        logged(1, "proposal", { epoch: 0n, proposalRef: bytes(4) }),
        { type: "putPart", name: "proposal/000000" },
        { type: "reply", value: { offset: 1, proposalRef: bytes(4) } },
      ],
      context: { proposals: 1 },
    },
    { in: "active", when: "of another epoch", send: propose(1), refused: "EPOCH_CONFLICT" },
    {
      in: "active",
      when: "too many",
      first: Array.from({ length: 1024 }, () => propose()),
      send: propose(),
      refused: "PROPOSALS_LIMIT",
    },
    {
      in: "active",
      send: send(),
      emits: [logged(1, "application", { epoch: 0n }), { type: "reply", value: { offset: 1 } }],
    },
    {
      in: "active",
      when: "of the epoch before",
      first: [submitCommit(0)],
      send: send(0),
      emits: [logged(2, "application", { epoch: 0n }), { type: "reply" }],
    },
    {
      in: "active",
      when: "of two epochs before",
      first: [submitCommit(0), submitCommit(1)],
      send: send(0),
      refused: "EPOCH_STALE",
    },
    {
      in: "active",
      when: "narrowed to the present epoch",
      first: [update, submitCommit(0)],
      send: send(0),
      refused: "EPOCH_STALE",
    },
    { in: "active", when: "ahead", send: send(1), refused: "EPOCH_AHEAD" },
    { in: "active", when: "not followed", send: removeClient },
    { in: "active", when: "there are none", send: forget() },
    { in: "active", when: "of another epoch", send: forget(1), refused: "EPOCH_CONFLICT" },
    { in: "active", send: putGroupInfo(), emits: [{ type: "putPart", name: "groupInfo" }] },
    { in: "active", when: "of another epoch", send: putGroupInfo(1), refused: "EPOCH_CONFLICT" },
    {
      in: "active",
      send: update,
      emits: [
        logged(1, "settings", { settings: { pastEpochs: 0 } }),
        { type: "reply", value: { settings: { pastEpochs: 0 } } },
      ],
      context: { settings: { pastEpochs: 0 } },
    },
    {
      in: "active",
      send: remove,
      to: "closed",
      emits: [
        logged(1, "closed", { reason: "deleted" }),
        { type: "purge" },
        { type: "indexTags", version: 2, tags: [], removed: ["i:groups"] },
      ],
      context: { members: 0, window: { last: 1, segments: [] } },
    },
    { in: "active", send: timer },

    { in: "reinit", send: createGroup(), refused: "GROUP_EXISTS" },
    ...[submitCommit(1), propose(1), send(1), removeClient, forget(1), putGroupInfo(1), update].map((command) => ({
      in: "reinit" as const,
      send: command,
      refused: "GROUP_ENDED",
    })),
    {
      in: "reinit",
      send: remove,
      to: "closed",
      emits: [logged(3, "closed"), { type: "purge" }, { type: "indexTags" }],
    },
    { in: "reinit", send: timer },

    { in: "closed", send: createGroup(), refused: "GROUP_EXISTS" },
    ...[submitCommit(0), propose(), send(), removeClient, forget(), putGroupInfo(), update, remove].map((command) => ({
      in: "closed" as const,
      send: command,
      refused: "GROUP_NOT_FOUND",
    })),
    { in: "closed", send: timer },
  ],
});

it("[G1] the loser learns the epoch and the position where the group is now", () => {
  const bench = new Bench(entry, group);
  bench.send(createGroup());
  bench.send(submitCommit(0));
  expect(bench.send(submitCommit(0)).refusal?.details).toEqual({
    epoch: 1n,
    position: { lineage: LINEAGE, offset: 1 },
  });
});

it("epochs go beyond 2^53, and the last one has no next", () => {
  const bench = new Bench(entry, group);
  bench.send(createGroup({ epoch: "18446744073709551613" }));
  expect(bench.send(submitCommit("18446744073709551613")).reply).toMatchObject({ epoch: 18446744073709551614n });
  expect(bench.send(submitCommit("18446744073709551613")).refusal?.reason).toBe("EPOCH_CONFLICT");
  bench.send(submitCommit("18446744073709551614"));
  expect(bench.context["epoch"]).toBe("18446744073709551615");
  const last = bench.send(submitCommit("18446744073709551615"));
  expect(last.refusal?.reason).toBe("COMMIT_INVALID");
});

it("[M6] a deleted client's Remove is proposed, again after each commit that leaves it in, until it is gone", () => {
  const bench = new Bench(entry, group);
  bench.send(followed);
  const proposes = { type: "proposeRemovals" };
  bench.send(removeClient);
  expect(bench.emitted).toMatchObject([{ type: "putPart", name: "removal/c9" }, proposes]);
  bench.send(submitCommit(0, follows()));
  expect(bench.emitted.map(({ type }) => type)).toContain("proposeRemovals");
  bench.send(submitCommit(1, { ...follows(), removed: ["c9"] }));
  expect(bench.emitted).toContainEqual({ type: "deletePart", name: "removal/c9" });
  expect(bench.emitted.map(({ type }) => type)).not.toContain("proposeRemovals");
});

it("[S7] the log keeps what replaying a followed group needs, whatever retention says", () => {
  const governed = { ...GOVERNED, groupRetention: { ms: 1000, events: 2, bytes: 1000 } };
  const bench = new Bench(entry, group);
  bench.send({ ...followed, governed });
  for (let epoch = 0; epoch < 8; epoch += 1) {
    bench.now += 10_000;
    bench.send(submitCommit(epoch, { ...follows(), governed }));
    expect(bench.emitted.map(({ type }) => type)).not.toContain("trim");
  }
  bench.send(submitCommit(8, { ...follows({ snapshot }), governed }));
  bench.now += 10_000;
  bench.send(send(9, { governed }));
  expect(bench.emitted).toContainEqual({ type: "trim", before: 9 });
});

function withoutGroupInfo(command: ReturnType<typeof submitCommit>): ReturnType<typeof submitCommit> {
  const { groupInfo: _, ...rest } = command;
  return rest;
}
