// A group of real ts-mls clients with a follower beside it: what a member commits, the follower must take and all
// members process; after each commit they must agree. What is committed is group-operations' business.
import { encodeMlsMessage, proposeAddExternal, proposeExternal, type Extension, type Proposal } from "ts-mls";
import { encodeExternalSender } from "ts-mls";
import { expect } from "vitest";
import { createBasicProvider } from "../../src/mls/basic-provider.ts";
import type { Decoded } from "../../src/mls/codec/reader.ts";
import { readGroupMessage } from "../../src/mls/framing.ts";
import { readGroupInfo } from "../../src/mls/group-info.ts";
import { checkProposal } from "../../src/mls/public-group/check-proposal.ts";
import { followCommit, type Followed } from "../../src/mls/public-group/follow-commit.ts";
import { matchGroupInfo, matchWelcomes } from "../../src/mls/public-group/match-commit.ts";
import type { SentProposal } from "../../src/mls/public-group/proposal-list.ts";
import { openPublicGroup, type PublicGroup } from "../../src/mls/public-group/public-group.ts";
import { readRatchetTree } from "../../src/mls/ratchet-tree.ts";
import { Judge, type MlsRefusal } from "../../src/mls/rules.ts";
import { validateTreeStructure } from "../../src/mls/tree/validate-tree.ts";
import { readWelcome } from "../../src/mls/welcome.ts";
import { decodeMessage } from "./mls-encoding.ts";
import { CLIENT_CIPHERSUITES, MlsClient, type ClientCiphersuite, type KeyPackageOptions } from "./mls-client.ts";
import type { CommitOptions, ExternalPsks, MlsGroup, PendingCommit } from "./mls-group.ts";

/** A proposal type and an extension type that every member supports, and GREASE (RFC 9420 §13.5) that nobody has. */
export const CUSTOM_PROPOSAL = 0xf000;
export const CUSTOM_EXTENSION = 0xf00e;
const GREASE = 0x0a0a;

const judge = new Judge();
const terms = {
  judge,
  provider: createBasicProvider(),
  customProposals: [{ type: CUSTOM_PROPOSAL, pathRequired: false, external: true }],
};

const plainPackages: KeyPackageOptions = {
  capabilities: { proposals: [CUSTOM_PROPOSAL], extensions: [CUSTOM_EXTENSION] },
};
const greasedPackages: KeyPackageOptions = {
  capabilities: {
    // ts-mls has numbers it has no name for as decimal text.
    ciphersuites: [...Object.values(CLIENT_CIPHERSUITES), String(GREASE) as never],
    proposals: [CUSTOM_PROPOSAL, GREASE],
    extensions: [GREASE, CUSTOM_EXTENSION, 0xeaea],
    credentials: ["basic", "x509", String(GREASE) as never],
  },
  extensions: [{ extensionType: 0x1a1a, extensionData: Uint8Array.of(1, 2, 3) }],
  leafNodeExtensions: [{ extensionType: GREASE, extensionData: Uint8Array.of(4) }],
};

function valueOf<T>(decoded: Decoded<T>): T {
  if (decoded.kind === "malformed") throw new Error(`${decoded.rule}: ${decoded.why}`);
  return decoded.value;
}

export class FollowedGroup {
  readonly ciphersuite: ClientCiphersuite;
  readonly #sent = new Map<string, SentProposal>();
  readonly #clients = new Map<MlsGroup, MlsClient>();
  #moderator: MlsClient | undefined;
  #count = 0;
  #externalPsks: ExternalPsks = {};
  members: MlsGroup[] = [];
  follower: PublicGroup | undefined;
  readonly seen = new Map<string, number>();

  constructor(ciphersuite: ClientCiphersuite) {
    this.ciphersuite = ciphersuite;
  }

  /** Founded by one member, with an external sender beside it. */
  async open(): Promise<void> {
    this.#moderator = await this.client();
    const client = await this.client();
    await this.begin(await client.createGroup(new TextEncoder().encode("group"), [this.externalSenders()]), client);
  }

