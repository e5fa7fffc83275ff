// Real MLS groups that live: members commit, send and read in turn, until they are stopped; in the end all members and
// the back-end must agree. Any call that fails ends the load with its error.
import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { Member } from "./members.ts";
import type { AegisClient } from "../../src/client/client.ts";
import type { Position } from "../../src/protocol/schemas/primitives.ts";
import { createDevice, hexOf } from "./devices.ts";
import { newestWelcome } from "./participant.ts";

export interface MlsGroupLoadOptions {
  /** Members are spread over them. */
  readonly clients: readonly AegisClient[];
  readonly groups: number;
  readonly membersEach: number;
  /** A group's rounds begin no sooner after one another: MLS for all members in one process takes its time. */
  readonly roundMs: number;
}

export class MlsGroupLoad {
  readonly #groups: readonly (readonly GroupMember[])[];
  readonly #lives: Promise<void>[];
  #stopped = false;
  commits = 0;
  texts = 0;
  failure: unknown;

  private constructor(groups: readonly (readonly GroupMember[])[], roundMs: number) {
    this.#groups = groups;
    this.#lives = groups.map((members) =>
      this.#live(members, roundMs).catch((error: unknown) => {
        this.failure ??= error;
      }),
    );
  }

  static async start({ clients, groups, membersEach, roundMs }: MlsGroupLoadOptions): Promise<MlsGroupLoad> {
    const founded = Array.from({ length: groups }, (_, group) => found(clients, group, membersEach));
    return new MlsGroupLoad(await Promise.all(founded), roundMs);
  }

  /** @throws what went wrong, or AssertionError where the members do not agree */
  async finish(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#lives);
    if (this.failure !== undefined) throw this.failure;
    for (const members of this.#groups) await agree(members);
  }

  async #live(members: readonly GroupMember[], roundMs: number): Promise<void> {
    for (let round = 0; !this.#stopped; round += 1) {
      const text = `round ${round}`;
      const begun = performance.now();
      const [speaker, ...others] = members.map((_, n) => members[(round + n) % members.length] as GroupMember);
      if (speaker === undefined) return;
      await speaker.commit();
      this.commits += 1;
      await speaker.send(text);
      this.texts += 1;
      for (const other of others) assert.deepEqual(await other.catchUp(), [text]);
      await delay(Math.max(0, begun + roundMs - performance.now()));
    }
  }
}

/** A member that reads its group's log once, from where it was. */
class GroupMember {
  readonly member: Member;
  readonly #own = new Set<string>();
  #position: Position;

  constructor(member: Member, position: Position) {
    this.member = member;
    this.#position = position;
  }

  async commit(): Promise<void> {
    const { member } = this;
    const pending = await member.group.commit();
    this.#own.add(hexOf(pending.commit));
    await member.client.group.commit(member.params(pending));
    pending.accept();
  }

  async send(text: string): Promise<void> {
    const { group, groupId, client, device } = this.member;
    const message = await group.send(Buffer.from(text));
    this.#own.add(hexOf(message));
    await client.group.send({ groupId, message, as: device.clientId });
  }

  async catchUp(): Promise<string[]> {
    const { client, groupId, group } = this.member;
    const page = await client.stream.read({ kind: "group", id: groupId, after: this.#position, limit: 1000 });
    assert.equal(page.recovered, true);
    this.#position = page.position;
    const texts: string[] = [];
    for (const [, , , body] of page.events) {
      const { message } = body as { message: Uint8Array };
      if (this.#own.delete(hexOf(message))) continue;
      const received = await group.receive(message);
      if (received.kind === "application") texts.push(Buffer.from(received.data).toString());
    }
    return texts;
  }
}

async function found(clients: readonly AegisClient[], group: number, membersEach: number): Promise<GroupMember[]> {
  const clientOf = (n: number): AegisClient => clients[(group + n) % clients.length] as AegisClient;
  const devices = await Promise.all(
    Array.from({ length: membersEach }, (_, n) => createDevice(clientOf(n), `group-${group}-member-${n}`)),
  );
  const [first, ...others] = devices;
  if (first === undefined) throw new Error("a group needs a member");
  const founder = await Member.create(clientOf(0), first, { tracking: "full" });
  await founder.add(others);
  const joining = others.map(async (device, n) => {
    await newestWelcome(clientOf(n + 1), device.clientId);
    return Member.join(clientOf(n + 1), device);
  });
  const members = [founder, ...(await Promise.all(joining))];
  const { position } = await clientOf(0).stream.read({
    kind: "group",
    id: founder.groupId,
    after: "start",
    limit: 1000,
  });
  return members.map((member) => new GroupMember(member, position));
}

async function agree(members: readonly GroupMember[]): Promise<void> {
  for (const member of members) await member.catchUp();
  const [first] = members.map(({ member }) => member);
  if (first === undefined) return;
  const { epoch, members: count } = await first.client.group.get({ groupId: first.groupId });
  assert.equal(count, members.length);
  const authenticator = hexOf(first.group.epochAuthenticator);
  for (const { member } of members) {
    assert.equal(member.group.epoch, epoch);
    assert.equal(hexOf(member.group.epochAuthenticator), authenticator);
  }
}
