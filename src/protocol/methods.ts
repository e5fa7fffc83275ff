// Every method once: who may call it, whether it changes anything, its parameters, its result and
// the reasons of its own. Types, validation and docs/PROTOCOL.md come from here.
import type { z } from "zod";
import type { Reason } from "./reasons.ts";
import * as application from "./schemas/application.ts";
import * as group from "./schemas/group.ts";
import * as identity from "./schemas/identity.ts";
import * as keyPool from "./schemas/key-pool.ts";
import * as stream from "./schemas/stream.ts";

/**
 * `operator`: the operator's key alone. `application`: any application key for its own application,
 * or the operator's for any. `stream`: the scope follows the stream (`group` a group's log, `identity`
 * an inbox). Otherwise an application key that carries that scope; the operator's key has no
 * application, so it gets PERMISSION_DENIED/SCOPE there.
 */
export type MethodScope = "operator" | "application" | "identity" | "keyPool" | "group" | "stream";

export interface MethodEntry {
  readonly scope: MethodScope;
  /** Takes `meta.key` (E4). */
  readonly mutates: boolean;
  /** The result holds a secret: what is remembered for a retry is encrypted. */
  readonly secret?: boolean;
  readonly params: z.ZodType;
  readonly result: z.ZodType;
  /** Reasons beyond the common ones. */
  readonly reasons: readonly Reason[];
  readonly summary: string;
}

function method<P extends z.ZodType, R extends z.ZodType>(
  schemas: { readonly params: P; readonly result: R },
  entry: Omit<MethodEntry, "params" | "result">,
): MethodEntry & { readonly params: P; readonly result: R } {
  return { ...entry, ...schemas };
}

