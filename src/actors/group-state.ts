// A group's head and the steps by which commits, proposals and messages change it. Pure functions used
// by the group machine; what is large (members, trees, GroupInfo, proposals) goes into parts (L5).
import { encode } from "../protocol/codec.ts";
import { refuse, type Refusal } from "../protocol/errors.ts";
import type { GroupSettings } from "../protocol/schemas/application.ts";
import type { Tracking } from "../protocol/schemas/group.ts";
import type { Effect, TurnFacts } from "./effects.ts";
import { effective, type GovernedBy } from "./group-settings.ts";
import {
  keepNewest,
  replayFrom,
  snapshotEffects,
  treeEffects,
  type KeptTree,
  type NewSnapshot,
  type NewTree,
} from "./group-trees.ts";
import { GROUPS_LIST } from "./tag-names.ts";
import { appended, firstKept, retained, type StreamWindow } from "./stream-window.ts";

export interface GroupContext {
  readonly applicationId: string;
  /** The actor's id: hex of the group id, or of its hash when it is long. */
  readonly id: string;
  /** Base64 of the MLS group_id. */
  readonly groupId: string;
  readonly tracking: Tracking;
  readonly ciphersuite: number;
  /** Current MLS epoch, decimal: 64 bits do not fit a number. */
  readonly epoch: string;
  readonly members: number;
  readonly settings: GroupSettings;
  readonly window: StreamWindow;
  /** Trees kept, oldest first; the last is the current epoch's if its epoch says so. */
  readonly trees: readonly KeptTree[];
  readonly proposals: number;
  /** Bytes of the encoded tree of the present epoch; 0 where it is not known. */
  readonly treeBytes: number;
  /** `full`: bytes of handshakes since the newest snapshot. */
  readonly journalBytes: number;
}

/** PROTOCOL T7, with the leaf where it is known. */
export interface Sender {
  readonly type: "member" | "newMember" | "external";
  readonly leaf?: number;
  readonly clientId?: string;
}

export interface CreateCommand {
  readonly type: "create";
  readonly groupId: string;
  readonly tracking: Tracking;
  readonly ciphersuite: number;
  readonly epoch: string;
  readonly settings: GroupSettings;
  readonly groupInfo: Uint8Array;
  readonly tree?: NewTree;
  readonly full?: FirstState;
  /** Clients known to be members. */
  readonly members: readonly string[];
  /** Leaves of the tree where it is known, else the clients known. */
  readonly memberCount: number;
  readonly governed: GovernedBy;
}

export interface SubmitCommitCommand {
  readonly type: "submitCommit";
  /** The epoch that the commit is for. */
  readonly epoch: string;
  readonly message: Uint8Array;
  /** Base64 SHA-256 of the message. */
  readonly digest: string;
  readonly committer?: Sender;
  readonly external: boolean;
  /** The client that joins by an external commit was a member already. */
  readonly resync: boolean;
  readonly added: readonly { readonly clientId: string; readonly keyPackageRef?: Uint8Array; readonly welcome?: Uint8Array }[];
  readonly removed: readonly string[];
  /** Refs of the packages whose Welcome goes back to the caller, for a repeated answer. */
  readonly undelivered: readonly Uint8Array[];
  readonly groupInfo?: Uint8Array;
  readonly tree?: NewTree;
  readonly full?: FollowedState;
  readonly governed: GovernedBy;
}

/** Whose a leaf is, stored when it enters (PROTOCOL M5); no client: a stranger's. */
export interface OwnedLeaf {
  readonly leaf: number;
  readonly clientId?: string;
}

/** What `full` tracking knows of a group at its creation. */
export interface FirstState {
  readonly snapshot: NewSnapshot;
  readonly leaves: readonly OwnedLeaf[];
}

/** What `full` tracking knows of the epoch that a commit begins. */
export interface FollowedState {
  readonly entered: readonly OwnedLeaf[];
  readonly left: readonly number[];
  readonly memberCount: number;
  readonly treeBytes: number;
  /** Present when the journal has grown long enough. */
  readonly snapshot?: NewSnapshot;
  readonly reinit?: { readonly groupId: Uint8Array; readonly version: number; readonly ciphersuite: number };
}

export interface SubmitProposalCommand {
  readonly type: "submitProposal";
  readonly epoch: string;
  readonly message: Uint8Array;
  readonly proposalRef?: Uint8Array;
  readonly sender?: Sender;
  readonly governed: GovernedBy;
}

