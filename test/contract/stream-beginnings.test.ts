// Where a subscriber of an inbox begins while others write and acknowledge: between the looks at a stream that its
// answer is made of.
import { randomUUID } from "node:crypto";
import { afterEach, beforeEach, expect, it } from "vitest";
import { actorKey } from "../../src/actors/actor-address.ts";
import { GroupDirectory } from "../../src/services/group-directory.ts";
import { IdentityProviders } from "../../src/services/identity-provider-choice.ts";
import { groupActorId, type ServicePorts } from "../../src/services/service-ports.ts";
import { StreamService } from "../../src/services/stream-service.ts";
import type { Store } from "../../src/store/store.ts";
import { createGroup, identityFacts, RETENTION, submitCommit } from "../support/actor-commands.ts";
import { ActorWorld, address, APPLICATION, applied, call, type Node } from "../support/actor-world.ts";

let world: ActorWorld;
let node: Node;
const client = address("identity");

beforeEach(async () => {
  world = await ActorWorld.open();
  node = await world.node();
  const create = { type: "create", reservation: "r", identity: identityFacts("alice"), tags: [] };
  applied(await call(node.host, client, create));
});
afterEach(async () => {
  await world.close();
});

/** A change of identity, which the inbox tells. */
async function tell(version: number): Promise<void> {
  const identity = {
    ...identityFacts("alice"),
    credential: Buffer.from(`alice ${String(version)}`).toString("base64"),
  };
  applied(await call(node.host, client, { type: "update", identity, judgedVersion: version, retention: RETENTION }));
}

async function acknowledge(offset: number): Promise<void> {
  applied(await call(node.host, client, { type: "acknowledge", offset }));
}

/** The store, where something happens right after each look at a stream's head. */
function busyStore(happens: () => Promise<void>): Store {
  return new Proxy(world.store, {
    get(store, name) {
      if (name === "readStreamHead") {
        return async (...where: Parameters<Store["readStreamHead"]>) => {
          const head = await store.readStreamHead(...where);
          await happens();
          return head;
        };
      }
      const member: unknown = Reflect.get(store, name);
      return typeof member === "function" ? (member.bind(store) as unknown) : member;
    },
  });
}

function streamsOn(store: Store): StreamService {
  const identityProviders = new IdentityProviders();
  const { clock } = world;
  const turn = () => Promise.resolve();
  const ports: ServicePorts = { store, clock, actors: node.host, identityProviders, newId: randomUUID, turn };
  return new StreamService(ports, new GroupDirectory(ports));
}

it("[S3] an inbox whose newest event was acknowledged meanwhile begins after it: no history was lost", async () => {
  await tell(1);
  await acknowledge(1);
  const streams = streamsOn(
    busyStore(async () => {
      await tell(2);
      await acknowledge(2);
    }),
  );
  const { lineage } = await world.store.readStreamHead(world.shardOf(client), actorKey(client));
  const name = { kind: "client", id: client.id } as const;
  expect(await streams.resolve(APPLICATION, name, undefined)).toMatchObject({
    recovered: true,
    position: { lineage, offset: 2 },
    last: 2,
  });
});

it("[S3] a group whose epoch began meanwhile is followed from its commit: no history was lost", async () => {
  const groupId = Uint8Array.of(7);
  const group = address("group", groupActorId(groupId));
  applied(await call(node.host, group, createGroup({ groupId })));
  const streams = streamsOn(
    busyStore(async () => {
      applied(await call(node.host, group, { ...submitCommit(0) }));
    }),
  );
  expect(await streams.resolve(APPLICATION, { kind: "group", id: groupId }, { epoch: 1n })).toMatchObject({
    recovered: true,
    position: { offset: 1 },
    last: 1,
  });
});
