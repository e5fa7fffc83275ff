// A group's beginning and its commits: one commit an epoch (G1). Pure steps of the group machine.
import { encode } from "../protocol/codec.ts";
import { refuse, type Refusal } from "../protocol/errors.ts";
import type { Effect, TurnFacts } from "./effects.ts";
import { log, refusalOfEpoch, type Logged } from "./group-log.ts";
import {
  firstMembers,
  knowsEveryMember,
  leafEffects,
  membersAfter,
  membershipEffects,
  removalEffects,
  rosterEffects,
  sharedWelcomeEffects,
  tellMembers,
} from "./group-membership.ts";
import { effective } from "./group-settings.ts";
import {
  epochMark,
  GROUP_INFO_PART,
  PROPOSAL_PREFIX,
  type CreateCommand,
  type GroupContext,
  type ReserveCommand,
  type Step,
  type SubmitCommitCommand,
} from "./group-state.ts";
import { keepNewest, snapshotEffects } from "./group-trees.ts";
import { beginTree, type TreeStep } from "./past-trees.ts";
import { GROUPS_LIST } from "./tag-names.ts";

/** An epoch is a uint64: there is none behind this one. */
const LAST_EPOCH = String(2n ** 64n - 1n);

export function create(context: GroupContext, command: CreateCommand & TurnFacts): Step {
  const { tracking, ciphersuite, epoch, settings, members, memberCount, everyMemberKnown, groupId, full } = command;
  const effects: Effect[] = full === undefined ? firstMembers(members, epoch) : rosterEffects(members, full.clients);
  effects.push({ type: "putPart", name: GROUP_INFO_PART, bytes: command.groupInfo });
  effects.push(...tellMembers(context, command));
  const { effects: stored, ...trees } =
    full === undefined
      ? beginTree({ trees: [] }, command.directory, epoch, command.tree, undefined)
      : snapshotEffects([], epoch, 0, full.snapshot, command.now);
  effects.push({ type: "indexTags", clientId: context.id, version: 1, tags: [GROUPS_LIST], removed: [] }, ...stored, {
    type: "reply",
    value: { epoch: BigInt(epoch), offset: 0 },
  });
  return {
    context: {
      groupId,
      tracking,
      ciphersuite,
      epoch,
      begun: 0,
      ...(command.digest === undefined ? {} : { begunBy: command.digest }),
      settings,
      members: memberCount,
      ...(everyMemberKnown === undefined ? {} : { everyMemberKnown }),
      ...trees,
      treeBytes: (full?.snapshot ?? command.tree)?.bytes ?? 0,
      ...(full === undefined ? {} : { roster: { leaves: full.leaves, clientPages: full.clients.length } }),
    },
    effects,
  };
}

/** Why this commit is refused now; undefined: it is the one that ends the epoch (G1). */
export function commitRefusal(context: GroupContext, command: SubmitCommitCommand & TurnFacts): Refusal | undefined {
  const settings = effective(command.governed, context.settings);
  const moved = refusalOfEpoch(context, command);
  if (moved !== undefined) return moved;
  if (command.epoch === LAST_EPOCH) {
    return refuse("COMMIT_INVALID", {
      message: "the group has come to its last epoch",
      details: { rule: "MESSAGE_EPOCH", section: "8.1" },
    });
  }
  if (settings.enforceProposals && passesOver(context, command)) return refuse("STATE_MOVED");
  if (command.external && settings.externalJoin === "none") return refuse("EXTERNAL_JOIN");
  if (command.external && settings.externalJoin === "members" && !command.resync) return refuse("EXTERNAL_JOIN");
  if (settings.externalJoin !== "none" && command.groupInfo === undefined) return refuse("GROUP_INFO_REQUIRED");
  return growsBeyond(settings.groupMembersMax, context, command) ? refuse("MEMBERS_LIMIT") : undefined;
}

/** A proposal of the back-end's own may have come since the commit was judged: it is judged again. (M6) */
function passesOver({ externalProposals: now = 0 }: GroupContext, command: SubmitCommitCommand): boolean {
  return !command.external && command.externalProposals !== undefined && command.externalProposals !== now;
}

/** Where the limit was narrowed below what the group has, it goes on and shrinks as it can. */
function growsBeyond(membersMax: number, context: GroupContext, command: SubmitCommitCommand): boolean {
  const members = membersAfter(context, command);
  return members > membersMax && members > context.members;
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
    ...command.directory.list(PROPOSAL_PREFIX).map((name): Effect => ({ type: "deletePart", name })),
    ...sharedWelcomeEffects(context, command),
    ...membershipEffects(context, command, epoch, offset),
  ];
  effects.push(groupInfoEffect(command));
  effects.push(...leafEffects(context, command.full), ...removalEffects(context, command));
  const ended = logReinit({ ...context, window: logged.window }, command);
  effects.push(...ended.effects);
  const { effects: stored, ...trees } = keptTrees(context, command, epoch, offset);
  const { undelivered } = command;
  // What a key remembers must tell all of the answer (E4): the mark may be gone before it.
  const value = { epoch: BigInt(epoch), offset, ...(undelivered.length === 0 ? {} : { undelivered }) };
  effects.push(...stored, { type: "reply", value });
  const journalBytes = command.full?.snapshot === undefined ? context.journalBytes + message.length : 0;
  return {
    context: {
      epoch,
      begun: offset,
      begunBy: digest,
      members: membersAfter(context, command),
      ...(context.everyMemberKnown === undefined ? {} : { everyMemberKnown: knowsEveryMember(context, command) }),
      window: ended.window,
      ...trees,
      proposals: 0,
      externalProposals: 0,
      treeBytes: command.full?.treeBytes ?? command.tree?.bytes ?? 0,
      journalBytes,
      ...successorOf(command),
    },
    effects,
  };
}

/** The one that is there is of the epoch that ends: nobody could join with it. */
function groupInfoEffect({ groupInfo }: SubmitCommitCommand): Effect {
  if (groupInfo === undefined) return { type: "deletePart", name: GROUP_INFO_PART };
  return { type: "putPart", name: GROUP_INFO_PART, bytes: groupInfo };
}

function successorOf({ full }: SubmitCommitCommand): Pick<GroupContext, "successor"> {
  if (full?.reinit === undefined) return {};
  const { groupId, version, ciphersuite } = full.reinit;
  return { successor: { groupId: Buffer.from(groupId).toString("base64"), version, ciphersuite } };
}

/** One of several groups may come to end into an id that none has yet: each is remembered, once. */
export function reserve({ reservations }: GroupContext, { predecessor }: ReserveCommand): Step {
  const { made, by } = reservations ?? { made: 0, by: [] };
  const others = by.filter((one) => one.predecessor !== predecessor);
  return {
    context: { reservations: { made: made + 1, by: [...others, { predecessor }] } },
    effects: [{ type: "reply", value: {} }],
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
  { added, tree, full, now, governed, directory }: SubmitCommitCommand & TurnFacts,
  epoch: string,
  offset: number,
): TreeStep {
  const welcomed = added.some(({ welcome, shared }) => welcome !== undefined || shared !== undefined);
  const keepUntil = now + governed.inboxRetention.ms;
  if (full === undefined) return beginTree(context, directory, epoch, tree, welcomed ? keepUntil : undefined);
  const kept =
    full.snapshot === undefined
      ? { trees: context.trees, effects: [] }
      : snapshotEffects(context.trees, epoch, offset, full.snapshot, now);
  return welcomed ? { ...kept, trees: keepNewest(kept.trees, keepUntil) } : kept;
}