export interface SendMessageCommand {
  readonly type: "sendMessage";
  readonly epoch: string;
  readonly message: Uint8Array;
  readonly governed: GovernedBy;
}

/** A client was deleted: its leaf must go (PROTOCOL M6). */
export interface RemoveClientCommand {
  readonly type: "removeClient";
  readonly clientId: string;
}

export interface Step {
  readonly context: Partial<GroupContext>;
  readonly effects: readonly Effect[];
}

interface Logged {
  readonly window: StreamWindow;
  readonly effects: readonly Effect[];
}

/** Proposals of one epoch. */
export const PROPOSALS_MAX = 1024;

export const GROUP_INFO_PART = "groupInfo";

/** A client whose Remove the back-end proposes until it is gone. */
export function removalPart(clientId: string): string {
  return `removal/${clientId}`;
}

export function leafPart(leaf: number): string {
  return `leaf/${String(leaf).padStart(10, "0")}`;
}

export function memberPart(clientId: string): string {
  return `member/${clientId}`;
}

/** Mark that tells which commit began an epoch, and where it stands in the log. */
export function epochMark(epoch: string): string {
  return `epoch/${epoch.padStart(20, "0")}`;
}

export function positionOf(context: GroupContext, lineage: string): { lineage: string; offset: number } {
  return { lineage, offset: context.window.last };
}

export function create(context: GroupContext, command: CreateCommand & TurnFacts): Step {
  const { tracking, ciphersuite, epoch, settings, members, memberCount, groupId } = command;
  const leafOf = new Map((command.full?.leaves ?? []).map(({ clientId, leaf }) => [clientId, leaf]));
  const effects: Effect[] = members.map((clientId) => putMember(clientId, epoch, leafOf.get(clientId)));
  effects.push({ type: "putPart", name: GROUP_INFO_PART, bytes: command.groupInfo });
  for (const clientId of members) effects.push(tellMembership(context, command, groupId, clientId, true));
  const kept =
    command.full === undefined
      ? treeEffects([], epoch, command.tree, false, command.now)
      : snapshotEffects([], epoch, 0, command.full.snapshot, command.now);
  effects.push(...(command.full?.leaves ?? []).map(putLeaf));
  effects.push(
    { type: "indexTags", clientId: context.id, version: 1, tags: [GROUPS_LIST], removed: [] },
    ...kept.effects,
    { type: "reply", value: { epoch: BigInt(epoch), offset: 0 } },
  );
  return {
    context: {
      groupId,
      tracking,
      ciphersuite,
      epoch,
      settings,
      members: memberCount,
      trees: kept.trees,
      treeBytes: (command.full?.snapshot ?? command.tree)?.bytes ?? 0,
    },
    effects,
  };
}

/** Why this commit is refused now; undefined: it is the one that ends the epoch (G1). */
export function commitRefusal(context: GroupContext, command: SubmitCommitCommand & TurnFacts): Refusal | undefined {
  const settings = effective(command.governed, context.settings);
  if (command.epoch !== context.epoch) return epochConflict(context, command.lineage);
  if (command.external && settings.externalJoin === "none") return refuse("EXTERNAL_JOIN");
  if (command.external && settings.externalJoin === "members" && !command.resync) return refuse("EXTERNAL_JOIN");
  if (settings.externalJoin !== "none" && command.groupInfo === undefined) return refuse("GROUP_INFO_REQUIRED");
  if (membersAfter(context, command) > settings.groupMembersMax) return refuse("MEMBERS_LIMIT");
  return undefined;
}

export function commit(context: GroupContext, command: SubmitCommitCommand & TurnFacts): Step {
  const { message, added, removed, external, now, digest, committer } = command;
  const epoch = String(BigInt(command.epoch) + 1n);
  const body = {
    epoch: BigInt(epoch),
    message,
    committer,
    added: added.map(({ clientId }) => clientId),
    removed,
    external,
  };
  const logged = log(context, "commit", body, message.length, command);
  const offset = logged.window.last;
  const { groupRetention } = effective(command.governed, context.settings);
  const effects: Effect[] = [
    ...logged.effects,
    {
      type: "putMark",
      name: epochMark(epoch),
      bytes: encode({ offset, digest, committer, undelivered: command.undelivered }),
      expiresAt: now + groupRetention.ms,
    },
    ...command.directory.list("proposal/").map((name): Effect => ({ type: "deletePart", name })),
    ...membershipEffects(context, command, epoch, offset),
  ];
  if (command.groupInfo !== undefined) {
    effects.push({ type: "putPart", name: GROUP_INFO_PART, bytes: command.groupInfo });
  }
  effects.push(...leafEffects(command.full), ...removalEffects(context, command));
  const ended = logReinit({ ...context, window: logged.window }, command);
  effects.push(...ended.effects);
  const kept = keptTrees(context, command, epoch, offset);
  effects.push(...kept.effects, { type: "reply", value: { epoch: BigInt(epoch), offset } });
  const journalBytes = command.full?.snapshot === undefined ? context.journalBytes + message.length : 0;
  return {
    context: {
      epoch,
      members: membersAfter(context, command),
      window: ended.window,
      trees: kept.trees,
      proposals: 0,
      treeBytes: command.full?.treeBytes ?? command.tree?.bytes ?? 0,
      journalBytes,
    },
    effects,
  };
}

