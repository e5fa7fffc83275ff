// The seven steps as one run over three connections, for the recorded frames: an operator's, an application
// server's, and a second one of the application server that carries events.
import { setTimeout as delay } from "node:timers/promises";
import { Device } from "../../examples/demo/device.ts";
import { encodeAck, encodeCredit } from "../../src/protocol/frames.ts";
import type { StepRecorder } from "./step-recorder.ts";
import { valueAt, type FreshPaths } from "./fresh-values.ts";

const yearMs = 365 * 24 * 3600 * 1000;
/** The recorded key packages are judged whenever the frames are replayed. */
const replayableYears = 30;
const groupId = new TextEncoder().encode("example group");

interface Names {
  readonly alice: string;
  readonly bob: string;
}

export async function sevenSteps(run: StepRecorder, operatorToken: string): Promise<void> {
  const [alice, bob] = await Promise.all([Device.create("alice"), Device.create("bob")]);
  const token = await defineApplication(run, operatorToken);
  await run.connect("application", token);
  const clients = await createIdentities(run, alice, bob);
  await fillPool(run, clients.bob, await bob.makeKeyPackages(3, BigInt((replayableYears * yearMs) / 1000)));
  const claimed = await fetchKeys(run, clients.bob);
  await createGroup(run, alice, clients.alice);
  await run.connect("events", token);
  await join(run, alice, bob, clients, claimed);
  await sendCommits(run, alice, bob, clients);
}

async function defineApplication(run: StepRecorder, operatorToken: string): Promise<string> {
  run.step("define an application");
  await run.connect("operator", operatorToken);
  const settings = { keyPackageLifetimeMaxMs: 2 * replayableYears * yearMs, keyPoolLow: 0 };
  const created = await run.call(
    "operator",
    "application.create",
    { name: "example", settings },
    "with an idempotency key, as every mutation may have",
    { applicationId: [3, "applicationId"], keyId: [3, "key", "keyId"], token: [3, "key", "secret"] },
    "create-example",
  );
  const applicationId = valueAt(created, [3, "applicationId"]) as string;
  const senders = [0, 1, 2, 3].map((at) => [`externalSender${at}`, [3, "externalSenders", at, "externalSender"]]);
  await run.call(
    "operator",
    "application.get",
    { applicationId },
    "its settings, defaults included, and the external senders that groups may list",
    Object.fromEntries(senders) as FreshPaths,
  );
  return valueAt(created, [3, "key", "secret"]) as string;
}

async function createIdentities(run: StepRecorder, alice: Device, bob: Device): Promise<Names> {
  run.step("create and manage identities");
  const create = async (name: string, device: Device, tags: string[]): Promise<string> => {
    await delay(2); // each time that is recorded is another one
    const params = { clientIdentity: device.credential, tags };
    const fresh = { [`${name}Id`]: [3, "clientId"], [`${name}CreatedAt`]: [3, "createdAt"] };
    return valueAt(await run.call("application", "identity.create", params, `for ${name}`, fresh), [
      3,
      "clientId",
    ]) as string;
  };
  const clients = { alice: await create("alice", alice, ["account:alice"]), bob: await create("bob", bob, []) };
  const taken = { clientIdentity: bob.credential };
  await run.call("application", "identity.create", taken, "a handle that is held: refused");
  await delay(2);
  const change = { clientId: clients.bob, tags: { add: ["account:bob"] }, ifVersion: 1 };
  await run.call("application", "identity.update", change, "bob gets a tag", { bobUpdatedAt: [3, "updatedAt"] });
  await run.call("application", "identity.find", { all: ["account:bob"] }, "clients by tag");
  return clients;
}

async function fillPool(run: StepRecorder, clientId: string, packages: readonly Uint8Array[]): Promise<void> {
  run.step("create and manage key pools");
  const [lastResort, ...keyPackages] = packages;
  const publish = { clientId, keyPackages, lastResort };
  await run.call("application", "keyPool.publish", publish, "two key packages and a last resort");
  await run.call("application", "keyPool.status", { clientIds: [clientId] }, "what is left");
}

