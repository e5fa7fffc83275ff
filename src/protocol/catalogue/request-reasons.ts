// Reasons that have to do with the request, the caller, limits and outages, whatever the method.
import type { ReasonEntry } from "./reason-entry.ts";

export const requestReasons = {
  // The request itself
  UNKNOWN_METHOD: {
    code: "UNIMPLEMENTED",
    retryable: false,
    message: "this server has no such method",
    remedy: "Check the method's spelling and the server's version in WELCOME.",
  },
  BAD_PARAMS: {
    code: "INVALID_ARGUMENT",
    retryable: false,
    message: "the parameters do not fit the method",
    remedy: "Correct the parameter that `details.path` names.",
  },
  CURSOR_INVALID: {
    code: "INVALID_ARGUMENT",
    retryable: false,
    message: "the cursor was not made by this method for this application",
    remedy: "Begin again without a cursor.",
  },
  FILTER_EMPTY: {
    code: "INVALID_ARGUMENT",
    retryable: false,
    message: "a filter needs at least one tag in `all` or `any`",
    remedy: "Give `all` or `any`; `none` alone selects nothing.",
  },
  KEY_REUSED: {
    code: "ALREADY_EXISTS",
    retryable: false,
    message: "this idempotency key was used with other parameters",
    remedy: "Make a fresh key for each new intent; send a retry exactly as the first time.",
  },
  DEADLINE_EXCEEDED: {
    code: "DEADLINE_EXCEEDED",
    retryable: true,
    message: "the request's time ran out before it ran",
    remedy: "It was not applied. Send it again, with a longer `ttlMs` if it happens often.",
  },
  CANCELLED: {
    code: "CANCELLED",
    retryable: false,
    message: "the request was cancelled before it ran",
    remedy: "It was not applied.",
  },
  INTERNAL: {
    code: "INTERNAL",
    retryable: false,
    message: "the server made a mistake",
    remedy: "It was not applied. Report it with the time; the server's log has the cause.",
  },

  // Who asks
  SUBPROTOCOL_REQUIRED: {
    code: "INVALID_ARGUMENT",
    retryable: false,
    message: "the upgrade request names no supported subprotocol",
    remedy: "Send `Sec-WebSocket-Protocol: aegis.v1`.",
  },
  KEY_UNKNOWN: {
    code: "UNAUTHENTICATED",
    retryable: false,
    message: "the bearer token is missing or unknown",
    remedy: "Send `Authorization: Bearer TOKEN` with the whole token, as it was shown once.",
  },
  KEY_REVOKED: {
    code: "PERMISSION_DENIED",
    retryable: false,
    message: "the key was revoked or has expired",
    remedy: "Use another key; an operator makes one with `application.createKey`.",
  },
  SCOPE: {
    code: "PERMISSION_DENIED",
    retryable: false,
    message: "the key does not carry the scope that this method needs",
    remedy: "Use a key with the scope in `details.scope`.",
  },

  // Limits
  RATE_LIMITED: {
    code: "RESOURCE_EXHAUSTED",
    retryable: true,
    message: "too many requests",
    remedy: "Wait `retryAfterMs`, then send it again.",
  },
  IN_FLIGHT_LIMIT: {
    code: "RESOURCE_EXHAUSTED",
    retryable: true,
    message: "the session has too many unanswered requests",
    remedy: "Wait for answers: keep at most `limits.inFlightMax` requests in flight.",
  },
  MAILBOX_FULL: {
    code: "RESOURCE_EXHAUSTED",
    retryable: true,
    message: "too many requests wait for the same subject",
    remedy: "Send it again after a pause that grows.",
  },
  TREES_WAITING: {
    code: "RESOURCE_EXHAUSTED",
    retryable: true,
    message: "too many whole trees wait to be judged on this node",
    remedy: "It was not applied. Wait `retryAfterMs`, then send it again; if it persists, raise `treeWorkers`.",
  },
  ACTORS_LIMIT: {
    code: "RESOURCE_EXHAUSTED",
    retryable: true,
    message: "this node holds as many live actors as it may",
    remedy: "Try again after a moment; if it persists, add memory and raise `actorsMax`, or add nodes.",
  },
  STREAMS_LIMIT: {
    code: "RESOURCE_EXHAUSTED",
    retryable: false,
    message: "the session has too many streams",
    remedy: "Remove streams, or spread them over several sessions (`limits.streamsMax` each).",
  },
  SUBSCRIPTIONS_LIMIT: {
    code: "RESOURCE_EXHAUSTED",
    retryable: false,
    message: "the session has too many subscriptions",
    remedy: "Put more streams into one subscription: it carries many.",
  },
  QUOTA: {
    code: "RESOURCE_EXHAUSTED",
    retryable: false,
    message: "the application's quota is used up",
    remedy: "An operator can raise the quota that `details.quota` names.",
  },
  TAGS_LIMIT: {
    code: "RESOURCE_EXHAUSTED",
    retryable: false,
    message: "a client can carry 64 tags",
    remedy: "Remove tags first.",
  },
  KEYS_LIMIT: {
    code: "RESOURCE_EXHAUSTED",
    retryable: false,
    message: "the application has too many keys",
    remedy: "Revoke keys that are no longer used.",
  },
  MEMBERS_LIMIT: {
    code: "RESOURCE_EXHAUSTED",
    retryable: false,
    message: "the group would have more members than it may",
    remedy: "Raise `groupMembersMax`, or add fewer.",
  },
  PROPOSALS_LIMIT: {
    code: "RESOURCE_EXHAUSTED",
    retryable: false,
    message: "the epoch holds as many proposals as it may",
    remedy: "Commit; the next epoch begins without proposals.",
  },
  TOO_MANY_TARGETS: {
    code: "OUT_OF_RANGE",
    retryable: false,
    message: "the targets stand for more than 1,000 clients",
    remedy: "Split the claim.",
  },

  // Availability
  STORE_UNAVAILABLE: {
    code: "UNAVAILABLE",
    retryable: true,
    message: "the store can't be reached",
    remedy: "It was not applied. Send it again after a pause that grows.",
  },
  NOT_OWNER: {
    code: "UNAVAILABLE",
    retryable: true,
    message: "the subject is moving between nodes",
    remedy: "It was not applied. Send it again after a short pause.",
  },
  TREE_WORKER_LOST: {
    code: "UNAVAILABLE",
    retryable: true,
    message: "the thread that judged the tree ended",
    remedy:
      "It was not applied. Send it again; if the same tree ends it again, it needs more memory than `treeWorkerMebibytes`.",
  },
  OUTCOME_UNKNOWN: {
    code: "UNAVAILABLE",
    retryable: true,
    message: "the request may or may not have been applied",
    remedy: "Send it again with the same idempotency key: the answer is then the one true one.",
  },
  DRAINING: {
    code: "UNAVAILABLE",
    retryable: true,
    message: "the node is shutting down",
    remedy: "It was not applied. Connect again: another node, or this one after its restart, takes it.",
  },
} as const satisfies Record<string, ReasonEntry>;
