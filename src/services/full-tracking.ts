// Judges what `full` tracking can: a commit or proposal against the group's public state (PROTOCOL M2–M7),
// whose each leaf is (M5), and what comes beside a commit. Off the turn; the group's actor compares again.
import type { Refused } from "../actors/actor-port.ts";
import { PROPOSAL_PREFIX, type FollowedState, type GroupContext, type Sender } from "../actors/group-state.ts";
import { effective } from "../actors/group-settings.ts";
import type { NewSnapshot } from "../actors/group-trees.ts";
import {
  readGroupMessage,
  type GroupMessage,
  type PublicCommit,
  type PublicProposal,
  type Sender as MlsSender,
} from "../mls/framing.ts";
import { readGroupInfo, type GroupInfo } from "../mls/group-info.ts";
import { checkProposal } from "../mls/public-group/check-proposal.ts";
import { followCommit, type CommitFacts, type Followed } from "../mls/public-group/follow-commit.ts";
import { matchGroupInfo, matchWelcomes } from "../mls/public-group/match-commit.ts";
import type { SentProposal } from "../mls/public-group/proposal-list.ts";
import type { PublicGroup } from "../mls/public-group/public-group.ts";
import { encodedTreeSize, encodeRatchetTree, readRatchetTreeWork } from "../mls/ratchet-tree.ts";
import { Judge, type MlsRefusal } from "../mls/rules.ts";
import { equalBytes } from "../mls/suites.ts";
import { TreeHasher } from "../mls/tree/tree-hasher.ts";
import { readWelcome, type Welcome } from "../mls/welcome.ts";
import { finishInSteps } from "../mls/work.ts";
import { decode } from "../protocol/codec.ts";
import type { Params } from "../protocol/methods.ts";
import type { Reason } from "../protocol/reasons.ts";
import { broken, malformedBytes } from "./group-checks.ts";
import type { ExternalSenders } from "./external-senders.ts";
import type { GroupDirectory, GroupHead } from "./group-directory.ts";
import type { GroupFollower } from "./group-follower.ts";
import { LeafClients, type EnteringLeaf, type JudgedClients } from "./leaf-clients.ts";
import { splitWelcomes, welcomesToInboxes, wholeWelcomes, type AddressedWelcome } from "./split-welcomes.ts";
import { pause, placeOf, refused, type ApplicationRequest, type ServicePorts } from "./service-ports.ts";
import type { JudgedCommit, JudgedProposal, Tracking } from "./tracking.ts";

type CommitParams = Params<"group.commit">;

/** A snapshot is written once the journal is as long as the tree, and long enough to matter. */
const JOURNAL_BYTES_MIN = 65_536;
const PROPOSALS_READ_MAX = 2048;

export class FullTracking implements Tracking {
  readonly #ports: ServicePorts;
  readonly #groups: GroupDirectory;
  readonly #follower: GroupFollower;
  readonly #clients: LeafClients;
  readonly #senders: ExternalSenders;
  readonly #judge: Judge;

  /** @param judge all rules on, but in tests that switch one off */
  constructor(
    ports: ServicePorts,
    groups: GroupDirectory,
    follower: GroupFollower,
    senders: ExternalSenders,
    judge: Judge = new Judge(),
  ) {
    this.#ports = ports;
    this.#clients = new LeafClients(ports, groups);
    this.#senders = senders;
    this.#groups = groups;
    this.#follower = follower;
    this.#judge = judge;
  }

  async commit(
    request: ApplicationRequest,
    params: CommitParams,
    head: GroupHead,
    message: GroupMessage,
  ): Promise<JudgedCommit | Refused> {
    const group = await this.#follower.current(request.applicationId, head.context, request.settings);
    const proposals = await this.#proposals(request, head.context);
    const followed = await followCommit(group, message as PublicCommit, {
      ...this.#terms(request),
      findProposal: (ref) => proposals.get(Buffer.from(ref).toString("hex")),
    });
    if (followed.kind === "proposalsMissing") {
      return refused("PROPOSALS_MISSING", { details: { proposalRefs: followed.refs } });
    }
    if (followed.kind === "refused") return brokenRule("COMMIT_INVALID", followed);
    const passed = await this.#passedOver(request, head.context, group, proposals, followed.facts);
    if (passed !== undefined) return passed;
    const beside = await this.#checkBeside(followed, params);
    if (beside !== undefined) return beside;
    const clients = await this.#clients.judge(request, head.context, followed.facts);
    if (clients.kind === "refused") return clients;
    if (params.as !== undefined && clients.committer !== params.as) return refused("AS_MISMATCH");
    return this.#judged(request, params, head.context, followed, clients);
  }