/** A ReInit ends the group; whoever reads the log learns where it goes on. */
function logReinit(context: GroupContext, command: SubmitCommitCommand & TurnFacts): Logged {
  const reinit = command.full?.reinit;
  if (reinit === undefined) return { window: context.window, effects: [] };
  return log(context, "reinit", reinit, reinit.groupId.length, command);
}

function keptTrees(
  context: GroupContext,
  { added, tree, full, now, governed }: SubmitCommitCommand & TurnFacts,
  epoch: string,
  offset: number,
): { readonly trees: readonly KeptTree[]; readonly effects: readonly Effect[] } {
  const welcomed = added.some(({ welcome }) => welcome !== undefined);
  const keepUntil = now + governed.inboxRetention.ms;
  if (full === undefined) return treeEffects(context.trees, epoch, tree, welcomed, keepUntil);
  const kept =
    full.snapshot === undefined
      ? { trees: context.trees, effects: [] }
      : snapshotEffects(context.trees, epoch, offset, full.snapshot, now);
  return welcomed ? { ...kept, trees: keepNewest(kept.trees, keepUntil) } : kept;
}

/** Proposals end with their epoch: what the commit left in is proposed anew. */
function removalEffects(context: GroupContext, { directory, removed, full }: SubmitCommitCommand & TurnFacts): Effect[] {
  if (full === undefined || full.reinit !== undefined) return [];
  const gone = removed.map(removalPart).filter((name) => directory.has(name));
  const effects: Effect[] = gone.map((name) => ({ type: "deletePart", name }));
  if (directory.count("removal/") > gone.length) effects.push(proposeRemovals(context));
  return effects;
}

/** `ordering` tracking can't know whose a leaf is, so it proposes nothing. */
export function removeClient(context: GroupContext, { clientId }: RemoveClientCommand): Step {
  if (context.tracking === "ordering") return { context: {}, effects: [] };
  const part: Effect = { type: "putPart", name: removalPart(clientId), bytes: new Uint8Array(0) };
  return { context: {}, effects: [part, proposeRemovals(context)] };
}

function proposeRemovals(context: GroupContext): Effect {
  return { type: "proposeRemovals", groupId: Buffer.from(context.groupId, "base64") };
}

function leafEffects(full: FollowedState | undefined): Effect[] {
  if (full === undefined) return [];
  const entered = new Set(full.entered.map(({ leaf }) => leaf));
  const left = full.left.filter((leaf) => !entered.has(leaf));
  return [...left.map((leaf): Effect => ({ type: "deletePart", name: leafPart(leaf) })), ...full.entered.map(putLeaf)];
}

function putLeaf({ leaf, clientId }: OwnedLeaf): Effect {
  return { type: "putPart", name: leafPart(leaf), bytes: encode({ leaf, clientId }) };
}

export function proposalRefusal(context: GroupContext, command: SubmitProposalCommand & TurnFacts): Refusal | undefined {
  if (command.epoch !== context.epoch) return epochConflict(context, command.lineage);
  return command.directory.count("proposal/") >= PROPOSALS_MAX ? refuse("PROPOSALS_LIMIT") : undefined;
}

export function propose(context: GroupContext, command: SubmitProposalCommand & TurnFacts): Step {
  const { message, proposalRef, sender } = command;
  const body = { epoch: BigInt(command.epoch), message, proposalRef, sender };
  const logged = log(context, "proposal", body, message.length, command);
  const name = `proposal/${String(context.proposals).padStart(6, "0")}`;
  const offset = logged.window.last;
  return {
    context: { window: logged.window, proposals: context.proposals + 1 },
    effects: [
      ...logged.effects,
      { type: "putPart", name, bytes: encode({ proposalRef, proposal: message, sender }) },
      { type: "reply", value: { proposalRef, offset } },
    ],
  };
}