export const methods = {
  "application.create": method(application.applicationCreate, {
    scope: "operator",
    mutates: true,
    secret: true,
    reasons: ["PROVIDER_UNSUPPORTED"],
    summary: "Defines an application. Its first key has all scopes; `secret` is the whole token, shown once.",
  }),
  "application.list": method(application.applicationList, {
    scope: "operator",
    mutates: false,
    reasons: ["CURSOR_INVALID"],
    summary: "All applications.",
  }),
  "application.delete": method(application.applicationDelete, {
    scope: "operator",
    mutates: true,
    reasons: ["APPLICATION_NOT_FOUND"],
    summary: "Deletes an application and all of it; its sessions close with 4501.",
  }),
  "application.get": method(application.applicationGet, {
    scope: "application",
    mutates: false,
    reasons: ["APPLICATION_NOT_FOUND"],
    summary: "An application's published parameters (RFC 9750 §7). An application key may ask for its own.",
  }),
  "application.update": method(application.applicationUpdate, {
    scope: "operator",
    mutates: true,
    reasons: ["APPLICATION_NOT_FOUND", "PROVIDER_UNSUPPORTED"],
    summary: "Changes settings: each key given replaces, whole, what stood there.",
  }),
  "application.createKey": method(application.applicationCreateKey, {
    scope: "operator",
    mutates: true,
    secret: true,
    reasons: ["APPLICATION_NOT_FOUND", "KEYS_LIMIT"],
    summary: "Makes a key. `secret` is the whole token, shown once.",
  }),
  "application.listKeys": method(application.applicationListKeys, {
    scope: "operator",
    mutates: false,
    reasons: ["APPLICATION_NOT_FOUND"],
    summary: "The application's keys, without their secrets.",
  }),
  "application.revokeKey": method(application.applicationRevokeKey, {
    scope: "operator",
    mutates: true,
    reasons: ["APPLICATION_NOT_FOUND", "KEY_NOT_FOUND"],
    summary: "Ends a key within 2 s on every node; its sessions close with 4501.",
  }),

  "identity.create": method(identity.identityCreate, {
    scope: "identity",
    mutates: true,
    reasons: ["IDENTITY_INVALID", "HANDLE_TAKEN", "TAGS_LIMIT", "QUOTA"],
    summary: "Registers a client under its MLS credential. `details.cause` of IDENTITY_INVALID says why not.",
  }),
  "identity.get": method(identity.identityGet, {
    scope: "identity",
    mutates: false,
    reasons: [],
    summary: "Reads up to 1,000 clients, in the order asked; each is a record or an error of its own.",
  }),
  "identity.find": method(identity.identityFind, {
    scope: "identity",
    mutates: false,
    reasons: ["FILTER_EMPTY", "CURSOR_INVALID"],
    summary:
      "Finds clients by tags: all of `all`, at least one of `any`, none of `none`. Sees every create, update and delete acknowledged before, on any node.",
  }),
  "identity.resolve": method(identity.identityResolve, {
    scope: "identity",
    mutates: false,
    reasons: ["HANDLE_NOT_FOUND", "IDENTITY_INVALID"],
    summary: "Who holds an identity or handle now; else, with `current: false`, who held it last.",
  }),
  "identity.history": method(identity.identityHistory, {
    scope: "identity",
    mutates: false,
    reasons: ["CLIENT_NOT_FOUND"],
    summary: "All identities that a client has had.",
  }),
  "identity.update": method(identity.identityUpdate, {
    scope: "identity",
    mutates: true,
    reasons: [
      "CLIENT_NOT_FOUND",
      "IDENTITY_INVALID",
      "HANDLE_TAKEN",
      "NOT_SUCCESSOR",
      "VERSION_MISMATCH",
      "TAGS_LIMIT",
    ],
    summary:
      "Changes a client's identity or tags; its id stays. Once acknowledged, no claim returns a KeyPackage under the old identity.",
  }),
  "identity.validate": method(identity.identityValidate, {
    scope: "identity",
    mutates: false,
    reasons: [],
    summary: "What the identity provider says of a credential; writes nothing.",
  }),
  "identity.delete": method(identity.identityDelete, {
    scope: "identity",
    mutates: true,
    reasons: ["CLIENT_NOT_FOUND"],
    summary: "Deletes a client with its tags, key pool and inbox. Its id is never used again.",
  }),

  "keyPool.publish": method(keyPool.keyPoolPublish, {
    scope: "keyPool",
    mutates: true,
    reasons: ["CLIENT_NOT_FOUND"],
    summary:
      "Publishes KeyPackages, each judged by itself (index -1 is the last resort). `reset` empties the label's queues in the same atomic step. A package sent again while unclaimed is in `accepted` and changes nothing. `available` does not count the last resort.",
  }),
  "keyPool.claim": method(keyPool.keyPoolClaim, {
    scope: "keyPool",
    mutates: true,
    reasons: ["TOO_MANY_TARGETS", "FILTER_EMPTY"],
    summary:
      "Takes one KeyPackage for each client named or found by a filter, at most 1,000 clients. The first suite in order that has one; the soonest to expire first; never one that expires within a minute. A one-time package goes out once.",
  }),
  "keyPool.status": method(keyPool.keyPoolStatus, {
    scope: "keyPool",
    mutates: false,
    reasons: [],
    summary: "How full the queues of up to 1,000 clients are.",
  }),
  "keyPool.list": method(keyPool.keyPoolList, {
    scope: "keyPool",
    mutates: false,
    reasons: ["CLIENT_NOT_FOUND"],
    summary: "What a client's pool holds.",
  }),
  "keyPool.remove": method(keyPool.keyPoolRemove, {
    scope: "keyPool",
    mutates: true,
    reasons: ["CLIENT_NOT_FOUND"],
    summary: "Takes packages out of a pool, by ref or all of them.",
  }),

  "group.create": method(group.groupCreate, {
    scope: "group",
    mutates: true,
    reasons: [
      "GROUP_EXISTS",
      "GROUP_INFO_INVALID",
      "TREE_INVALID",
      "TRACKING_UNSUPPORTED",
      "AS_MISMATCH",
      "SETTING_WIDENED",
      "MEMBERS_LIMIT",
      "QUOTA",
    ],
    summary:
      "Brings a group into being from a GroupInfo signed by a member, at whatever epoch it is. `ordering`: handshakes may be PrivateMessages; the back-end orders by epoch and checks GroupInfo and tree when given.",
  }),
  "group.commit": method(group.groupCommit, {
    scope: "group",
    mutates: true,
    reasons: [
      "GROUP_NOT_FOUND",
      "EPOCH_CONFLICT",
      "COMMIT_INVALID",
      "PROPOSALS_MISSING",
      "GROUP_INFO_INVALID",
      "GROUP_INFO_REQUIRED",
      "TREE_INVALID",
      "WELCOME_MISMATCH",
      "GROUP_ENDED",
      "EXTERNAL_JOIN",
      "AS_MISMATCH",
      "MEMBERS_LIMIT",
    ],
    summary:
      "Submits a commit for the current epoch; exactly one wins. EPOCH_CONFLICT's details are `{epoch, position, winner?: {committer?, digest}}`: read the stream from your own epoch and try again. The same bytes again answer as the first time. `ratchetTree`, `added` and `removed` serve `ordering` tracking, which can't know them.",
  }),
  "group.putGroupInfo": method(group.groupPutGroupInfo, {
    scope: "group",
    mutates: true,
    reasons: ["GROUP_NOT_FOUND", "GROUP_INFO_INVALID", "GROUP_ENDED"],
    summary: "Replaces the stored GroupInfo of the current epoch by another member's, equal in context and tag.",
  }),
  "group.propose": method(group.groupPropose, {
    scope: "group",
    mutates: true,
    reasons: ["GROUP_NOT_FOUND", "EPOCH_CONFLICT", "PROPOSAL_INVALID", "GROUP_ENDED", "AS_MISMATCH"],
    summary: "Submits a proposal for the current epoch.",
  }),
  "group.send": method(group.groupSend, {
    scope: "group",
    mutates: true,
    reasons: ["GROUP_NOT_FOUND", "EPOCH_STALE", "EPOCH_AHEAD", "MESSAGE_INVALID", "GROUP_ENDED", "AS_MISMATCH"],
    summary: "Sends an application PrivateMessage of the current epoch or up to `pastEpochs` before.",
  }),
  "group.get": method(group.groupGet, {
    scope: "group",
    mutates: false,
    reasons: ["GROUP_NOT_FOUND"],
    summary: "A group's head, and what `include` asks for.",
  }),
  "group.tree": method(group.groupTree, {
    scope: "group",
    mutates: false,
    reasons: ["GROUP_NOT_FOUND", "EPOCH_PRUNED"],
    summary: "A slice of the encoded ratchet tree; `total` is its whole size in bytes.",
  }),
  "group.members": method(group.groupMembers, {
    scope: "group",
    mutates: false,
    reasons: ["GROUP_NOT_FOUND", "CURSOR_INVALID"],
    summary: "A group's members.",
  }),
  "group.list": method(group.groupList, {
    scope: "group",
    mutates: false,
    reasons: ["CLIENT_NOT_FOUND"],
    summary: "The groups that a client is a member of.",
  }),
  "group.update": method(group.groupUpdate, {
    scope: "group",
    mutates: true,
    reasons: ["GROUP_NOT_FOUND", "SETTING_WIDENED", "GROUP_ENDED"],
    summary: "Narrows the group's settings.",
  }),
  "group.delete": method(group.groupDelete, {
    scope: "group",
    mutates: true,
    reasons: ["GROUP_NOT_FOUND"],
    summary: "Ends a group: a `closed` event, then its log goes. Its id is never used again.",
  }),

  "subscription.open": method(stream.subscriptionOpen, {
    scope: "stream",
    mutates: false,
    reasons: ["SUBSCRIPTIONS_LIMIT"],
    summary: "Opens a subscription of this session with a start credit. It carries many streams.",
  }),
  "subscription.add": method(stream.subscriptionAdd, {
    scope: "stream",
    mutates: false,
    reasons: ["SUBSCRIPTION_NOT_FOUND", "STREAM_NOT_FOUND", "STREAMS_LIMIT", "SCOPE"],
    summary:
      "Adds up to 1,000 streams; each is answered in order by its number or an error of its own. `after`: a position, `start`, `now`, or for a group `{epoch}` (after the commit that began that epoch). Default: an inbox from what was last acknowledged, a group from `now`.",
  }),
  "subscription.remove": method(stream.subscriptionRemove, {
    scope: "stream",
    mutates: false,
    reasons: ["SUBSCRIPTION_NOT_FOUND"],
    summary: "Takes streams, by their numbers, out of a subscription.",
  }),
  "subscription.close": method(stream.subscriptionClose, {
    scope: "stream",
    mutates: false,
    reasons: ["SUBSCRIPTION_NOT_FOUND"],
    summary: "Ends a subscription with all its streams.",
  }),
  "stream.read": method(stream.streamRead, {
    scope: "stream",
    mutates: false,
    reasons: ["STREAM_NOT_FOUND", "SCOPE"],
    summary:
      "Reads a slice of a stream without a subscription. `position` is where to go on, `more` that there is more.",
  }),
  "stream.acknowledge": method(stream.streamAcknowledge, {
    scope: "stream",
    mutates: true,
    reasons: ["STREAM_NOT_FOUND", "POSITION_AHEAD", "LINEAGE_CHANGED", "SCOPE"],
    summary: "Acknowledges an inbox up to a position, for all sessions; what lies before it goes.",
  }),
};

export type Methods = typeof methods;
export type MethodName = keyof Methods;
/** Parameters as a service sees them: checked, with defaults. */
export type Params<M extends MethodName> = z.output<Methods[M]["params"]>;
/** Parameters as a caller writes them. */
export type ParamsInput<M extends MethodName> = z.input<Methods[M]["params"]>;
/** A result as the caller sees it. */
export type Result<M extends MethodName> = z.output<Methods[M]["result"]>;

/** Reasons that any method may give. */
export const commonReasons: readonly Reason[] = [
  "BAD_PARAMS",
  "SCOPE",
  "KEY_REUSED",
  "RATE_LIMITED",
  "IN_FLIGHT_LIMIT",
  "MAILBOX_FULL",
  "DEADLINE_EXCEEDED",
  "CANCELLED",
  "STORE_UNAVAILABLE",
  "NOT_OWNER",
  "OUTCOME_UNKNOWN",
  "DRAINING",
  "INTERNAL",
];

export function isMethodName(name: string): name is MethodName {
  return Object.hasOwn(methods, name);
}
