// What members of a group do, one seeded operation at a time: every kind of proposal and commit that real clients
// can make, in any order. Each leaves the group agreed.
import type { Extension, Proposal } from "ts-mls";
import { bytesToBase64, encodeRequiredCapabilities } from "ts-mls";
import { expect } from "vitest";
import { CUSTOM_EXTENSION, CUSTOM_PROPOSAL, type FollowedGroup } from "./followed-group.ts";
import type { MlsClient } from "./mls-client.ts";
import { keyPackageIn } from "./mls-encoding.ts";
import type { MlsGroup } from "./mls-group.ts";
import { seededRandom } from "./mutations.ts";

type Operation = readonly [name: string, possible: boolean, act: () => Promise<void>];

export class GroupOperations {
  readonly #group: FollowedGroup;
  readonly #random: () => number;
  readonly #membersMax: number;

  constructor(group: FollowedGroup, seed: number, membersMax: number) {
    this.#group = group;
    this.#random = seededRandom(seed + group.ciphersuite);
    this.#membersMax = membersMax;
  }

  /** One operation, of a kind not seen yet where `unseen`; the group must agree after it. */
  async step(unseen = false): Promise<void> {
    const kinds = this.#operations().filter(([, possible]) => possible);
    const fresh = kinds.filter(([name]) => !this.#group.seen.has(name));
    const choices = unseen && fresh.length > 0 ? fresh : kinds;
    const [name, , act] = choices[this.#below(choices.length)] as Operation;
    this.#group.note(name);
    try {
      await act();
    } catch (error) {
      throw new Error(`${name}, suite ${this.#group.ciphersuite}`, { cause: error });
    }
    this.#group.agree();
  }

  /** Kinds that no step has done so far. */
  get unseen(): readonly string[] {
    return this.#operations().flatMap(([name]) => (this.#group.seen.has(name) ? [] : [name]));
  }

  #operations(): Operation[] {
    const { members } = this.#group;
    const free = this.#membersMax - members.length;
    const room = free > 0;
    const several = members.length > 2;
    // A group near its limit shrinks more often than one that has just begun.
    const half = members.length > this.#membersMax / 2;
    return [
      ["add", room, () => this.#add(1)],
      ["add several", free > 2, () => this.#add(2 + this.#below(Math.min(6, free - 2)))],
      ["add with path", room && several, () => this.#replace(1 + this.#below(Math.min(3, free)))],
      ["remove", several, () => this.#remove(1)],
      ["remove several", half && members.length > 4, () => this.#remove(2 + this.#below(3))],
      ["path", true, () => this.#path()],
      ["update by reference", several, () => this.#updates()],
      ["mixed by reference", several && room, () => this.#mixed()],
      ["pre-shared key", true, () => this.#preSharedKey()],
      ["resumption key", several, () => this.#resumption()],
      ["context extensions", several, () => this.#contextExtensions()],
      ["context extensions without path", true, () => this.#withoutPath()],
      ["custom", true, () => this.#custom()],
      ["external sender's remove", several, () => this.#moderatorRemoves()],
      ["external sender's add", room, () => this.#moderatorAdds()],
      ["own add", room, () => this.#asks()],
      ["external join", room, () => this.#joinFromOutside()],
      ["resync", several, () => this.#resync()],
      ["reinit", several && this.#below(4) === 0, () => this.#reinit()],
    ];
  }

  async #add(count: number): Promise<void> {
    await this.#group.commit(this.#member(), {}, [], await this.#clients(count));
  }

  /** A Remove beside the Adds: ts-mls makes a path where it must. */
  async #replace(count: number): Promise<void> {
    const [committer, other] = this.#shuffled() as [MlsGroup, MlsGroup];
    await this.#group.commit(committer, { remove: [other.leafIndex] }, [other], await this.#clients(count));
  }

  async #remove(count: number): Promise<void> {
    const [committer, ...others] = this.#shuffled() as [MlsGroup, ...MlsGroup[]];
    const leaving = others.slice(0, count);
    await this.#group.commit(committer, { remove: leaving.map(({ leafIndex }) => leafIndex) }, leaving);
  }

  async #path(): Promise<void> {
    await this.#group.commit(this.#member());
  }

  async #updates(): Promise<void> {
    const [committer, ...others] = this.#shuffled() as [MlsGroup, ...MlsGroup[]];
    for (const one of others.slice(0, 1 + this.#below(3))) await this.#group.propose(await one.proposeUpdate(), one);
    await this.#group.commit(committer);
  }

  /** Many kinds at once, by value and by reference. */
  async #mixed(): Promise<void> {
    const [committer, one, leaving, updating] = this.#shuffled() as [MlsGroup, MlsGroup, MlsGroup, MlsGroup?];
    const group = this.#group;
    const remove: Proposal = { proposalType: "remove", remove: { removed: leaving.leafIndex } };
    await group.propose(await one.propose(remove), one);
    await group.propose(await one.propose(custom()), one);
    if (updating !== undefined) await group.propose(await updating.proposeUpdate(), updating);
    const [asking, added] = (await this.#clients(2)) as [MlsClient, MlsClient];
    const { message } = await added.createKeyPackage();
    await group.propose(await one.propose({ proposalType: "add", add: keyPackageIn(message) }), one);
    await group.askToJoin(asking);
    const proposals = [this.#externalPsk(), this.#extensions()];
    const pending = await committer.commit({ proposals });
    const { facts } = await group.accept(committer, pending, [leaving]);
    expect(facts.entered).toHaveLength(2);
    for (const client of [added, asking]) await group.join(client, pending);
  }

  async #preSharedKey(): Promise<void> {
    const joining = this.#group.members.length < this.#membersMax ? await this.#clients(this.#below(2)) : [];
    await this.#group.commit(this.#member(), { proposals: [this.#externalPsk()] }, [], joining);
  }

  /** Of the epoch that ends, which every member knows, whenever it joined. */
  async #resumption(): Promise<void> {
    const { groupId: pskGroupId, epoch: pskEpoch } = this.#member();
    const id = { psktype: "resumption" as const, usage: "application" as const, pskGroupId, pskEpoch };
    const preSharedKeyId = { ...id, pskNonce: this.#nonce() };
    await this.#group.commit(this.#member(), { proposals: [{ proposalType: "psk", psk: { preSharedKeyId } }] });
  }

  /** Beside a Remove or an Update, which make ts-mls give a path. */
  async #contextExtensions(): Promise<void> {
    const [committer, other] = this.#shuffled() as [MlsGroup, MlsGroup];
    const proposals = [this.#extensions()];
    if (this.#random() < 0.5) {
      await this.#group.commit(committer, { proposals, remove: [other.leafIndex] }, [other]);
      return;
    }
    await this.#group.propose(await other.proposeUpdate(), other);
    await this.#group.commit(committer, { proposals });
  }

  /** The one commit that ts-mls members take and the follower does not: RFC 9420 §12.4 asks for a path. */
  async #withoutPath(): Promise<void> {
    const { commit } = await this.#member().commit({ proposals: [this.#extensions()] });
    expect(await this.#group.judge(commit)).toMatchObject({ kind: "refused", rule: "PATH_REQUIRED" });
  }

  async #custom(): Promise<void> {
    const [committer, other] = this.#shuffled() as [MlsGroup, MlsGroup?];
    if (other !== undefined) await this.#group.propose(await other.propose(custom()), other);
    await this.#group.commit(committer, { proposals: [custom()] });
  }

  async #moderatorRemoves(): Promise<void> {
    const [committer, leaving] = this.#shuffled() as [MlsGroup, MlsGroup];
    await this.#group.proposeFromOutside({ proposalType: "remove", remove: { removed: leaving.leafIndex } });
    await this.#group.commit(committer, {}, [leaving]);
  }

  async #moderatorAdds(): Promise<void> {
    const [client] = (await this.#clients(1)) as [MlsClient];
    const { message } = await client.createKeyPackage();
    await this.#group.proposeFromOutside({ proposalType: "add", add: keyPackageIn(message) });
    await this.#commitFor(client);
  }

  async #asks(): Promise<void> {
    const [client] = (await this.#clients(1)) as [MlsClient];
    await this.#group.askToJoin(client);
    await this.#commitFor(client);
  }

  async #commitFor(client: MlsClient): Promise<void> {
    const committer = this.#member();
    const pending = await committer.commit();
    await this.#group.accept(committer, pending, []);
    await this.#group.join(client, pending);
  }

  async #joinFromOutside(): Promise<void> {
    const [client] = (await this.#clients(1)) as [MlsClient];
    await this.#group.joinFromOutside(client, this.#member(), false, this.#random() < 0.5);
  }

  /** A member loses its state and comes back by itself. */
  async #resync(): Promise<void> {
    const [lost, by] = this.#shuffled() as [MlsGroup, MlsGroup];
    const client = this.#group.clientOf(lost);
    const { members } = this.#group;
    this.#group.members = members.filter((member) => member !== lost);
    const followed = await this.#group.joinFromOutside(client, by, true, this.#random() < 0.5);
    if (followed === undefined) this.#group.members = members;
    else expect(followed.facts.resynced?.leafIndex).toBe(lost.leafIndex);
  }

  /** The group ends, and goes on as its successor with the same members. */
  async #reinit(): Promise<void> {
    const group = this.#group;
    const [committer, ...others] = this.#shuffled() as [MlsGroup, ...MlsGroup[]];
    const { cipherSuite, version } = committer.state.groupContext;
    const extensions = [group.externalSenders()];
    const groupId = this.#nonce();
    const { facts } = await group.commit(committer, {
      proposals: [{ proposalType: "reinit", reinit: { groupId, version, cipherSuite, extensions } }],
    });
    expect(facts.reinit).toMatchObject({ groupId, version: 1, ciphersuite: group.ciphersuite });
    group.agree();
    const successor = await group.clientOf(committer).createGroup(groupId, extensions);
    const { groupId: pskGroupId, epoch: pskEpoch } = committer;
    const id = { psktype: "resumption" as const, usage: "reinit" as const, pskGroupId, pskEpoch };
    const preSharedKeyId = { ...id, pskNonce: this.#nonce() };
    const clients = others.map((member) => group.clientOf(member));
    const packages = await Promise.all(clients.map((client) => client.createKeyPackage()));
    await group.begin(successor, group.clientOf(committer));
    const pending = await successor.commit({
      add: packages.map(({ message }) => message),
      proposals: [{ proposalType: "psk", psk: { preSharedKeyId } }],
      reinitOf: committer,
    });
    await group.accept(successor, pending, []);
    for (const [n, client] of clients.entries()) await group.join(client, pending, others[n]);
  }

  /** A fresh key that travelled elsewhere. */
  #externalPsk(): Proposal {
    const pskId = this.#nonce();
    this.#group.learn({ [bytesToBase64(pskId)]: this.#nonce() });
    const preSharedKeyId = { psktype: "external" as const, pskId, pskNonce: this.#nonce() };
    return { proposalType: "psk", psk: { preSharedKeyId } };
  }

  #extensions(): Proposal {
    const changing: Extension = { extensionType: CUSTOM_EXTENSION, extensionData: this.#nonce() };
    const needs = { extensionTypes: [CUSTOM_EXTENSION], proposalTypes: [CUSTOM_PROPOSAL], credentialTypes: [] };
    const required: Extension = {
      extensionType: "required_capabilities",
      extensionData: encodeRequiredCapabilities(needs),
    };
    const extensions = [this.#group.externalSenders(), changing, ...(this.#random() < 0.5 ? [required] : [])];
    return { proposalType: "group_context_extensions", groupContextExtensions: { extensions } };
  }

  /** As long as the suite's hash. */
  #nonce(): Uint8Array {
    const { size } = this.#group.clientOf(this.#member()).impl.kdf;
    return Uint8Array.from({ length: size }, () => this.#below(256));
  }

  #clients(count: number): Promise<MlsClient[]> {
    return Promise.all(Array.from({ length: count }, () => this.#group.client()));
  }

  #member(): MlsGroup {
    return this.#group.members[this.#below(this.#group.members.length)] as MlsGroup;
  }

  #shuffled(): MlsGroup[] {
    const keyed = this.#group.members.map((member) => ({ member, key: this.#random() }));
    return keyed.sort((a, b) => a.key - b.key).map(({ member }) => member);
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }
}

function custom(): Proposal {
  return { proposalType: CUSTOM_PROPOSAL, proposalData: Uint8Array.of(7, 7) };
}
