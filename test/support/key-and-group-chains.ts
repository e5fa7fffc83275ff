// The chains of key pools and groups, for tests that kill the server between their steps.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import type { AegisClient } from "../../src/client/client.ts";
import { judge, type Chain } from "./crash-point.ts";
import { inboxTypes, member, reasonOf } from "./identity-chains.ts";

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

async function pooled(client: AegisClient, clientId: string): Promise<string[]> {
  return (await client.keyPool.list({ clientId })).keyPackages.map(({ keyPackageRef }) => hex(keyPackageRef)).sort();
}

const publish: Chain = {
  name: "keyPool.publish",
  writes: 1,
  async setUp(world) {
    const { clientId, mls } = await member(world.client, 0);
    const made = await Promise.all([
      mls.createKeyPackage(),
      mls.createKeyPackage(),
      mls.createKeyPackage({ lastResort: true }),
    ]);
    const [a, b, lastResort] = made.map(({ message }) => message) as [Uint8Array, Uint8Array, Uint8Array];
    const refs = made.map(({ ref }) => hex(ref)).sort();
    return {
      act: (key) => world.client.keyPool.publish({ clientId, keyPackages: [a, b], lastResort }, { key }),
      seen: async () => judge({ pool: [await pooled(world.client, clientId), [], refs] }),
      async check(answer) {
        const { accepted, rejected } = answer as { accepted: Uint8Array[]; rejected: object[] };
        assert.deepEqual(accepted.map(hex).sort(), refs);
        assert.deepEqual(rejected, []);
      },
    };
  },
};

export const claimToLow: Chain = {
  name: "keyPool.claim down to keyPoolLow",
  async setUp(world) {
    const { clientId, made } = await member(world.client, 3);
    const refs = made.map(({ ref }) => hex(ref)).sort();
    return {
      act: (key) => world.client.keyPool.claim({ targets: [{ clientId }] }, { key }),
      async seen() {
        return judge({
          left: [(await pooled(world.client, clientId)).length, 3, 2],
          inbox: [await inboxTypes(world.client, clientId), [], ["keyPool.low"]],
        });
      },
      async check(answer) {
        const { claimed, failed } = answer as { claimed: { keyPackageRef: Uint8Array }[]; failed: object[] };
        assert.deepEqual(failed, []);
        const [taken] = claimed.map(({ keyPackageRef }) => hex(keyPackageRef));
        assert.deepEqual(
          [...(await pooled(world.client, clientId)), taken].sort(),
          refs,
          "[G2] what left is what was given",
        );
      },
    };
  },
};

const claimLastResort: Chain = {
  name: "keyPool.claim of the last resort",
  async setUp(world) {
    const { clientId } = await member(world.client, 0, [], true);
    return {
      act: (key) => world.client.keyPool.claim({ targets: [{ clientId }] }, { key }),
      async seen() {
        const types = await inboxTypes(world.client, clientId);
        return judge({ inbox: [types, [], ["keyPool.lastResortUsed"]] });
      },
      async check(answer) {
        const { claimed } = answer as { claimed: { lastResort: boolean }[] };
        assert.deepEqual(
          claimed.map(({ lastResort }) => lastResort),
          [true],
        );
        assert.equal((await pooled(world.client, clientId)).length, 1);
      },
    };
  },
};

/** A group of one member, with two registered clients whose packages it may add. */
async function groupOf(client: AegisClient) {
  const [alice, bob, carol] = await Promise.all([member(client, 0), member(client, 1), member(client, 1)]);
  const groupId = Buffer.from(randomUUID());
  const group = await alice.mls.createGroup(groupId);
  const create = {
    groupInfo: await group.groupInfo(),
    ratchetTree: group.ratchetTree(),
    tracking: "ordering" as const,
    as: alice.clientId,
  };
  return { alice, added: [bob, carol], groupId, group, create };
}

async function groupsOf(client: AegisClient, clientId: string): Promise<string[]> {
  return (await client.group.list({ clientId })).groups.map((each) => hex(each.groupId));
}

const groupCreate: Chain = {
  name: "group.create",
  async setUp(world) {
    const { alice, groupId, create } = await groupOf(world.client);
    return {
      act: (key) => world.client.group.create(create, { key }),
      async seen() {
        return judge({
          group: [await reasonOf(world.client.group.get({ groupId })), "GROUP_NOT_FOUND", "ok"],
          member: [await groupsOf(world.client, alice.clientId), [], [hex(groupId)]],
        });
      },
      async check() {
        assert.equal(await reasonOf(world.client.group.create(create)), "GROUP_EXISTS");
        const { members } = await world.client.group.members({ groupId });
        assert.deepEqual(
          members.map(({ clientId }) => clientId),
          [alice.clientId],
        );
      },
    };
  },
};

