// A client: its identity and tags through time, and its inbox. unborn → active → deleted, or unborn →
// never when a reservation is settled before the client was made (rule 5). The id is never used again.
import { and, assign, emit, enqueueActions, setup } from "xstate";
import { encode } from "../protocol/codec.ts";
import { refuse } from "../protocol/errors.ts";
import type { ActorAddress, Command } from "./actor-port.ts";
import type { Effect } from "./effects.ts";
import { EXPIRY_TIMER, expiryAnnounced, expiryTimer } from "./identity-expiry.ts";
import {
  acknowledged,
  EMPTY_INBOX,
  membershipPart,
  received,
  withEvent,
  type AcknowledgeCommand,
  type DeliverCommand,
  type Inbox,
  type InboxRetention,
} from "./inbox.ts";
import { CLIENTS_LIST, indexedTag } from "./tag-names.ts";
import type { MachineInput, TimerCommand, WithFacts } from "./machine-types.ts";

/** What a credential says, as the provider judged it before the turn (L4). */
export interface IdentityFacts {
  /** Base64 of the Credential struct. */
  readonly credential: string;
  readonly handle: string;
  readonly handleId: string;
  readonly account?: string;
  readonly domain?: string;
  readonly notAfter?: number;
}

export interface IdentityContext {
  readonly applicationId: string;
  readonly id: string;
  readonly identity?: IdentityFacts;
  readonly tags: readonly string[];
  readonly version: number;
  /** Rises when the identity changes; key pools keep packages of one only. */
  readonly identityVersion: number;
  readonly identitySince: number;
  readonly createdAt: number;
  readonly updatedAt: number;
  /** Under which the handle is held. */
  readonly reservation?: string;
  /** Reservations of updates that were settled as unused: too late for them. */
  readonly voided: readonly VoidedReservation[];
  readonly inbox: Inbox;
  /** Of identities that expire: the machine itself then has something to say. */
  readonly inboxRetention?: InboxRetention;
}

export interface VoidedReservation {
  readonly reservation: string;
  readonly at: number;
}

export interface TagChange {
  readonly set?: readonly string[];
  readonly add?: readonly string[];
  readonly remove?: readonly string[];
}

export type IdentityCommand =
  | {
      readonly type: "create";
      readonly reservation: string;
      readonly identity: IdentityFacts;
      readonly tags: readonly string[];
      readonly retention: InboxRetention;
    }
  | {
      readonly type: "update";
      readonly identity?: IdentityFacts;
      /** The reservation of the new handle, when the handle changes. */
      readonly reservation?: string;
      /** The version whose identity the facts were judged against. */
      readonly judgedVersion?: number;
      readonly successor?: boolean;
      readonly tags?: TagChange;
      readonly ifVersion?: number;
      readonly retention: InboxRetention;
    }
  | { readonly type: "delete" }
  | { readonly type: "settleReservation"; readonly reservation: string; readonly handleId: string }
  | DeliverCommand
  | AcknowledgeCommand
  | TimerCommand;

/** Tags of one client. */
export const TAGS_MAX = 64;
/** Void reservations that are remembered; while so many are young, no further one is declared void. */
const VOIDED_MAX = 64;
/** Longer than any update may live. */
const VOIDED_KEEP_MS = 900_000;

type Event = WithFacts<IdentityCommand>;
type Args = { readonly context: IdentityContext; readonly event: Event };

function changedTags(tags: readonly string[], change: TagChange | undefined): readonly string[] {
  if (change === undefined) return tags;
  if (change.set !== undefined) return [...new Set(change.set)];
  const removed = new Set(change.remove);
  return [...new Set([...tags, ...(change.add ?? [])])].filter((tag) => !removed.has(tag));
}

/** The group has the back-end propose that this client's leaf goes (PROTOCOL M6). */
function leaveGroup({ applicationId, id }: IdentityContext, groupActorId: string): Effect {
  return tell({ applicationId, kind: "group", id: groupActorId }, { type: "removeClient", clientId: id });
}

function handleAddress(context: IdentityContext, handleId: string): ActorAddress {
  return { applicationId: context.applicationId, kind: "handle", id: handleId };
}

function releaseOf({ id, reservation }: IdentityContext): Command & Record<string, unknown> {
  return { type: "release", clientId: id, reservation };
}

function youngVoided({ voided }: IdentityContext, now: number): readonly VoidedReservation[] {
  return voided.filter(({ at }) => at > now - VOIDED_KEEP_MS);
}

function tell(to: ActorAddress, command: Command & Record<string, unknown>): Effect {
  return { type: "tell", to, command };
}

