// A group: one commit an epoch (G1), its log, its members as far as they are known. absent → active →
// (reinit) → closed; a group id is never used again, so closed is for ever.
import { emit, enqueueActions, setup } from "xstate";
import { refuse } from "../protocol/errors.ts";
import type { GroupSettings } from "../protocol/schemas/application.ts";
import type { Reason } from "../protocol/reasons.ts";
import type { Effect, TurnFacts } from "./effects.ts";
import type { GovernedBy } from "./group-settings.ts";
import { commit, commitRefusal, create, reserve } from "./group-commit.ts";
import { log, refusalOfEpoch } from "./group-log.ts";
import { forgetRemovals, removeClient, tellOfEnd } from "./group-membership.ts";
import { messageRefusal, proposalRefusal, propose, send } from "./group-messages.ts";
import {
  GROUP_INFO_PART,
  RESERVATIONS_MAX,
  type CreateCommand,
  type DeleteCommand,
  type ForgetRemovalsCommand,
  type GroupContext,
  type PutGroupInfoCommand,
  type RemoveClientCommand,
  type ReserveCommand,
  type SendMessageCommand,
  type Step,
  type SubmitCommitCommand,
  type SubmitProposalCommand,
} from "./group-state.ts";
import { expireSnapshots } from "./group-trees.ts";
import { expireTrees, NO_PAST_TREES } from "./past-trees.ts";
import { GROUPS_LIST } from "./tag-names.ts";
import type { MachineInput, TimerCommand, WithFacts } from "./machine-types.ts";
import { EMPTY_WINDOW } from "./stream-window.ts";

export type GroupCommand =
  | CreateCommand
  | ReserveCommand
  | SubmitCommitCommand
  | SubmitProposalCommand
  | SendMessageCommand
  | RemoveClientCommand
  | ForgetRemovalsCommand
  | PutGroupInfoCommand
  | { readonly type: "update"; readonly settings: GroupSettings; readonly governed: GovernedBy }
  | DeleteCommand
  | TimerCommand;

type Event = WithFacts<GroupCommand>;

const TREES_TIMER = "trees";
/** Trees of past epochs are looked through this long after a Welcome has had its time. */
const TREES_SLACK_MS = 1_000;

function refusalOf(context: GroupContext, event: Event): ReturnType<typeof refuse> | undefined {
  switch (event.type) {
    case "submitCommit":
      return commitRefusal(context, event);
    case "submitProposal":
      return proposalRefusal(context, event);
    case "sendMessage":
      return messageRefusal(context, event);
    case "putGroupInfo":
    case "forgetRemovals":
      return refusalOfEpoch(context, event);
    default:
      return undefined;
  }
}

function stepOf(context: GroupContext, event: Event): Step {
  switch (event.type) {
    case "create":
      return create(context, event);
    case "reserve":
      return reserve(context, event);
    case "submitCommit":
      return commit(context, event);
    case "submitProposal":
      return propose(context, event);
    case "sendMessage":
      return send(context, event);
    case "putGroupInfo":
      return { context: {}, effects: [{ type: "putPart", name: GROUP_INFO_PART, bytes: event.groupInfo }] };
    case "removeClient":
      return removeClient(context, event);
    case "forgetRemovals":
      return forgetRemovals(event);
    case "update":
      return update(context, event);
    case "delete":
      return close(context, event);
    case "timer": {
      const { effects, ...trees } =
        context.tracking === "full"
          ? expireSnapshots(context.trees, event.now)
          : expireTrees(context, event.directory, context.epoch, event.now);
      return { context: trees, effects };
    }
  }
}

function update(context: GroupContext, event: Extract<Event, { type: "update" }>): Step {
  const settings = { ...context.settings, ...event.settings };
  const logged = log(context, "settings", { settings }, 256, event);
  return {
    context: { settings, window: logged.window },
    effects: [...logged.effects, { type: "reply", value: { settings } }],
  };
}

/** The event goes to whoever listens; then the log and everything kept beside it go. */
function close(context: GroupContext, event: WithFacts<DeleteCommand>): Step {
  const logged = log(context, "closed", { reason: "deleted" }, 64, event);
  return {
    context: {
      window: { last: logged.window.last, segments: [] },
      trees: [],
      pastTrees: NO_PAST_TREES,
      members: 0,
      proposals: 0,
      treeBytes: 0,
    },
    effects: [
      ...logged.effects,
      { type: "purge" },
      { type: "indexTags", clientId: context.id, version: 2, tags: [], removed: [GROUPS_LIST] },
      ...tellOfEnd(context, event),
    ],
  };
}

