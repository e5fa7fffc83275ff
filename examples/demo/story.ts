// What happens in the demo, scene by scene. Says at the end whether all members agree.
import type { AegisClient } from "aegis-mls/client";
import type { ApplicationServer, Change, Registered } from "./application-server.ts";
import type { Victims } from "./servers.ts";
import { short, type Transcript } from "./transcript.ts";
import { until } from "./until.ts";

export type Cast = Readonly<Record<"alicePhone" | "aliceLaptop" | "bob" | "carol" | "moderator", Registered>>;

const messagesInFlight = 20;

export async function registerEverybody(server: ApplicationServer): Promise<Cast> {
  return {
    alicePhone: await server.register("alice/phone", ["account:alice"]),
    aliceLaptop: await server.register("alice/laptop", ["account:alice"]),
    bob: await server.register("bob/phone", ["account:bob"]),
    carol: await server.register("carol/phone", ["account:carol"]),
    moderator: await server.register("dora/desk", ["account:dora", "role:moderator"]),
  };
}

/** Alice's phone invites her other devices, her friends and whoever moderates, all found by tag. */
export async function foundGroup(backEnd: AegisClient, server: ApplicationServer, cast: Cast, say: Transcript) {
  await server.createGroup(cast.alicePhone);
  const { clients } = await backEnd.identity.find({ all: ["role:moderator"] });
  say.line("back-end", `finds ${clients.map(({ handle }) => handle).join(", ")} by the tag role:moderator`);
  const moderators = clients.map(({ clientId }) => ({ clientId }));
  const { claimed } = await backEnd.keyPool.claim({
    targets: [{ any: ["account:alice", "account:bob", "account:carol"] }, ...moderators],
    exclude: [cast.alicePhone.clientId],
    requester: cast.alicePhone.clientId,
  });
  say.line("alice/phone", `claims ${claimed.length} key packages: all devices of three accounts, and the moderator`);
  await commit(server, cast.alicePhone, { add: claimed });
  await until("everybody has joined", () => server.members.length === 5);
}

/** Two members commit in the same epoch: exactly one wins. */
export async function race(server: ApplicationServer, { bob, carol }: Cast, say: Transcript): Promise<void> {
  say.line("bob and carol", `both commit on epoch ${bob.device.epoch}`);
  const attempts = await Promise.all(
    [bob, carol].map(async (racer) => ({ racer, prepared: await server.prepare(racer, {}) })),
  );
  const outcomes = await Promise.all(
    attempts.map(async ({ racer, prepared }) => ({ racer, refused: await server.submit(racer, prepared) })),
  );
  const [lost, ...others] = outcomes.filter(({ refused }) => refused?.reason === "EPOCH_CONFLICT");
  if (lost === undefined || others.length > 0) throw new Error("Not exactly one commit won");
  const loser = lost.racer;
  const epoch = BigInt(lost.refused?.details["epoch"] as number | bigint);
  say.line(loser.device.name, "loses (EPOCH_CONFLICT), catches up from the stream");
  await until("the loser has caught up", () => loser.device.epoch >= epoch);
  await commit(server, loser, {});
}

/** Carol's device sends a commit that would wedge every member: nobody ever sees it. */
export async function refuseBroken(server: ApplicationServer, { bob, carol }: Cast, say: Transcript): Promise<void> {
  say.line(carol.device.name, "commits with a key in its path that nobody vouches for, and signs it");
  const refused = await server.submit(carol, await carol.device.brokenCommit());
  const { rule, section } = refused?.details ?? {};
  if (refused?.reason !== "COMMIT_INVALID" || rule !== "PATH_PARENT_HASH") throw refused ?? new Error("It was taken");
  say.line("back-end", `refuses it: ${refused.reason}, rule ${rule}, RFC 9420 §${String(section)}`);
  say.line("back-end", `“${refused.message}”`);
  await commit(server, bob, {});
  await commit(server, carol, {});
}

export async function talk(server: ApplicationServer, cast: Cast, say: Transcript): Promise<void> {
  await sendToAll(server, cast.bob, ["Hello everybody"], say);
  await sendToAll(server, cast.moderator, ["Hello Bob"], say);
}

