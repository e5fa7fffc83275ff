// Who is in a group, as parts of the group and as messages to the clients concerned. Pure.
import { encode } from "../protocol/codec.ts";
import type { Command } from "./actor-port.ts";
import type { Effect, TurnFacts } from "./effects.ts";
import type { GovernedBy } from "./group-settings.ts";
import {
  LEAF_LEFT,
  leafPart,
  memberPart,
  removalPart,
  sharedWelcomeMark,
  type CreateCommand,
  type DeleteCommand,
  type FollowedState,
  type ForgetRemovalsCommand,
  type GroupContext,
  type OwnedLeaf,
  type RemoveClientCommand,
  type Step,
  type SubmitCommitCommand,
} from "./group-state.ts";
import type { DeliverCommand } from "./inbox.ts";
import { clientsOfPage, NO_ROSTER, rosterClientsPart, rosterPart } from "./roster.ts";

type InboxEvent = NonNullable<DeliverCommand["event"]>;

export function membersAfter(context: GroupContext, command: SubmitCommitCommand): number {
  if (command.full !== undefined) return command.full.memberCount;
  if (command.tree !== undefined) return command.tree.members;
  return membersNamed(context, command);
}

/** How many the members are if nobody came or left but those who were named. */
function membersNamed(context: GroupContext, { added, removed, resync }: SubmitCommitCommand): number {
  const joined = added.length - (resync ? 1 : 0);
  return Math.max(context.members + joined - removed.length, 0);
}

/** A Welcome for somebody who was not named, or a tree with more leaves, tells of members that are not known. */
export function knowsEveryMember(context: GroupContext, command: SubmitCommitCommand): boolean {
  if (context.everyMemberKnown !== true || command.undelivered.length > 0) return false;
  return command.tree === undefined || command.tree.members === membersNamed(context, command);
}

const WELCOME_LATE_MS = 86_400_000;

export function membershipEffects(
  context: GroupContext,
  command: SubmitCommitCommand & TurnFacts,
  epoch: string,
  offset: number,
): Effect[] {
  const { added, removed, lineage } = command;
  const groupId = Buffer.from(context.groupId, "base64");
  const treeBytes = command.full?.treeBytes ?? command.tree?.bytes ?? 0;
  const leafOf = new Map((command.full?.entered ?? []).map((owned) => [owned.clientId, owned.leaf]));
  const effects: Effect[] = [];
  for (const clientId of removed) {
    effects.push({ type: "deletePart", name: memberPart(clientId) });
    const event = { type: "removed", body: { groupId, epoch: BigInt(epoch) } };
    effects.push(tellMembership(context, command, clientId, false, event));
  }
  for (const { clientId, keyPackageRef, welcome, shared } of added) {
    effects.push(putMember(clientId, epoch, leafOf.get(clientId)));
    const whose =
      shared === undefined
        ? { welcome }
        : { secrets: shared.secrets, sharedWelcome: sharedWelcomeMark(command.digest, shared.of) };
    const body = { groupId, epoch: BigInt(epoch), ...whose, keyPackageRef, after: { lineage, offset }, treeBytes };
    const event = welcome === undefined && shared === undefined ? undefined : { type: "welcome", body };
    effects.push(tellMembership(context, command, clientId, true, event));
  }
  return effects;
}

/**
 * Kept as marks: they stay when the group is deleted, and go by themselves once no inbox may refer to them. A message
 * to an inbox may arrive late.
 */
export function sharedWelcomeEffects(
  { ciphersuite }: GroupContext,
  { sharedWelcomes, digest, governed, now }: SubmitCommitCommand & TurnFacts,
): Effect[] {
  const expiresAt = now + governed.inboxRetention.ms + WELCOME_LATE_MS;
  return (sharedWelcomes ?? []).map(({ of, encryptedGroupInfo }) => {
    return {
      type: "putMark",
      name: sharedWelcomeMark(digest, of),
      bytes: encode({ ciphersuite, encryptedGroupInfo }),
      expiresAt,
    };
  });
}