/** Entries carry the client's whole set of tags, and all clients stand in one list (rule 6). */
function indexed(clientId: string, version: number, tags: readonly string[], removed: readonly string[]): Effect {
  const whole = [CLIENTS_LIST, ...tags.map(indexedTag)];
  return { type: "indexTags", clientId, version, tags: whole, removed: removed.map(indexedTag) };
}

function recordOf(context: IdentityContext): Effect {
  return { type: "reply", value: clientRecord(context) };
}

/** The `clientRecord` of the protocol; the credential goes as bytes. */
export function clientRecord(context: IdentityContext): Record<string, unknown> {
  const { identity } = context;
  return {
    clientId: context.id,
    clientIdentity: Buffer.from(identity?.credential ?? "", "base64"),
    handle: identity?.handle,
    account: identity?.account,
    domain: identity?.domain,
    tags: context.tags,
    version: context.version,
    notAfter: identity?.notAfter,
    createdAt: context.createdAt,
    updatedAt: context.updatedAt,
  };
}

function historyPart(context: IdentityContext, until: number): Effect {
  const { identity, identitySince, identityVersion } = context;
  const name = `history/${String(identityVersion).padStart(10, "0")}`;
  const { credential = "", handle } = identity ?? {};
  return { type: "putPart", name, bytes: encode({ credential, handle, from: identitySince, until }) };
}

/** What an accepted update owes: the tag index, the handles, the key pool, and the client itself. */
function updateEffects(before: IdentityContext, event: Extract<Event, { type: "update" }>): Effect[] {
  const effects: Effect[] = [];
  const { identity } = event;
  const tags = changedTags(before.tags, event.tags);
  const removed = before.tags.filter((tag) => !tags.includes(tag));
  effects.push(indexed(before.id, before.version + 1, tags, removed));
  if (identity === undefined) return effects;
  const old = before.identity;
  effects.push(historyPart(before, event.now), ...expiryTimer(old?.notAfter, identity.notAfter, event.now));
  if (old !== undefined && old.handleId !== identity.handleId) {
    effects.push(
      tell(handleAddress(before, identity.handleId), {
        type: "hold",
        clientId: before.id,
        reservation: event.reservation,
      }),
      tell(handleAddress(before, old.handleId), releaseOf(before)),
    );
  }
  effects.push(
    tell(
      { applicationId: before.applicationId, kind: "keyPool", id: before.id },
      {
        type: "changeIdentity",
        identityVersion: before.identityVersion + 1,
      },
    ),
  );
  return effects;
}

function updatedContext({ context, event }: Args): Partial<IdentityContext> {
  if (event.type !== "update") return {};
  const identity = event.identity ?? context.identity;
  return {
    ...(identity === undefined ? {} : { identity }),
    tags: changedTags(context.tags, event.tags),
    version: context.version + 1,
    identityVersion: context.identityVersion + (event.identity === undefined ? 0 : 1),
    identitySince: event.identity === undefined ? context.identitySince : event.now,
    updatedAt: event.now,
    ...retentionFor(identity, event.retention),
    ...(event.reservation === undefined ? {} : { reservation: event.reservation }),
  };
}

function retentionFor(
  identity: IdentityFacts | undefined,
  inboxRetention: InboxRetention,
): Pick<IdentityContext, "inboxRetention"> {
  return identity?.notAfter === undefined ? {} : { inboxRetention };
}

