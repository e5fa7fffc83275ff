// Applications, their keys and their settings (PROTOCOL §4): the table of settings is this file.
import { z } from "zod";
import {
  binary,
  bool,
  ciphersuite,
  count,
  cursor,
  externalSender,
  keyId,
  list,
  map,
  nilIsAbsent,
  text,
  time,
  uint,
  uint16,
  uuid,
} from "./primitives.ts";

const DAY_MS = 86_400_000;

const range = map({ start: uint(31), end: uint(31) });

const basicProvider = z.object({ type: z.literal("basic") });
const x509Provider = z.object({
  type: z.literal("x509"),
  trustAnchors: list(binary(1), { min: 1, max: 64 }),
  supportsAccounts: bool.default(false),
  supportsDomains: bool.default(false),
  deviceHandleRange: range.default({ start: 0, end: 0 }),
  accountHandleOffset: uint(31).exactOptional(),
  domainNameOffset: uint(31).exactOptional(),
});
export const identityProvider = nilIsAbsent(z.discriminatedUnion("type", [basicProvider, x509Provider])).meta({
  title: "identityProvider",
});

export const scope = z.enum(["identity", "keyPool", "group"], "expected identity, keyPool or group").meta({
  title: "scope",
});
export const externalJoin = z
  .enum(["members", "none", "open"], "expected members, none or open")
  .meta({ title: "externalJoin" });

const groupRetentionFields = {
  ms: uint(Number.MAX_SAFE_INTEGER, 1),
  events: uint(Number.MAX_SAFE_INTEGER, 1),
  bytes: uint(Number.MAX_SAFE_INTEGER, 1),
};
const groupRetention = map({
  ms: groupRetentionFields.ms.default(30 * DAY_MS),
  events: groupRetentionFields.events.default(100_000),
  bytes: groupRetentionFields.bytes.default(268_435_456),
}).meta({ title: "groupRetention" });

const inboxRetention = map({
  ms: uint(Number.MAX_SAFE_INTEGER, 1).default(30 * DAY_MS),
  events: uint(Number.MAX_SAFE_INTEGER, 1).default(10_000),
}).meta({ title: "inboxRetention" });

const quotas = map(
  {
    sessions: uint(1_000_000, 1).nullable().default(1000),
    requestsPerSecond: uint(10_000_000, 1).nullable().default(20_000),
    identities: count.nullable().default(null),
    groups: count.nullable().default(null),
  },
  { nilMeans: ["sessions", "requestsPerSecond", "identities", "groups"] },
).meta({ title: "quotas" });

const proposalType = map({ type: uint16, pathRequired: bool, external: bool }).meta({ title: "proposalType" });

const distinct = (items: readonly unknown[]): boolean => new Set(items).size === items.length;

/** The leaves of the largest tree that is read (src/mls/ratchet-tree): a larger group could not be loaded again. */
const GROUP_MEMBERS_MAX = 131_072;

/** Every setting without its default, so that a change may name some of them. */
const fields = {
  identityProvider,
  identityChange: z.enum(["any", "successor"], "expected any or successor"),
  ciphersuites: list(uint(7, 1), { min: 1, max: 7 }).refine(distinct, "expected no suite twice"),
  keyPackageLifetimeMaxMs: uint(Number.MAX_SAFE_INTEGER, 1).nullable(),
  keyPoolTarget: uint(100_000, 1),
  keyPoolLow: uint(100_000),
  keyPoolMax: uint(100_000, 1),
  claimsPerHour: uint(1_000_000_000, 1),
  externalJoin,
  strangers: bool,
  enforceProposals: bool,
  proposalTypes: list(proposalType, { max: 64 }),
  pastEpochs: uint(1000),
  groupMembersMax: uint(GROUP_MEMBERS_MAX, 1),
  groupRetention,
  inboxRetention,
  quotas,
};

const nilMeans = ["keyPackageLifetimeMaxMs"];

/** All settings; what is absent takes its default. */
export const settings = map(
  {
    identityProvider: fields.identityProvider.default({ type: "basic" }),
    identityChange: fields.identityChange.default("any"),
    ciphersuites: fields.ciphersuites.default([1, 2, 3, 7]),
    keyPackageLifetimeMaxMs: fields.keyPackageLifetimeMaxMs.default(90 * DAY_MS),
    keyPoolTarget: fields.keyPoolTarget.default(100),
    keyPoolLow: fields.keyPoolLow.default(20),
    keyPoolMax: fields.keyPoolMax.default(500),
    claimsPerHour: fields.claimsPerHour.default(200),
    externalJoin: fields.externalJoin.default("members"),
    strangers: fields.strangers.default(false),
    enforceProposals: fields.enforceProposals.default(true),
    proposalTypes: fields.proposalTypes.default([]),
    pastEpochs: fields.pastEpochs.default(1),
    groupMembersMax: fields.groupMembersMax.default(50_000),
    groupRetention: fields.groupRetention.default({ ms: 30 * DAY_MS, events: 100_000, bytes: 268_435_456 }),
    inboxRetention: fields.inboxRetention.default({ ms: 30 * DAY_MS, events: 10_000 }),
    quotas: fields.quotas.default({ sessions: 1000, requestsPerSecond: 20_000, identities: null, groups: null }),
  },
  { nilMeans },
).meta({ title: "settings" });