/** At the beginning, without a roster: each by itself, as later commits bring them. */
export function firstMembers(pages: readonly Uint8Array[], epoch: string): Effect[] {
  return pages.flatMap(clientsOfPage).map((clientId) => putMember(clientId, epoch, undefined));
}

/** At the beginning of a group that is followed: a few parts, however many the members are (decision 14). */
export function rosterEffects(leaves: readonly Uint8Array[], clients: readonly Uint8Array[]): Effect[] {
  const parts = [
    ...leaves.map((bytes, page) => ({ name: rosterPart(page), bytes })),
    ...clients.map((bytes, page) => ({ name: rosterClientsPart(page), bytes })),
  ];
  return parts.filter(({ bytes }) => bytes.length > 0).map((part) => ({ type: "putPart", ...part }));
}

/** A leaf of the roster that is left keeps a part of its own that says so: the roster is never written again. */
export function leafEffects({ roster = NO_ROSTER }: GroupContext, full: FollowedState | undefined): Effect[] {
  if (full === undefined) return [];
  const entered = new Set(full.entered.map(({ leaf }) => leaf));
  const left = full.left.filter((leaf) => !entered.has(leaf));
  const leaveOne = (leaf: number): Effect =>
    leaf < roster.leaves
      ? { type: "putPart", name: leafPart(leaf), bytes: LEAF_LEFT }
      : { type: "deletePart", name: leafPart(leaf) };
  return [...left.map(leaveOne), ...full.entered.map(putLeaf)];
}

function putLeaf({ leaf, clientId }: OwnedLeaf): Effect {
  return { type: "putPart", name: leafPart(leaf), bytes: encode({ leaf, clientId }) };
}

/** Proposals end with their epoch: what the commit left in is proposed anew. */
export function removalEffects(
  context: GroupContext,
  { directory, removed, full }: SubmitCommitCommand & TurnFacts,
): Effect[] {
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

/** Who was removed just before the client was deleted has no leaf any more that a commit could remove. */
export function forgetRemovals({ clients, directory }: ForgetRemovalsCommand & TurnFacts): Step {
  const parts = clients.map(removalPart).filter((name) => directory.has(name));
  return { context: {}, effects: parts.map((name) => ({ type: "deletePart", name })) };
}

function proposeRemovals(context: GroupContext): Effect {
  return { type: "proposeRemovals", groupId: Buffer.from(context.groupId, "base64") };
}

function putMember(clientId: string, epoch: string, leaf: number | undefined): Effect {
  return { type: "putPart", name: memberPart(clientId), bytes: encode({ since: epoch, leaf }) };
}

/** At the beginning, page by page. */
export function tellMembers(context: GroupContext, command: CreateCommand): Effect[] {
  // A group of strangers has pages, and nobody to tell.
  if (command.full?.clients.length === 0) return [];
  const told = membershipCommand(context, command, command.groupId, true);
  return command.members
    .filter(({ length }) => length > 0)
    .map((page) => ({ type: "tellClients", page, command: told }));
}

/** At the end, page by page: nobody is told anything, the group is only no longer among their memberships. */
export function tellOfEnd(context: GroupContext, { members, governed }: DeleteCommand): Effect[] {
  const told = membershipCommand(context, { governed }, context.groupId, false);
  return (members ?? []).map((page) => ({ type: "tellClients", page, command: told }));
}

function tellMembership(
  context: GroupContext,
  command: { readonly governed: GovernedBy },
  clientId: string,
  member: boolean,
  event?: InboxEvent,
): Effect {
  return {
    type: "tell",
    to: { applicationId: context.applicationId, kind: "identity", id: clientId },
    command: membershipCommand(context, command, context.groupId, member, event),
  };
}

/** Says each time whether the client is a member now, so that only the newest counts. */
function membershipCommand(
  context: GroupContext,
  { governed }: { readonly governed: GovernedBy },
  groupId: string,
  member: boolean,
  event?: InboxEvent,
): Command {
  return {
    type: "deliver",
    membership: { groupActorId: context.id, groupId: Buffer.from(groupId, "base64"), member },
    ...(event === undefined ? {} : { event }),
    retention: governed.inboxRetention,
  } as Command;
}