const { createMachine } = setup({
  types: {
    context: {} as IdentityContext,
    events: {} as Event,
    emitted: {} as Effect,
    input: {} as MachineInput,
  },
  guards: {
    tooManyTags: ({ context, event }) =>
      (event.type === "create" && new Set(event.tags).size > TAGS_MAX) ||
      (event.type === "update" && changedTags(context.tags, event.tags).length > TAGS_MAX),
    sameReservation: ({ context, event }) => event.type === "create" && event.reservation === context.reservation,
    voidedReservation: ({ context, event }) =>
      event.type === "update" && context.voided.some(({ reservation }) => reservation === event.reservation),
    otherVersion: ({ context, event }) =>
      event.type === "update" && event.ifVersion !== undefined && event.ifVersion !== context.version,
    judgedOtherIdentity: ({ context, event }) =>
      event.type === "update" && event.judgedVersion !== undefined && event.judgedVersion !== context.version,
    notSuccessor: ({ event }) => event.type === "update" && event.successor === false,
    changesIdentity: ({ event }) => event.type === "update" && event.identity !== undefined,
    usesReservation: ({ context, event }) =>
      event.type === "settleReservation" &&
      (context.reservation === event.reservation || context.identity?.handleId === event.handleId),
    voidedFull: ({ context, event }) => youngVoided(context, event.now).length >= VOIDED_MAX,
    aheadOfInbox: ({ context, event }) => event.type === "acknowledge" && event.offset > context.inbox.window.last,
    expiryDue: ({ event }) => event.type === "timer" && event.name === EXPIRY_TIMER,
    joinsGroup: ({ event }) => event.type === "deliver" && event.membership?.member === true,
    acknowledgesMore: ({ context, event }) => event.type === "acknowledge" && event.offset > context.inbox.acknowledged,
  },
  actions: {
    born: assign(({ context, event }) => {
      if (event.type !== "create") return {};
      return {
        ...context,
        identity: event.identity,
        tags: [...new Set(event.tags)],
        version: 1,
        identityVersion: 1,
        identitySince: event.now,
        createdAt: event.now,
        updatedAt: event.now,
        reservation: event.reservation,
        ...retentionFor(event.identity, event.retention),
      };
    }),
    announceBirth: enqueueActions(({ context, event, enqueue }) => {
      const { id, tags, version, reservation, identity } = context;
      enqueue.emit(indexed(id, version, tags, []));
      enqueue.emit(tell(handleAddress(context, identity?.handleId ?? ""), { type: "hold", clientId: id, reservation }));
      for (const effect of expiryTimer(undefined, identity?.notAfter, event.now)) enqueue.emit(effect);
    }),
    oweUpdate: enqueueActions(({ context, event, enqueue }) => {
      if (event.type !== "update") return;
      for (const effect of updateEffects(context, event)) enqueue.emit(effect);
    }),
    update: assign((args) => updatedContext(args)),
    announceIdentity: enqueueActions(({ context, event, enqueue }) => {
      if (event.type !== "update") return;
      const step = withEvent(
        context.inbox,
        "identity.updated",
        { version: context.version },
        event.retention,
        event.now,
      );
      enqueue.assign({ inbox: step.inbox });
      for (const effect of step.effects) enqueue.emit(effect);
    }),
    announceExpiry: enqueueActions(({ context: { inbox, identity, inboxRetention }, event, enqueue }) => {
      if (identity?.notAfter === undefined || inboxRetention === undefined) return;
      const step = expiryAnnounced(inbox, identity.notAfter, inboxRetention, event.now);
      enqueue.assign({ inbox: step.inbox });
      for (const effect of step.effects) enqueue.emit(effect);
    }),
    answerRecord: emit(({ context }) => recordOf(context)),
    oweDeletion: enqueueActions(({ context, event, enqueue }) => {
      const { applicationId, id, identity, tags, version } = context;
      enqueue.emit({ type: "purge" });
      const removed = [CLIENTS_LIST, ...tags.map(indexedTag)];
      enqueue.emit({ type: "indexTags", clientId: id, version: version + 1, tags: [], removed });
      enqueue.emit(tell(handleAddress(context, identity?.handleId ?? ""), releaseOf(context)));
      enqueue.emit(tell({ applicationId, kind: "keyPool", id }, { type: "close" }));
      for (const effect of expiryTimer(identity?.notAfter, undefined, event.now)) enqueue.emit(effect);
      for (const name of event.directory.list(membershipPart(""))) {
        enqueue.emit(leaveGroup(context, name.slice(membershipPart("").length)));
      }
    }),
    leaveLateGroup: emit(({ context, event }): Effect => {
      if (event.type !== "deliver" || event.membership === undefined) throw new Error("only a membership can be left");
      return leaveGroup(context, event.membership.groupActorId);
    }),
    die: assign(({ context, event }) => ({
      ...context,
      tags: [],
      version: context.version + 1,
      updatedAt: event.now,
      inbox: { ...context.inbox, window: { last: context.inbox.window.last, segments: [] } },
    })),
    answerSettled: emit(({ context, event }, params: { held: boolean }): Effect => {
      if (event.type !== "settleReservation") throw new Error("only settleReservation is settled");
      const { reservation } = event;
      // Another than the one asked about, when the client holds the handle already and only reserved it again.
      const under = params.held ? { under: context.reservation } : {};
      const command = { type: "reservationSettled", reservation, held: params.held, ...under };
      return tell(handleAddress(context, event.handleId), command);
    }),
    voidReservation: assign(({ context, event }) => {
      if (event.type !== "settleReservation") return {};
      return { voided: [...youngVoided(context, event.now), { reservation: event.reservation, at: event.now }] };
    }),
    deliver: enqueueActions(({ context, event, enqueue }) => {
      if (event.type !== "deliver") return;
      const step = received(context.inbox, event, event.now);
      enqueue.assign({ inbox: step.inbox });
      for (const effect of step.effects) enqueue.emit(effect);
    }),
    acknowledge: enqueueActions(({ context, event, enqueue }) => {
      if (event.type !== "acknowledge") return;
      const step = acknowledged(context.inbox, event.offset);
      enqueue.assign({ inbox: step.inbox });
      for (const effect of step.effects) enqueue.emit(effect);
    }),
    answerAcknowledged: emit(({ context }): Effect => ({
      type: "reply",
      value: { offset: context.inbox.acknowledged },
    })),
    refuse: emit((_, params: { reason: Parameters<typeof refuse>[0] }): Effect => ({
      type: "refuse",
      refusal: refuse(params.reason),
    })),
    refuseVersion: emit(({ context }): Effect => ({
      type: "refuse",
      refusal: refuse("VERSION_MISMATCH", { details: { version: context.version } }),
    })),
  },
});