export function messageRefusal(context: GroupContext, command: SendMessageCommand & TurnFacts): Refusal | undefined {
  const behind = BigInt(context.epoch) - BigInt(command.epoch);
  const details = { epoch: BigInt(context.epoch), position: positionOf(context, command.lineage) };
  if (behind < 0n) return refuse("EPOCH_AHEAD", { details });
  const { pastEpochs } = effective(command.governed, context.settings);
  return behind > BigInt(pastEpochs) ? refuse("EPOCH_STALE", { details }) : undefined;
}

export function send(context: GroupContext, command: SendMessageCommand & TurnFacts): Step {
  const body = { epoch: BigInt(command.epoch), message: command.message };
  const logged = log(context, "application", body, command.message.length, command);
  return {
    context: { window: logged.window },
    effects: [...logged.effects, { type: "reply", value: { offset: logged.window.last } }],
  };
}

/** One event to the log, and what retention then drops. */
export function log(
  context: GroupContext,
  event: string,
  body: object,
  bytes: number,
  { now, governed }: { readonly now: number; readonly governed: GovernedBy },
): Logged {
  const { groupRetention } = effective(governed, context.settings);
  const grown = appended(context.window, now, bytes, groupRetention);
  const keepFrom = context.tracking === "full" ? replayFrom(context.trees) : grown.last;
  const window = retained(grown, now, groupRetention, keepFrom);
  const effects: Effect[] = [{ type: "append", offset: grown.last, event, body }];
  if (firstKept(window) > firstKept(grown)) effects.push({ type: "trim", before: firstKept(window) });
  return { window, effects };
}

/** The loser learns where the group is, so that it can catch up; who won is added by the service. (G1) */
export function epochConflict(context: GroupContext, lineage: string): Refusal {
  return refuse("EPOCH_CONFLICT", {
    details: { epoch: BigInt(context.epoch), position: positionOf(context, lineage) },
  });
}

function membersAfter(context: GroupContext, command: SubmitCommitCommand): number {
  if (command.full !== undefined) return command.full.memberCount;
  if (command.tree !== undefined) return command.tree.members;
  const joined = command.added.length - (command.resync ? 1 : 0);
  return Math.max(context.members + joined - command.removed.length, 0);
}

function membershipEffects(
  context: GroupContext,
  command: SubmitCommitCommand & TurnFacts,
  epoch: string,
  offset: number,
): Effect[] {
  const { added, removed, lineage } = command;
  const groupId = Buffer.from(context.groupId, "base64");
  const treeBytes = command.full?.treeBytes ?? command.tree?.bytes ?? 0;
  const effects: Effect[] = [];
  for (const clientId of removed) {
    effects.push({ type: "deletePart", name: memberPart(clientId) });
    const event = { type: "removed", body: { groupId, epoch: BigInt(epoch) } };
    effects.push(tellMembership(context, command, context.groupId, clientId, false, event));
  }
  for (const { clientId, keyPackageRef, welcome } of added) {
    const leaf = command.full?.entered.find((owned) => owned.clientId === clientId)?.leaf;
    effects.push(putMember(clientId, epoch, leaf));
    const body = { groupId, epoch: BigInt(epoch), welcome, keyPackageRef, after: { lineage, offset }, treeBytes };
    const event = welcome === undefined ? undefined : { type: "welcome", body };
    effects.push(tellMembership(context, command, context.groupId, clientId, true, event));
  }
  return effects;
}

function putMember(clientId: string, epoch: string, leaf: number | undefined): Effect {
  return { type: "putPart", name: memberPart(clientId), bytes: encode({ since: epoch, leaf }) };
}

function tellMembership(
  context: GroupContext,
  { governed }: { readonly governed: GovernedBy },
  groupId: string,
  clientId: string,
  member: boolean,
  event?: { readonly type: string; readonly body: object },
): Effect {
  return {
    type: "tell",
    to: { applicationId: context.applicationId, kind: "identity", id: clientId },
    command: {
      type: "deliver",
      membership: { groupActorId: context.id, groupId: Buffer.from(groupId, "base64"), member },
      ...(event === undefined ? {} : { event }),
      retention: governed.inboxRetention,
    } as { type: string },
  };
}