/** Some settings: those given replace, whole, what stood there. */
export const settingsChange = map(eachOptional(fields), { nilMeans }).meta({ title: "settingsChange" });

function eachOptional<F extends Record<string, z.ZodType>>(all: F): { [K in keyof F]: z.ZodExactOptional<F[K]> } {
  const optional = Object.entries(all).map(([name, schema]) => [name, schema.exactOptional()] as const);
  return Object.fromEntries(optional) as { [K in keyof F]: z.ZodExactOptional<F[K]> };
}

/** What a group may narrow; absent: as the application has it. */
export const groupSettings = map({
  externalJoin: externalJoin.exactOptional(),
  enforceProposals: bool.exactOptional(),
  pastEpochs: fields.pastEpochs.exactOptional(),
  groupMembersMax: fields.groupMembersMax.exactOptional(),
  // What is left out stays as the application has it: its default might be wider than that.
  groupRetention: map(eachOptional(groupRetentionFields)).exactOptional(),
}).meta({ title: "groupSettings" });

export const settingMeanings = {
  identityProvider: "who judges credentials",
  identityChange: "`successor`: a new credential must be a valid successor of the present one",
  ciphersuites: "allowed, of 1–7, in the order preferred by claims",
  keyPackageLifetimeMaxMs: "greatest width of a KeyPackage's lifetime; nil: no limit",
  keyPoolTarget: "packages a queue should hold",
  keyPoolLow: "a queue that falls to it puts `keyPool.low` into the inbox",
  keyPoolMax: "packages a queue can hold",
  claimsPerHour: "by one requester (or session, if none is named) on one client",
  externalJoin: "`members`: resync of members only; `none`; `open`",
  strangers: "leaves of unregistered clients are let in",
  enforceProposals: "commits must take in the back-end's own proposals",
  proposalTypes: "custom proposals without effect on tree or context",
  pastEpochs: "for `group.send`: epochs before the current one that are still taken",
  groupMembersMax: "members a group can have",
  groupRetention: "the limit that is reached first trims the group's log",
  inboxRetention: "the limit that is reached first trims an inbox",
  quotas:
    "of the application; nil: none. `identities` and `groups` hold on each node; while several nodes create at once, and after creates of unknown outcome, they may be passed by as many as were under way",
} as const satisfies Record<keyof typeof fields, string>;

const newKey = map({ keyId, secret: text(1, 512) });

export const applicationCreate = {
  params: map({ name: text(1, 256), settings: settingsChange.exactOptional() }),
  result: map({ applicationId: uuid, key: newKey }),
};
export const applicationList = {
  params: map({ cursor: cursor.exactOptional(), limit: uint(1000, 1).default(100) }),
  result: map({
    applications: list(map({ applicationId: uuid, name: text(1, 256), createdAt: time })),
    cursor: cursor.exactOptional(),
  }),
};
export const applicationDelete = { params: map({ applicationId: uuid }), result: map({}) };
export const applicationGet = {
  params: map({ applicationId: uuid.exactOptional() }),
  result: map({
    applicationId: uuid,
    name: text(1, 256),
    settings,
    externalSenders: list(map({ ciphersuite, externalSender })),
  }),
};
export const applicationUpdate = {
  params: map({ applicationId: uuid, settings: settingsChange }),
  result: map({ settings }),
};
export const applicationCreateKey = {
  params: map({
    applicationId: uuid,
    scopes: list(scope, { min: 1, max: 3 }).refine(distinct, "expected no scope twice"),
    expiresAt: time.exactOptional(),
  }),
  result: newKey,
};
export const applicationListKeys = {
  params: map({ applicationId: uuid }),
  result: map({
    keys: list(
      map({
        keyId,
        scopes: list(scope),
        createdAt: time,
        expiresAt: time.exactOptional(),
        lastUsedAt: time.exactOptional(),
      }),
    ),
  }),
};
export const applicationRevokeKey = { params: map({ applicationId: uuid, keyId }), result: map({}) };

export type Settings = z.output<typeof settings>;
export type SettingsChange = z.output<typeof settingsChange>;
export type GroupSettings = z.output<typeof groupSettings>;
export type Scope = z.output<typeof scope>;

export const defaultSettings: Settings = settings.parse({});