function treesTimer(context: GroupContext, facts: TurnFacts): Effect | undefined {
  const soonest = context.tracking === "full" ? soonestSnapshot(context) : (context.pastTrees?.endsAt ?? 0);
  if (soonest === 0) return undefined;
  return { type: "setTimer", name: TREES_TIMER, at: Math.max(soonest, facts.now) + TREES_SLACK_MS };
}

/** What the group needs as it stands never expires, so it must not ring either. */
function soonestSnapshot({ trees }: GroupContext): number {
  const until = trees.slice(0, -1).map((tree) => tree.keepUntil ?? Infinity);
  const soonest = Math.min(...until, Infinity);
  return soonest === Infinity ? 0 : soonest;
}

const { createMachine } = setup({
  types: {
    context: {} as GroupContext,
    events: {} as Event,
    emitted: {} as Effect,
    input: {} as MachineInput,
  },
  guards: {
    endsGroup: ({ event }) => event.type === "submitCommit" && event.full?.reinit !== undefined,
    judgedOtherReservations: ({ context, event }) =>
      event.type === "create" && event.reservations !== (context.reservations?.made ?? 0),
    reservedByMany: ({ context, event }) =>
      event.type === "reserve" &&
      (context.reservations?.by ?? []).filter(({ predecessor }) => predecessor !== event.predecessor).length >=
        RESERVATIONS_MAX,
    refused: ({ context, event }) => refusalOf(context, event) !== undefined,
  },
  actions: {
    refuseWithReason: emit(({ context, event }): Effect => {
      const refusal = refusalOf(context, event);
      if (refusal === undefined) throw new Error("a refusal needs its reason");
      return { type: "refuse", refusal };
    }),
    step: enqueueActions(({ context, event, enqueue }) => {
      const step = stepOf(context, event);
      for (const effect of step.effects) enqueue.emit(effect);
      enqueue.assign(step.context);
      if (event.type !== "submitCommit" && event.type !== "timer") return;
      const timer = treesTimer({ ...context, ...step.context }, event);
      if (timer !== undefined) enqueue.emit(timer);
    }),
    refuse: emit((_, params: { reason: Reason }): Effect => ({ type: "refuse", refusal: refuse(params.reason) })),
  },
});

const refuseUnknown = { type: "refuse", params: { reason: "GROUP_NOT_FOUND" } } as const;
const refuseExists = { type: "refuse", params: { reason: "GROUP_EXISTS" } } as const;
const judged = [{ guard: "refused" as const, actions: "refuseWithReason" as const }, { actions: "step" as const }];

export const groupMachine = createMachine({
  id: "group",
  context: ({ input }) => ({
    applicationId: input.applicationId,
    id: input.id,
    groupId: "",
    tracking: "ordering" as const,
    ciphersuite: 0,
    epoch: "0",
    members: 0,
    settings: {},
    window: EMPTY_WINDOW,
    trees: [],
    proposals: 0,
    treeBytes: 0,
    journalBytes: 0,
  }),
  initial: "absent",
  states: {
    absent: {
      on: {
        create: [
          { guard: "judgedOtherReservations", actions: { type: "refuse", params: { reason: "STATE_MOVED" } } },
          { target: "active", actions: "step" },
        ],
        reserve: [{ guard: "reservedByMany", actions: refuseExists }, { actions: "step" }],
        "*": { actions: refuseUnknown },
      },
    },
    active: {
      on: {
        create: { actions: refuseExists },
        reserve: { actions: refuseExists },
        submitCommit: [
          { guard: "refused", actions: "refuseWithReason" },
          { guard: "endsGroup", target: "reinit", actions: "step" },
          { actions: "step" },
        ],
        submitProposal: judged,
        sendMessage: judged,
        putGroupInfo: judged,
        removeClient: { actions: "step" },
        forgetRemovals: judged,
        update: { actions: "step" },
        delete: { target: "closed", actions: "step" },
        timer: { actions: "step" },
      },
    },
    reinit: {
      on: {
        create: { actions: refuseExists },
        reserve: { actions: refuseExists },
        delete: { target: "closed", actions: "step" },
        timer: { actions: "step" },
        "*": { actions: { type: "refuse", params: { reason: "GROUP_ENDED" } } },
      },
    },
    closed: {
      on: {
        create: { actions: refuseExists },
        reserve: { actions: refuseExists },
        timer: {},
        "*": { actions: refuseUnknown },
      },
    },
  },
});