async function fetchKeys(run: StepRecorder, clientId: string) {
  run.step("fetch keys");
  const claim = { targets: [{ all: ["account:bob"] }] };
  const claimed = await run.call("application", "keyPool.claim", claim, "one of every client with the tag");
  return {
    clientId,
    keyPackage: valueAt(claimed, [3, "claimed", 0, "keyPackage"]) as Uint8Array,
    keyPackageRef: valueAt(claimed, [3, "claimed", 0, "keyPackageRef"]) as Uint8Array,
  };
}

async function createGroup(run: StepRecorder, alice: Device, as: string): Promise<void> {
  run.step("create a group");
  const create = { ...(await alice.createGroup(groupId)), tracking: "ordering", as };
  await run.call("application", "group.create", create, "at its first epoch, made by alice", {
    groupLineage: [3, "position", "lineage"],
  });
  await run.call("application", "group.get", { groupId }, "the group's head");
}

async function join(
  run: StepRecorder,
  alice: Device,
  bob: Device,
  clients: Names,
  { clientId, keyPackage, keyPackageRef }: { clientId: string; keyPackage: Uint8Array; keyPackageRef: Uint8Array },
): Promise<void> {
  run.step("join a group");
  const opened = await run.call(
    "events",
    "subscription.open",
    { messages: 16, bytes: 65_536 },
    "with its first credit",
  );
  const subscription = valueAt(opened, [3, "subscription"]) as number;
  const inbox = { subscription, streams: [{ kind: "client", id: clients.bob }] };
  const added = await run.call("events", "subscription.add", inbox, "bob's inbox, from the last acknowledged event", {
    inboxLineage: [3, "streams", 0, "position", "lineage"],
  });
  const { commit, welcomes, groupInfo, ratchetTree } = await alice.commit({ add: [keyPackage] });
  const params = { groupId, commit, welcomes, groupInfo, ratchetTree, as: clients.alice };
  const adding = { ...params, added: [{ keyPackageRef, clientId }] };
  await delay(2);
  await run.call("application", "group.commit", adding, "alice adds bob, with his Welcome");
  await alice.receive(commit);
  const event = await run.receive("events", "EVT: the Welcome in bob's inbox", { welcomedAt: [3, 0, 1] });
  const body = valueAt(event, [3, 0, 3]) as { welcome: Uint8Array; after: object };
  const tree = await run.call("events", "group.tree", { groupId }, "the tree that belongs to the Welcome");
  await bob.join(body.welcome, keyPackageRef, valueAt(tree, [3, "ratchetTree"]) as Uint8Array);
  const stream = valueAt(added, [3, "streams", 0, "stream"]) as number;
  run.send("events", encodeAck(subscription, [{ stream, offset: 1 }]), "ACK: bob has it");
  run.send("events", encodeCredit(subscription, 1, event.length), "CREDIT: room for another event");
  const log = { subscription, streams: [{ kind: "group", id: groupId, after: body.after }] };
  await run.call("events", "subscription.add", log, "the group's log, after the commit that added bob");
}

async function sendCommits(run: StepRecorder, alice: Device, bob: Device, clients: Names): Promise<void> {
  run.step("send commits");
  const [winner, loser] = await Promise.all([bob.commit(), alice.commit()]);
  await delay(2);
  const commitOf = (prepared: typeof winner, as: string) => {
    const { commit, groupInfo, ratchetTree } = prepared;
    return { groupId, commit, groupInfo, ratchetTree, as };
  };
  await run.call("application", "group.commit", commitOf(winner, clients.bob), "bob is first");
  await run.receive("events", "EVT: bob's commit in the group's log", { committedAt: [3, 0, 1] });
  await run.call("application", "group.commit", commitOf(loser, clients.alice), "alice is late: her epoch is over");
  await bob.receive(winner.commit);
  await alice.receive(winner.commit);
  await delay(2);
  const message = await alice.encrypt("Hello Bob");
  await run.call("application", "group.send", { groupId, message, as: clients.alice }, "an application message");
  await run.receive("events", "EVT: the message in the group's log", { sentAt: [3, 0, 1] });
}