/** The node that they are connected to dies with messages in flight. Every one of them arrives all the same, once. */
export async function survive(
  victims: Victims,
  backEnd: AegisClient,
  server: ApplicationServer,
  { bob, carol }: Cast,
  say: Transcript,
): Promise<void> {
  const texts = Array.from({ length: messagesInFlight }, (_, at) => `Carol's message ${at + 1}`);
  const kill = await victims.aimAt(backEnd.welcome?.node ?? "");
  let acknowledged = 0;
  const sending = texts.map(async (text) => {
    await server.send(carol, text);
    acknowledged += 1;
  });
  await until("some are acknowledged", () => acknowledged > 0);
  const before = acknowledged;
  await kill();
  say.line("server", `is killed (kill -9) after it acknowledged ${before} of Carol's ${texts.length} messages`);
  const isAlone = victims.count === 1;
  if (isAlone) await startAgain(victims, say);
  await Promise.all(sending);
  say.line("carol/phone", "has every message acknowledged: the rest were sent again with their keys");
  await arrived(server, carol, texts);
  say.line("everybody else", `decrypts all ${texts.length} of them, each once`);
  if (isAlone) return;
  const { epoch } = bob.device;
  await commit(server, bob, {});
  say.line("the other nodes", `took over what it owned: epoch ${epoch + 1n} begins without it`);
  await startAgain(victims, say);
}

async function startAgain(victims: Victims, say: Transcript): Promise<void> {
  await victims.restart();
  say.line("server", "is started again");
}

export async function removeLaptop(server: ApplicationServer, cast: Cast, say: Transcript): Promise<void> {
  const { alicePhone, aliceLaptop } = cast;
  await commit(server, alicePhone, { remove: [aliceLaptop] });
  await until("the laptop knows", () => !server.isMember(aliceLaptop));
  await everybodyAt(server, alicePhone.device.epoch);
  await sendToAll(server, alicePhone, ["The laptop is gone"], say);
  if (server.textsOf(aliceLaptop).includes("The laptop is gone")) throw new Error("The removed laptop could read on");
}

/** @returns whether all members, and the back-end, are at one epoch with one authenticator */
export async function agree(backEnd: AegisClient, server: ApplicationServer, groupId: Uint8Array, say: Transcript) {
  const { epoch, members } = await backEnd.group.get({ groupId });
  say.line("back-end", `epoch ${epoch}, ${members} members`);
  await everybodyAt(server, epoch);
  for (const { device } of server.members) {
    say.line(device.name, `epoch ${device.epoch}, epoch authenticator ${short(device.epochAuthenticator)}…`);
  }
  const authenticators = new Set(server.members.map(({ device }) => device.epochAuthenticator));
  const epochs = new Set(server.members.map(({ device }) => device.epoch));
  return authenticators.size === 1 && epochs.size === 1 && epochs.has(epoch) && server.members.length === 4;
}

async function commit(server: ApplicationServer, by: Registered, change: Change) {
  const refused = await server.submit(by, await server.prepare(by, change));
  if (refused !== undefined) throw refused;
  await everybodyAt(server, by.device.epoch);
}

async function everybodyAt(server: ApplicationServer, epoch: bigint): Promise<void> {
  await until(`everybody is at epoch ${epoch}`, () => server.members.every(({ device }) => device.epoch >= epoch));
}

async function sendToAll(server: ApplicationServer, by: Registered, texts: readonly string[], say: Transcript) {
  for (const text of texts) {
    await server.send(by, text);
    say.line(by.device.name, `says “${text}”`);
  }
  await arrived(server, by, texts);
  const others = server.members.filter((member) => member !== by).map(({ device }) => device.name);
  say.line("decrypted by", others.join(", "));
}

/** Waits until every other member has decrypted each of these texts, and sees that none came twice. */
async function arrived(server: ApplicationServer, by: Registered, texts: readonly string[]): Promise<void> {
  const others = server.members.filter((member) => member !== by);
  const countOf = (member: Registered, text: string) => server.textsOf(member).filter((one) => one === text).length;
  await until("everybody has decrypted it", () =>
    others.every((member) => texts.every((text) => countOf(member, text) > 0)),
  );
  for (const member of others) {
    if (texts.some((text) => countOf(member, text) !== 1)) throw new Error(`${member.device.name} got a message twice`);
  }
}