  /** Follows a group from its beginning. */
  async begin(founder: MlsGroup, client: MlsClient): Promise<void> {
    this.members = [founder];
    this.#clients.set(founder, client);
    this.#sent.clear();
    const info = valueOf(readGroupInfo(await founder.groupInfo()));
    const tree = valueOf(readRatchetTree(founder.ratchetTree(), this.ciphersuite));
    const opened = await openPublicGroup(info, tree, { ...terms, nowMs: Date.now() });
    if (opened.kind !== "opened") throw new Error(opened.rule);
    this.follower = opened.group;
  }

  /** As ts-mls writes it: one bare struct (docs/INTEROP.md). */
  externalSenders(): Extension {
    const { signatureKey, identity } = this.#moderator as MlsClient;
    const credential = { credentialType: "basic" as const, identity: new TextEncoder().encode(identity) };
    const extensionData = encodeExternalSender({ signaturePublicKey: signatureKey, credential });
    return { extensionType: "external_senders", extensionData };
  }

  clientOf(member: MlsGroup): MlsClient {
    return this.#clients.get(member) as MlsClient;
  }

  note(what: string): void {
    this.seen.set(what, (this.seen.get(what) ?? 0) + 1);
  }

  /** Every second one greases all that it can. */
  async client(): Promise<MlsClient> {
    this.#count++;
    return MlsClient.create({
      identity: `client ${this.#count}`,
      ciphersuite: this.ciphersuite,
      keyPackages: this.#count % 2 === 0 ? greasedPackages : plainPackages,
    });
  }

