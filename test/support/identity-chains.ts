// The chains of applications, identities and key pools, for tests that kill the server between their steps.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { AegisError, connect, type AegisClient } from "../../src/client/client.ts";
import { basicCredential } from "./app-world.ts";
import { judge, type Chain } from "./crash-point.ts";
import { MlsClient } from "./mls-client.ts";

/** "ok", or the reason of the refusal. */
export async function reasonOf(call: Promise<unknown>): Promise<string> {
  try {
    await call;
    return "ok";
  } catch (error) {
    if (error instanceof AegisError) return error.reason;
    throw error;
  }
}

export async function inboxTypes(client: AegisClient, id: string): Promise<string[]> {
  const { events } = await client.stream.read({ kind: "client", id, after: "start" });
  return events.map(([, , type]) => type);
}

async function holderOf(client: AegisClient, handle: string): Promise<string | undefined> {
  try {
    const { clientId, current } = await client.identity.resolve({ handle });
    return current ? clientId : undefined;
  } catch (error) {
    if (error instanceof AegisError && error.reason === "HANDLE_NOT_FOUND") return undefined;
    throw error;
  }
}

async function foundBy(client: AegisClient, tag: string): Promise<string[]> {
  return (await client.identity.find({ all: [tag] })).clients.map(({ clientId }) => clientId);
}

async function poolSize(client: AegisClient, clientId: string): Promise<number | string> {
  try {
    return (await client.keyPool.list({ clientId })).keyPackages.length;
  } catch (error) {
    if (error instanceof AegisError) return error.reason;
    throw error;
  }
}

/** A registered client with packages in its pool. */
export async function member(client: AegisClient, packages: number, tags: readonly string[] = [], lastResort = false) {
  const mls = await MlsClient.create({ identity: `member-${randomUUID()}` });
  const { clientId } = await client.identity.create({ clientIdentity: mls.credential, tags: [...tags] });
  const made = await Promise.all(Array.from({ length: packages }, () => mls.createKeyPackage()));
  const last = lastResort ? await mls.createKeyPackage({ lastResort: true }) : undefined;
  if (packages > 0 || last !== undefined) {
    const keyPackages = made.map(({ message }) => message);
    await client.keyPool.publish({
      clientId,
      keyPackages,
      ...(last === undefined ? {} : { lastResort: last.message }),
    });
  }
  return { mls, clientId, made };
}

const applicationCreate: Chain = {
  name: "application.create",
  async setUp(world) {
    const name = randomUUID();
    const mine = async (): Promise<string[]> => {
      const { applications } = await world.operator.application.list({ limit: 1000 });
      return applications.filter((application) => application.name === name).map(({ applicationId }) => applicationId);
    };
    return {
      act: (key) => world.operator.application.create({ name }, { key }),
      async seen() {
        const ids = await mine();
        const known = ids.map((applicationId) => reasonOf(world.operator.application.get({ applicationId })));
        return judge({ listed: [ids.length, 0, 1], known: [await Promise.all(known), [], ["ok"]] });
      },
      async check(answer) {
        const { applicationId, key } = answer as { applicationId: string; key: { secret: string } };
        assert.deepEqual(await mine(), [applicationId]);
        const client = await connect({ url: world.server.process.url, token: key.secret });
        await client.identity.create({ clientIdentity: basicCredential("first") });
        await client.close();
      },
    };
  },
};

export const identityCreate: Chain = {
  name: "identity.create",
  reserves: true,
  async setUp(world) {
    const handle = randomUUID();
    const tags = [`a:${handle}`, `b:${handle}`];
    const clientIdentity = basicCredential(handle);
    return {
      act: (key) => world.client.identity.create({ clientIdentity, tags }, { key }),
      async seen() {
        const holder = await holderOf(world.client, handle);
        const found = await Promise.all(tags.map((tag) => foundBy(world.client, tag)));
        const ids = [...new Set([holder, ...found.flat()])].length;
        return judge({
          held: [holder !== undefined, false, true],
          found: [found.map((each) => each.length), [0, 0], [1, 1]],
          clients: [ids, 1, 1],
        });
      },
      async check(answer) {
        const { clientId } = answer as { clientId: string };
        assert.equal(await holderOf(world.client, handle), clientId);
        assert.deepEqual((await world.client.identity.find({ all: tags })).clients, [answer]);
        assert.deepEqual((await world.client.identity.get({ clientIds: [clientId] })).clients, [answer]);
        assert.equal(await reasonOf(world.client.identity.create({ clientIdentity })), "HANDLE_TAKEN");
      },
    };
  },
};

const identityUpdate: Chain = {
  name: "identity.update with another handle",
  reserves: true,
  async setUp(world) {
    const [before, after] = [randomUUID(), randomUUID()] as const;
    const { clientId, mls } = await member(world.client, 2, [`t:${before}`]);
    const params = { clientId, clientIdentity: basicCredential(after), tags: { set: [`t:${after}`] } };
    const names = [mls.identity, after] as const;
    return {
      act: (key) => world.client.identity.update(params, { key }),
      async seen() {
        const { clients } = await world.client.identity.get({ clientIds: [clientId] });
        const record = clients[0] as { version: number; handle: string };
        const holders = await Promise.all(names.map((name) => holderOf(world.client, name)));
        const found = await Promise.all([before, after].map((tag) => foundBy(world.client, `t:${tag}`)));
        return judge({
          version: [record.version, 1, 2],
          handle: [record.handle, names[0], names[1]],
          holders: [holders.map((id) => id === clientId), [true, false], [false, true]],
          found: [found, [[clientId], []], [[], [clientId]]],
          pool: [await poolSize(world.client, clientId), 2, 0],
          inbox: [await inboxTypes(world.client, clientId), [], ["identity.updated", "keyPool.low"]],
        });
      },
      async check(answer) {
        assert.deepEqual((await world.client.identity.get({ clientIds: [clientId] })).clients, [answer]);
        // The old handle is free, the new one is not.
        const create = (name: string) => world.client.identity.create({ clientIdentity: basicCredential(name) });
        assert.equal(await reasonOf(create(names[0])), "ok");
        assert.equal(await reasonOf(create(names[1])), "HANDLE_TAKEN");
      },
    };
  },
};

const identityDelete: Chain = {
  name: "identity.delete",
  async setUp(world) {
    const tag = randomUUID();
    const { clientId, mls } = await member(world.client, 2, [tag]);
    return {
      act: (key) => world.client.identity.delete({ clientId }, { key }),
      async seen() {
        const { clients } = await world.client.identity.get({ clientIds: [clientId] });
        const claim = { targets: [{ clientId }], ciphersuites: [7] };
        const [failed] = (await world.client.keyPool.claim(claim)).failed;
        return judge({
          gone: [clients.map((client) => "error" in client), [false], [true]],
          found: [await foundBy(world.client, tag), [clientId], []],
          holds: [(await holderOf(world.client, mls.identity)) === clientId, true, false],
          pool: [await poolSize(world.client, clientId), 2, "CLIENT_NOT_FOUND"],
          claims: [failed?.reason, "NO_CIPHERSUITE", "NOT_FOUND"],
        });
      },
      async check() {
        assert.equal(await reasonOf(world.client.identity.delete({ clientId })), "CLIENT_NOT_FOUND");
        const again = await world.client.identity.create({ clientIdentity: mls.credential, tags: [tag] });
        assert.notEqual(again.clientId, clientId, "an id is never used again");
        assert.deepEqual(await foundBy(world.client, tag), [again.clientId]);
      },
    };
  },
};

export const identityChains: readonly Chain[] = [applicationCreate, identityCreate, identityUpdate, identityDelete];
