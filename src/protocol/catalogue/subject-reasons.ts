// Reasons that have to do with what a method is about: applications, identities, groups, streams.
import type { ReasonEntry } from "./reason-entry.ts";

export const subjectReasons = {
  // Applications
  APPLICATION_NOT_FOUND: {
    code: "NOT_FOUND",
    retryable: false,
    message: "there is no such application",
    remedy: "Check `applicationId`.",
  },
  KEY_NOT_FOUND: {
    code: "NOT_FOUND",
    retryable: false,
    message: "the application has no such key",
    remedy: "See `application.listKeys`.",
  },
  SETTING_WIDENED: {
    code: "INVALID_ARGUMENT",
    retryable: false,
    message: "a group may narrow its application's settings, not widen them",
    remedy: "Choose a stricter value for `details.setting`, or change the application's.",
  },

  // Identities
  CLIENT_NOT_FOUND: {
    code: "NOT_FOUND",
    retryable: false,
    message: "there is no such client",
    remedy: "Check `clientId`. The id of a deleted client is never used again.",
  },
  HANDLE_NOT_FOUND: {
    code: "NOT_FOUND",
    retryable: false,
    message: "nobody holds or held that handle",
    remedy: "Check the handle.",
  },
  IDENTITY_INVALID: {
    code: "INVALID_ARGUMENT",
    retryable: false,
    message: "the identity provider does not accept the credential",
    remedy: "`details.cause` says why.",
  },
  HANDLE_TAKEN: {
    code: "ALREADY_EXISTS",
    retryable: false,
    message: "another client holds that handle",
    remedy: "Use another identity, or delete or update its present holder first.",
  },
  NOT_SUCCESSOR: {
    code: "FAILED_PRECONDITION",
    retryable: false,
    message: "the new credential is no valid successor of the present one",
    remedy: 'Use a credential for the same handle and account, or set `identityChange` to `"any"`.',
  },
  VERSION_MISMATCH: {
    code: "ABORTED",
    retryable: false,
    message: "the client's record is not at the version named by `ifVersion`",
    remedy: "Read the record again (`details.version` is the present one) and decide anew.",
  },

  // Groups
  RESERVATION_EXPIRED: {
    code: "ABORTED",
    retryable: true,
    message: "the request took so long that its handle was given back",
    remedy: "Send the same request again, with the same key.",
  },
  STATE_MOVED: {
    code: "ABORTED",
    retryable: true,
    message: "what the request was judged against changed too often meanwhile",
    remedy: "Send the same request again, with the same key.",
  },
  NO_CIPHERSUITE: {
    code: "FAILED_PRECONDITION",
    retryable: false,
    message: "the label holds packages, but none in the suites asked for",
    remedy: "Ask for another suite, or for none in particular.",
  },
  POOL_EMPTY: {
    code: "RESOURCE_EXHAUSTED",
    retryable: false,
    message: "no package is left under that label",
    remedy: "Ask again once the client has published; a last resort prevents this.",
  },
  GROUP_NOT_FOUND: {
    code: "NOT_FOUND",
    retryable: false,
    message: "there is no such group",
    remedy: "Check `groupId`.",
  },
  GROUP_EXISTS: {
    code: "ALREADY_EXISTS",
    retryable: false,
    message: "that group id is or was in use",
    remedy: "Make a fresh random group id: ids are never used again.",
  },
  GROUP_ENDED: {
    code: "FAILED_PRECONDITION",
    retryable: false,
    message: "the group was re-initialised",
    remedy: "Go on in its successor, if there is one.",
  },
  GROUP_INFO_INVALID: {
    code: "INVALID_ARGUMENT",
    retryable: false,
    message: "the GroupInfo is not valid here",
    remedy: "`details.rule` says which rule it breaks.",
  },
  GROUP_INFO_REQUIRED: {
    code: "INVALID_ARGUMENT",
    retryable: false,
    message: "the commit must come with the new epoch's GroupInfo",
    remedy: 'Send `groupInfo`, or set `externalJoin` to `"none"`.',
  },
  TREE_INVALID: {
    code: "INVALID_ARGUMENT",
    retryable: false,
    message: "the ratchet tree is missing or not valid here",
    remedy: "`details.rule` says which rule it breaks.",
  },
  COMMIT_INVALID: {
    code: "INVALID_ARGUMENT",
    retryable: false,
    message: "the commit is not valid",
    remedy: "`details.rule` says which rule it breaks, `details.section` where RFC 9420 has it.",
  },
  PROPOSALS_MISSING: {
    code: "INVALID_ARGUMENT",
    retryable: false,
    message: "the commit leaves out proposals that it must take in, or refers to unknown ones",
    remedy: "Read the stream from the commit's epoch, take in the proposals, commit again.",
  },
  WELCOME_MISMATCH: {
    code: "INVALID_ARGUMENT",
    retryable: false,
    message: "the Welcomes do not address exactly the packages that the commit adds",
    remedy: "`details.rule` says which rule they break. Send all Welcomes with their commit.",
  },
  PROPOSAL_INVALID: {
    code: "INVALID_ARGUMENT",
    retryable: false,
    message: "the proposal is not valid",
    remedy: "`details.rule` says which rule it breaks.",
  },
  MESSAGE_INVALID: {
    code: "INVALID_ARGUMENT",
    retryable: false,
    message: "the message is no application PrivateMessage of this group",
    remedy: "Send one whole MLSMessage; handshakes go by `group.commit` and `group.propose`.",
  },
  EPOCH_CONFLICT: {
    code: "ABORTED",
    retryable: false,
    message: "the message is not for the group's current epoch",
    remedy: "Read the stream from your own epoch, apply what stands there, make the message anew.",
  },
  EPOCH_STALE: {
    code: "ABORTED",
    retryable: false,
    message: "the message's epoch is too far in the past",
    remedy: "Read the stream from your own epoch, apply the commits, encrypt anew.",
  },
  EPOCH_AHEAD: {
    code: "ABORTED",
    retryable: false,
    message: "the message's epoch has not begun",
    remedy: "Wait until the commit that begins it is accepted, then send it again.",
  },
  EPOCH_PRUNED: {
    code: "OUT_OF_RANGE",
    retryable: false,
    message: "that epoch can no longer be rebuilt",
    remedy: "Ask for the current epoch, or join by an external commit.",
  },
  AS_MISMATCH: {
    code: "PERMISSION_DENIED",
    retryable: false,
    message: "the client named by `as` does not own the sender's leaf",
    remedy: "Name the client that made the message.",
  },
  EXTERNAL_JOIN: {
    code: "PERMISSION_DENIED",
    retryable: false,
    message: "the group's `externalJoin` setting does not let this client in",
    remedy: "Ask a member for an Add.",
  },

  // Streams
  STREAM_NOT_FOUND: {
    code: "NOT_FOUND",
    retryable: false,
    message: "there is no such stream",
    remedy: "A stream is a group's log or a client's inbox: check `kind` and `id`.",
  },
  SUBSCRIPTION_NOT_FOUND: {
    code: "NOT_FOUND",
    retryable: false,
    message: "this session has no such subscription",
    remedy: "Subscriptions end with their session: open one again after a reconnect.",
  },
  POSITION_AHEAD: {
    code: "OUT_OF_RANGE",
    retryable: false,
    message: "the position is beyond the stream's end",
    remedy: "Acknowledge only what was delivered.",
  },
  LINEAGE_CHANGED: {
    code: "ABORTED",
    retryable: false,
    message: "the position belongs to a history that was lost",
    remedy: "Read the stream again from its start.",
  },
} as const satisfies Record<string, ReasonEntry>;