const refuseUnknown = { type: "refuse", params: { reason: "CLIENT_NOT_FOUND" } } as const;

export const identityMachine = createMachine({
  id: "identity",
  context: ({ input }) => ({
    applicationId: input.applicationId,
    id: input.id,
    tags: [],
    version: 0,
    identityVersion: 0,
    identitySince: 0,
    createdAt: 0,
    updatedAt: 0,
    voided: [],
    inbox: EMPTY_INBOX,
  }),
  initial: "unborn",
  states: {
    unborn: {
      on: {
        create: [
          { guard: "tooManyTags", actions: { type: "refuse", params: { reason: "TAGS_LIMIT" } } },
          { target: "active", actions: ["born", "announceBirth", "answerRecord"] },
        ],
        settleReservation: { target: "never", actions: { type: "answerSettled", params: { held: false } } },
        "*": { actions: refuseUnknown },
      },
    },
    active: {
      on: {
        create: [
          { guard: "sameReservation", actions: "answerRecord" },
          { actions: { type: "refuse", params: { reason: "RESERVATION_EXPIRED" } } },
        ],
        update: [
          { guard: "otherVersion", actions: "refuseVersion" },
          { guard: "judgedOtherIdentity", actions: { type: "refuse", params: { reason: "STATE_MOVED" } } },
          { guard: "tooManyTags", actions: { type: "refuse", params: { reason: "TAGS_LIMIT" } } },
          {
            guard: and(["changesIdentity", "notSuccessor"]),
            actions: { type: "refuse", params: { reason: "NOT_SUCCESSOR" } },
          },
          { guard: "voidedReservation", actions: { type: "refuse", params: { reason: "RESERVATION_EXPIRED" } } },
          { guard: "changesIdentity", actions: ["oweUpdate", "update", "announceIdentity", "answerRecord"] },
          { actions: ["oweUpdate", "update", "answerRecord"] },
        ],
        delete: { target: "deleted", actions: ["oweDeletion", "die"] },
        settleReservation: [
          { guard: "usesReservation", actions: { type: "answerSettled", params: { held: true } } },
          { guard: "voidedFull", actions: { type: "refuse", params: { reason: "STATE_MOVED" } } },
          { actions: ["voidReservation", { type: "answerSettled", params: { held: false } }] },
        ],
        deliver: { actions: "deliver" },
        timer: { guard: "expiryDue", actions: "announceExpiry" },
        acknowledge: [
          { guard: "aheadOfInbox", actions: { type: "refuse", params: { reason: "POSITION_AHEAD" } } },
          { guard: "acknowledgesMore", actions: ["acknowledge", "answerAcknowledged"] },
          { actions: "answerAcknowledged" },
        ],
      },
    },
    never: {
      on: {
        create: { actions: { type: "refuse", params: { reason: "RESERVATION_EXPIRED" } } },
        settleReservation: { actions: { type: "answerSettled", params: { held: false } } },
        "*": { actions: refuseUnknown },
      },
    },
    deleted: {
      on: {
        create: { actions: { type: "refuse", params: { reason: "RESERVATION_EXPIRED" } } },
        delete: { actions: refuseUnknown },
        // A commit that was judged while the client still lived brought it in.
        deliver: [{ guard: "joinsGroup", actions: "leaveLateGroup" }, { actions: refuseUnknown }],
        settleReservation: { actions: { type: "answerSettled", params: { held: false } } },
        timer: {},
        "*": { actions: refuseUnknown },
      },
    },
  },
});
