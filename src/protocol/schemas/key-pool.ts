// The key pool service's parameters and results (PROTOCOL §4).
import { z } from "zod";
import { clientFailure, filterFields } from "./identity.ts";
import { bool, ciphersuite, count, keyPackageRef, label, list, map, mls, text, time, uuid } from "./primitives.ts";

/** Why one package of a publish was not taken. */
export const rejections = {
  MALFORMED: "the bytes are no MLSMessage with one KeyPackage of MLS 1.0, or longer than `keyPackageBytesMax`",
  SIGNATURE: "the KeyPackage's signature is wrong",
  LEAF_SIGNATURE: "the leaf node's signature is wrong",
  LEAF_SOURCE: "the leaf node's source is not key_package",
  LIFETIME: "the lifetime has not begun or is over",
  LIFETIME_TOO_LONG: "the lifetime is wider than `keyPackageLifetimeMaxMs`",
  CIPHERSUITE: "the suite is not among the application's",
  INIT_KEY: "the init key equals the encryption key, or one of them is known already",
  WRONG_IDENTITY: "the credential is not the client's current identity",
  CAPABILITIES: "the capabilities do not cover the leaf's own extensions and credential",
  USED: "this package was handed out before",
  POOL_FULL: "the queue holds `keyPoolMax` packages",
  LAST_RESORT_MARKED: "the package is marked last_resort but stands among `keyPackages`",
} as const;

export const rejection = z.enum(Object.keys(rejections) as (keyof typeof rejections)[]).meta({ title: "rejection" });

/** Why a claim brought nothing for one client. */
export const claimFailures = {
  NOT_FOUND: "there is no such client",
  NO_CIPHERSUITE: "the label holds packages, but none in the suites asked for",
  POOL_EMPTY: "no package is left under that label",
  RATE_LIMITED: "`claimsPerHour` is used up for this requester and client",
  KEY_REUSED: "the idempotency key was used for this client with other parameters",
  UNAVAILABLE: "not claimed by this request; ask again, with the same key if an answer to it was lost before",
  OUTCOME_UNKNOWN: "may have been claimed; ask again with the same key",
} as const;

export const claimFailure = z
  .enum(Object.keys(claimFailures) as (keyof typeof claimFailures)[])
  .meta({ title: "claimFailure" });

/** One client, or every client that a filter finds. */
export const target = map({ clientId: uuid.exactOptional(), ...filterFields })
  .refine(
    (value) =>
      value.clientId === undefined || (value.all === undefined && value.any === undefined && value.none === undefined),
    "expected either clientId, or all, any and none",
  )
  .meta({ title: "target" });

export const keyPoolPublish = {
  params: map({
    clientId: uuid,
    label: label.default(""),
    keyPackages: list(mls, { max: 100 }),
    lastResort: mls.exactOptional(),
    reset: bool.default(false),
  }),
  result: map({
    accepted: list(keyPackageRef),
    rejected: list(map({ index: z.number().int().min(-1), reason: rejection, message: text(0, 1024) })),
    available: list(map({ ciphersuite, label, available: count })),
  }),
};
/** As many as a group can have members. */
const EXCLUDED_MAX = 131_072;

export const keyPoolClaim = {
  // 1,000 clients are the limit; more get TOO_MANY_TARGETS rather than BAD_PARAMS.
  params: map({
    // More clients than one claim serves is TOO_MANY_TARGETS; much longer lists are not even looked at (G10).
    targets: list(target, { max: 10_000 }),
    exclude: list(uuid, { max: EXCLUDED_MAX }).exactOptional(),
    ciphersuites: list(ciphersuite, { min: 1, max: 64 }).exactOptional(),
    label: label.default(""),
    requester: uuid.exactOptional(),
    allowLastResort: bool.default(true),
  }),
  result: map({
    claimed: list(
      map({ clientId: uuid, ciphersuite, keyPackage: mls, keyPackageRef, lastResort: bool, notAfter: time }),
    ),
    failed: list(map({ clientId: uuid, reason: claimFailure })),
  }),
};
export const queueStatus = map({
  ciphersuite,
  label,
  available: count,
  lastResort: bool,
  soonestNotAfter: time.exactOptional(),
}).meta({ title: "queueStatus" });
export const keyPoolStatus = {
  params: map({ clientIds: list(uuid, { max: 1000 }) }),
  result: map({ pools: list(z.union([map({ clientId: uuid, queues: list(queueStatus) }), clientFailure])) }),
};
export const keyPoolList = {
  params: map({ clientId: uuid }),
  result: map({
    keyPackages: list(map({ keyPackageRef, ciphersuite, label, notAfter: time, lastResort: bool })),
  }),
};
export const keyPoolRemove = {
  params: map({
    clientId: uuid,
    keyPackageRefs: list(keyPackageRef, { max: 10_000 }).exactOptional(),
    all: z.literal(true, "expected true").exactOptional(),
  }).refine(
    (params) => (params.keyPackageRefs === undefined) !== (params.all === undefined),
    "expected either keyPackageRefs or all",
  ),
  result: map({ removed: count }),
};