/** Its members are told by pages, each client of a page applies that once. */
const followedGroupCreate: Chain = {
  name: "group.create of three clients in full tracking",
  async setUp(world) {
    const { alice, added, groupId, group } = await groupOf(world.client);
    const { groupInfo, ratchetTree } = await group.commit({
      add: added.map(({ made }) => made[0]?.message as Uint8Array),
    });
    const create = { groupInfo, ratchetTree, tracking: "full" as const, as: alice.clientId };
    const clients = [alice, ...added].map(({ clientId }) => clientId);
    return {
      act: (key) => world.client.group.create(create, { key }),
      async seen() {
        const memberships = await Promise.all(clients.map((clientId) => groupsOf(world.client, clientId)));
        return judge({
          group: [await reasonOf(world.client.group.get({ groupId })), "GROUP_NOT_FOUND", "ok"],
          memberships: [memberships, [[], [], []], [[hex(groupId)], [hex(groupId)], [hex(groupId)]]],
        });
      },
      async check() {
        assert.equal(await reasonOf(world.client.group.create(create)), "GROUP_EXISTS");
        const { members } = await world.client.group.members({ groupId });
        assert.deepEqual(
          members.map(({ leaf, clientId }) => [leaf, clientId]),
          clients.map((clientId, leaf) => [leaf, clientId]),
        );
      },
    };
  },
};

const groupCommit: Chain = {
  name: "group.commit with Welcomes",
  async setUp(world) {
    const { alice, added, groupId, group, create } = await groupOf(world.client);
    await world.client.group.create(create);
    const pending = await group.commit({ add: added.map(({ made }) => made[0]?.message as Uint8Array) });
    const params = {
      groupId,
      commit: pending.commit,
      welcomes: [pending.welcome as Uint8Array],
      groupInfo: pending.groupInfo,
      ratchetTree: pending.ratchetTree,
      as: alice.clientId,
      added: added.map(({ clientId, made }) => ({ clientId, keyPackageRef: made[0]?.ref as Uint8Array })),
    };
    const settled = async (): Promise<boolean> => (await groupsOf(world.client, alice.clientId)).length === 1;
    while (!(await settled()));
    return {
      act: (key) => world.client.group.commit(params, { key }),
      async seen() {
        const { epoch, members } = await world.client.group.get({ groupId });
        const log = await world.client.stream.read({ kind: "group", id: groupId, after: "start" });
        const inboxes = await Promise.all(added.map(({ clientId }) => inboxTypes(world.client, clientId)));
        const memberships = await Promise.all(added.map(({ clientId }) => groupsOf(world.client, clientId)));
        return judge({
          epoch: [Number(epoch), 0, 1],
          members: [members, 1, 3],
          log: [log.events.map(([, , type]) => type), [], ["commit"]],
          inboxes: [inboxes, [[], []], [["welcome"], ["welcome"]]],
          memberships: [memberships, [[], []], [[hex(groupId)], [hex(groupId)]]],
        });
      },
      async check(answer) {
        assert.deepEqual(
          await world.client.group.commit(params),
          answer,
          "the same bytes again answer as the first time",
        );
        for (const { clientId, mls } of added) {
          const { events } = await world.client.stream.read({ kind: "client", id: clientId, after: "start" });
          const body = events[0]?.[3] as { welcome: Uint8Array; after: unknown };
          assert.deepEqual(body.after, (answer as { position: unknown }).position);
          const { ratchetTree } = await world.client.group.tree({ groupId });
          assert.equal((await mls.joinFromWelcome(body.welcome, ratchetTree)).epoch, 1n);
        }
      },
    };
  },
};

const groupDelete: Chain = {
  name: "group.delete",
  async setUp(world) {
    const { alice, groupId, create } = await groupOf(world.tight);
    // The application may have one group: this create waits until the last one is forgotten.
    while ((await reasonOf(world.tight.group.create(create))) === "QUOTA");
    const listed = async (): Promise<string[]> => groupsOf(world.tight, alice.clientId);
    while ((await listed()).length === 0);
    return {
      act: (key) => world.tight.group.delete({ groupId }, { key }),
      async seen() {
        return judge({
          group: [(await world.tight.group.get({ groupId })).state, "active", "closed"],
          member: [await listed(), [hex(groupId)], []],
        });
      },
      async check() {
        assert.equal(await reasonOf(world.tight.group.create(create)), "GROUP_EXISTS", "an id is never used again");
      },
    };
  },
};

export const keyAndGroupChains: readonly Chain[] = [
  publish,
  claimToLow,
  claimLastResort,
  groupCreate,
  followedGroupCreate,
  groupCommit,
  groupDelete,
];