  /** A pre-shared key that every member and whoever joins knows. */
  learn(externalPsks: ExternalPsks): void {
    this.#externalPsks = { ...this.#externalPsks, ...externalPsks };
    for (const member of this.members) member.learn(this.#externalPsks);
  }

  /** A member's commit, all the way. */
  async commit(
    committer: MlsGroup,
    options: CommitOptions = {},
    leaving: readonly MlsGroup[] = [],
    joining: readonly MlsClient[] = [],
  ): Promise<Followed> {
    const packages = await Promise.all(joining.map((client) => client.createKeyPackage()));
    const add = packages.map(({ message }) => message);
    const pending = await committer.commit({ ...options, add: [...(options.add ?? []), ...add] });
    const followed = await this.accept(committer, pending, leaving);
    for (const client of joining) await this.join(client, pending);
    return followed;
  }

  async accept(committer: MlsGroup, pending: PendingCommit, leaving: readonly MlsGroup[]): Promise<Followed> {
    const followed = await this.follow(pending.commit);
    const { group, facts } = followed;
    const info = valueOf(readGroupInfo(pending.groupInfo));
    expect(await matchGroupInfo(group, info, facts.committer, judge)).toBeUndefined();
    const welcomes = pending.welcome === undefined ? [] : [valueOf(readWelcome(pending.welcome))];
    const refs = facts.entered.map(({ keyPackageRef }) => keyPackageRef as Uint8Array);
    expect(matchWelcomes(welcomes, refs, this.ciphersuite, judge)).toBeUndefined();
    pending.accept();
    this.members = this.members.filter((member) => !leaving.includes(member));
    for (const member of this.members) if (member !== committer) await member.receive(pending.commit);
    // ts-mls 1.6.4 can't process its own removal when another member takes its leaf in the same commit.
    const taken = new Set(facts.entered.map(({ leafIndex }) => leafIndex));
    for (const member of leaving) {
      if (taken.has(member.leafIndex)) continue;
      await member.receive(pending.commit);
      expect(member.active).toBe(false);
    }
    return followed;
  }

  async join(client: MlsClient, pending: PendingCommit, reinitOf?: MlsGroup): Promise<void> {
    const options = { externalPsks: this.#externalPsks, ...(reinitOf && { reinitOf }) };
    const joined = await this.#unlessUnmerged(() =>
      client.joinFromWelcome(pending.welcome as Uint8Array, pending.ratchetTree, options),
    );
    if (joined !== undefined) this.#enter(client, joined);
  }

  /** By an external commit, which all members process. @returns undefined where ts-mls can't join */
  async joinFromOutside(
    client: MlsClient,
    by: MlsGroup,
    resync: boolean,
    inline: boolean,
  ): Promise<Followed | undefined> {
    const groupInfo = await by.groupInfo({ ratchetTree: inline });
    const options = { ratchetTree: by.ratchetTree(), resync };
    const joined = await this.#unlessUnmerged(() => client.joinExternally(groupInfo, options));
    if (joined === undefined) return undefined;
    const followed = await this.follow(joined.commit);
    for (const member of this.members) await member.receive(joined.commit);
    this.#enter(client, joined.group);
    return followed;
  }

  /** A proposal by itself, taken by the follower and by every member but its sender. */
  async propose(bytes: Uint8Array, proposer?: MlsGroup): Promise<void> {
    const message = valueOf(readGroupMessage(bytes));
    if (message.wireFormat !== "public" || message.contentType !== "proposal") throw new Error("not a proposal");
    const outcome = await checkProposal(this.follower as PublicGroup, message, { ...terms, nowMs: Date.now() });
    if (outcome.kind === "refused") throw new Error(`${outcome.rule}: ${outcome.message}`);
    this.#sent.set(Buffer.from(outcome.ref).toString("hex"), outcome.sent);
    for (const member of this.members) if (member !== proposer) await member.receive(bytes);
  }

  /** From the external sender. */
  async proposeFromOutside(proposal: Proposal): Promise<void> {
    const { signatureKey, signaturePrivateKey, impl } = this.#moderator as MlsClient;
    const info = await this.#groupInfo();
    await this.propose(
      encodeMlsMessage(await proposeExternal(info, proposal, signatureKey, signaturePrivateKey, impl)),
    );
  }

  /** A client asks by itself to be added. */
  async askToJoin(client: MlsClient): Promise<void> {
    const { publicPackage, privatePackage } = await client.ownKeyPackage();
    const info = await this.#groupInfo();
    await this.propose(encodeMlsMessage(await proposeAddExternal(info, publicPackage, privatePackage, client.impl)));
  }

  /** The follower's answer to a commit that nobody is to process. */
  async judge(commit: Uint8Array): Promise<Followed | MlsRefusal> {
    const message = valueOf(readGroupMessage(commit));
    if (message.wireFormat !== "public" || message.contentType !== "commit") throw new Error("not a commit");
    const outcome = await followCommit(this.follower as PublicGroup, message, {
      ...terms,
      nowMs: Date.now(),
      findProposal: (ref) => this.#sent.get(Buffer.from(ref).toString("hex")),
    });
    if (outcome.kind === "proposalsMissing") throw new Error("proposals missing");
    return outcome;
  }

  async follow(commit: Uint8Array): Promise<Followed> {
    const outcome = await this.judge(commit);
    if (outcome.kind === "refused") throw new Error(`${outcome.rule}: ${outcome.message}`);
    this.follower = outcome.group;
    return outcome;
  }

  agree(): void {
    const follower = this.follower as PublicGroup;
    const [first] = this.members as [MlsGroup];
    expect(follower.tree.treeHash()).toEqual(first.treeHash);
    expect(follower.epoch).toBe(first.epoch);
    expect(follower.context.confirmedTranscriptHash).toEqual(first.state.groupContext.confirmedTranscriptHash);
    expect([...follower.tree.members()].map(([leaf]) => leaf)).toEqual(first.leaves);
    expect(validateTreeStructure(follower.tree)).toBeUndefined();
    for (const member of this.members) expect(member.epochAuthenticator).toEqual(first.epochAuthenticator);
  }

  #enter(client: MlsClient, group: MlsGroup): void {
    group.learn(this.#externalPsks);
    this.#clients.set(group, client);
    this.members.push(group);
  }

  async #groupInfo() {
    const message = decodeMessage(await (this.members[0] as MlsGroup).groupInfo());
    if (message.wireformat !== "mls_group_info") throw new Error("not a GroupInfo");
    return message.groupInfo;
  }

  /**
   * ts-mls 1.6.4 wants all nodes above an unmerged leaf to have the very same list, and can't join where the
   * RFC lets them differ. Then nobody joins (an added leaf stays without a client); `agree` judges the tree.
   */
  async #unlessUnmerged<T>(join: () => Promise<T>): Promise<T | undefined> {
    try {
      return await join();
    } catch (error) {
      if (!String(error).includes("unmerged_leaves")) throw error;
      this.note("not joined");
      return undefined;
    }
  }
}