  async propose(
    request: ApplicationRequest,
    { as }: Params<"group.propose">,
    { context }: GroupHead,
    message: GroupMessage,
  ): Promise<JudgedProposal | Refused> {
    const group = await this.#follower.current(request.applicationId, context, request.settings);
    const proposal = message as PublicProposal;
    const { sender } = proposal;
    const outcome = await checkProposal(group, proposal, this.#terms(request));
    if (outcome.kind === "refused") return brokenRule("PROPOSAL_INVALID", outcome);
    const owner = await this.#proposer(request, context, proposal);
    if (as !== undefined && owner !== as) return refused("AS_MISMATCH");
    return { kind: "judged", sender: named(sender, owner), proposalRef: outcome.ref };
  }

  /** The client of the sender's leaf, also of the one that a new member asks to be added with. */
  async #proposer(
    request: ApplicationRequest,
    context: GroupContext,
    { sender, proposal }: PublicProposal,
  ): Promise<string | undefined> {
    if (sender.type === "member") return (await this.#clients.owners(request, context, [sender.leaf]))[0];
    if (sender.type !== "newMemberProposal" || proposal.type !== "add") return undefined;
    return (await this.#groups.clientsOf(request, [proposal.keyPackage.leafNode.credential]))[0];
  }

  /** Who sent a PrivateMessage only members can tell; that `as` is one of them can be told here. */
  async send(
    { applicationId }: ApplicationRequest,
    { as }: Params<"group.send">,
    { context }: GroupHead,
  ): Promise<Refused | undefined> {
    if (as === undefined || (await this.#groups.isMember(applicationId, context, as))) return undefined;
    return refused("AS_MISMATCH");
  }

  /** A GroupInfo of the current epoch by any member: equal in context and confirmation tag (M3). */
  async matchGroupInfo(
    request: ApplicationRequest,
    { context }: GroupHead,
    info: GroupInfo,
  ): Promise<Refused | undefined> {
    const group = await this.#follower.current(request.applicationId, context, request.settings);
    const refusal = await matchGroupInfo(group, info, undefined, this.#judge);
    return refusal === undefined ? undefined : brokenRule("GROUP_INFO_INVALID", refusal);
  }

  #judged(
    request: ApplicationRequest,
    params: CommitParams,
    context: GroupContext,
    { group, facts }: Followed,
    { committer, entered, removed }: JudgedClients,
  ): JudgedCommit | Refused {
    const welcomes = splitWelcomes(params.welcomes, context.ciphersuite);
    if (welcomes.kind === "refused") return welcomes;
    const recipients: { clientId: string; addressed: AddressedWelcome | undefined }[] = [];
    const strangers: AddressedWelcome[] = [];
    for (const { clientId, keyPackageRef } of entered) {
      const addressed =
        keyPackageRef === undefined ? undefined : welcomes.byRef.get(Buffer.from(keyPackageRef).toString("hex"));
      if (clientId !== undefined) recipients.push({ clientId, addressed });
      else if (addressed !== undefined) strangers.push(addressed);
    }
    const undelivered = wholeWelcomes(welcomes, strangers);
    if (undelivered.kind === "refused") return undelivered;
    const client = committer === undefined ? {} : { clientId: committer };
    return {
      kind: "judged",
      sender: facts.external ? { type: "newMember", ...client } : { type: "member", leaf: facts.committer, ...client },
      command: {
        external: facts.external,
        resync: facts.resynced !== undefined,
        externalProposals: context.externalProposals ?? 0,
        ...welcomesToInboxes(welcomes, recipients),
        removed,
        ...(params.groupInfo === undefined ? {} : { groupInfo: params.groupInfo }),
        full: followedState(context, group, facts, entered),
      },
      undelivered: undelivered.welcomes,
      accepted: (digest) => {
        this.#follower.moved(request.applicationId, context.id, { group, begunBy: digest });
      },
    };
  }

  /** Commits take in the back-end's own Removes, by reference or by a Remove of their own (M6). */
  async #passedOver(
    request: ApplicationRequest,
    context: GroupContext,
    group: PublicGroup,
    proposals: ReadonlyMap<string, SentProposal>,
    { left, external }: CommitFacts,
  ): Promise<Refused | undefined> {
    const { applicationId, settings } = request;
    // An external commit can refer to nothing (M7); whoever commits next takes them in.
    if (external || proposals.size === 0 || !effective(settings, context.settings).enforceProposals) return undefined;
    const own = await this.#senders.key(applicationId, group.ciphersuite);
    const gone = new Set(left.map(({ leafIndex }) => leafIndex));
    const proposalRefs: Uint8Array[] = [];
    for (const [ref, { sender, proposal }] of proposals) {
      if (sender.type !== "external" || proposal.type !== "remove" || gone.has(proposal.removed)) continue;
      const key = group.externalSenders[sender.index]?.signatureKey;
      if (key !== undefined && own !== undefined && equalBytes(key, own.publicKey)) {
        proposalRefs.push(Buffer.from(ref, "hex"));
      }
    }
    if (proposalRefs.length === 0) return undefined;
    const message = "the commit leaves out proposals of the back-end";
    return refused("PROPOSALS_MISSING", { message, details: { proposalRefs } });
  }

  /** The GroupInfo is the new epoch's by the committer, and the Welcomes address exactly who was added. */
  async #checkBeside({ group, facts }: Followed, params: CommitParams): Promise<Refused | undefined> {
    const { groupInfo, welcomes, ratchetTree } = params;
    if (groupInfo !== undefined) {
      const decoded = readGroupInfo(groupInfo);
      if (decoded.kind === "malformed") return malformedBytes("GROUP_INFO_INVALID", decoded);
      const refusal = await matchGroupInfo(group, decoded.value, facts.committer, this.#judge);
      if (refusal !== undefined) return brokenRule("GROUP_INFO_INVALID", refusal);
    }
    if (ratchetTree !== undefined) {
      // Nothing is taken from it; bytes that are no tree are a caller's mistake all the same (E2).
      const decoded = await finishInSteps(readRatchetTreeWork(ratchetTree, new TreeHasher(group.ciphersuite)), pause);
      if (decoded.kind === "malformed") return malformedBytes("TREE_INVALID", decoded);
    }
    const decodedWelcomes: Welcome[] = [];
    for (const bytes of welcomes) {
      const decoded = readWelcome(bytes);
      if (decoded.kind === "malformed") return malformedBytes("WELCOME_MISMATCH", decoded);
      decodedWelcomes.push(decoded.value);
    }
    const refs = facts.entered.flatMap(({ keyPackageRef }) => keyPackageRef ?? []);
    const refusal = matchWelcomes(decodedWelcomes, refs, group.ciphersuite, this.#judge);
    return refusal === undefined ? undefined : brokenRule("WELCOME_MISMATCH", refusal);
  }

  async #proposals(request: ApplicationRequest, context: GroupContext): Promise<ReadonlyMap<string, SentProposal>> {
    const proposals = new Map<string, SentProposal>();
    if (context.proposals === 0) return proposals;
    const groupId = Buffer.from(context.groupId, "base64");
    const { shard, actor } = placeOf(this.#ports.store, this.#groups.address(request.applicationId, groupId));
    const parts = await this.#ports.store.listParts(shard, actor, {
      prefix: PROPOSAL_PREFIX,
      limit: PROPOSALS_READ_MAX,
    });
    for (const { bytes } of parts) {
      const stored = decode(bytes) as { proposalRef?: Uint8Array; proposal: Uint8Array };
      const message = readGroupMessage(stored.proposal);
      if (stored.proposalRef === undefined || message.kind !== "ok") continue;
      const { proposal, sender } = message.value as PublicProposal;
      proposals.set(Buffer.from(stored.proposalRef).toString("hex"), { proposal, sender });
    }
    return proposals;
  }

  #terms({ settings }: ApplicationRequest) {
    const provider = this.#ports.identityProviders.of(settings);
    return {
      judge: this.#judge,
      provider,
      nowMs: this.#ports.clock.now(),
      customProposals: settings.proposalTypes,
      pause,
    };
  }
}

function followedState(
  context: GroupContext,
  group: PublicGroup,
  { left, reinit }: CommitFacts,
  entered: readonly EnteringLeaf[],
): FollowedState {
  const treeBytes = encodedTreeSize(group.tree);
  const due = context.journalBytes >= Math.max(JOURNAL_BYTES_MIN, treeBytes);
  return {
    entered: entered.map(({ leaf, clientId }) => ({ leaf, ...(clientId === undefined ? {} : { clientId }) })),
    left: left.map(({ leafIndex }) => leafIndex),
    memberCount: group.tree.memberCount,
    treeBytes,
    ...(due ? { snapshot: snapshotOf(group) } : {}),
    ...(reinit === undefined
      ? {}
      : { reinit: { groupId: reinit.groupId, version: reinit.version, ciphersuite: reinit.ciphersuite } }),
  };
}

function named(sender: MlsSender, clientId: string | undefined): Sender {
  const client = clientId === undefined ? {} : { clientId };
  if (sender.type === "member") return { type: "member", leaf: sender.leaf, ...client };
  return sender.type === "external" ? { type: "external" } : { type: "newMember", ...client };
}

function brokenRule(reason: Reason, { rule, section, message }: MlsRefusal): Refused {
  return broken(reason, rule, section, message);
}

function snapshotOf(group: PublicGroup): NewSnapshot {
  const encoded = encodeRatchetTree(group.tree);
  return {
    encoded,
    bytes: encoded.length,
    treeHash: Buffer.from(group.context.treeHash).toString("base64"),
    members: group.tree.memberCount,
    groupContext: group.groupContext,
    confirmationTag: group.confirmationTag,
  };
}
