// The conformance kit of identity providers, as data: a credential, an instant, settings, and the verdict that every
// side must come to. The server's provider and the clients' AuthenticationService both run all of it.
import type { CaseSettings, ProviderCase, SuccessorCase } from "./identity-provider-case.ts";
import { pathCases } from "./identity-provider-path-cases.ts";
import type { RecipeName } from "./identity-provider-recipes.ts";

const TREE: CaseSettings = { accounts: 1, domains: 2 };
const carol = { handle: "carol" };

const times: readonly ProviderCase[] = [
  { name: "the first instant", chain: ["leaf"], day: -1, verdict: carol },
  { name: "an hour before the first instant", chain: ["leaf"], day: -1 - 1 / 24, verdict: "not_yet_valid" },
  { name: "the last instant", chain: ["leaf"], day: 365, verdict: carol, openssl: "counts it as past" },
  { name: "an hour after the last instant", chain: ["leaf"], day: 365 + 1 / 24, verdict: "expired" },
  { name: "an expired leaf", chain: ["expiredLeaf"], verdict: "expired" },
  { name: "an expired leaf while it was not", chain: ["expiredLeaf"], day: -6, verdict: { handle: "expiredLeaf" } },
  { name: "a leaf of the future", chain: ["futureLeaf"], verdict: "not_yet_valid" },
  { name: "an expired CA", chain: ["leafOfExpiredCa", "expiredCa"], verdict: "expired" },
  {
    name: "a CA that ends before its leaf",
    chain: ["leafOfShortLivedCa", "shortLivedCa"],
    verdict: { handle: "leafOfShortLivedCa" },
    endsWith: "shortLivedCa",
  },
  { name: "a CA of the future", chain: ["leafOfFutureCa", "futureCa"], verdict: "not_yet_valid" },
  {
    name: "an expired anchor",
    chain: ["leafOfExpiredRoot"],
    settings: { anchors: ["expiredRoot"] },
    verdict: "expired",
  },
  ...[
    ["expiredRoot", "expiredRootRenewed"],
    ["expiredRootRenewed", "expiredRoot"],
  ].flatMap((anchors): ProviderCase[] => [
    {
      name: `an expired anchor beside its renewal: ${anchors.join(", ")}`,
      chain: ["leafOfExpiredRoot"],
      settings: { anchors: anchors as RecipeName[] },
      verdict: { handle: "leafOfExpiredRoot" },
    },
    {
      name: `the expired anchor sent along: ${anchors.join(", ")}`,
      chain: ["leafOfExpiredRoot", "expiredRoot"],
      settings: { anchors: anchors as RecipeName[] },
      verdict: { handle: "leafOfExpiredRoot" },
    },
    {
      name: `while only the old anchor was valid, the end of the one that follows it: ${anchors.join(", ")}`,
      chain: ["earlyLeafOfExpiredRoot"],
      day: -100,
      settings: { anchors: anchors as RecipeName[] },
      verdict: { handle: "earlyLeafOfExpiredRoot" },
    },
    {
      name: `when both anchors are over: ${anchors.join(", ")}`,
      chain: ["longLeafOfExpiredRoot"],
      day: 600,
      settings: { anchors: anchors as RecipeName[] },
      verdict: "expired",
    },
  ]),
  { name: "times beyond 2049", chain: ["oldLeaf"], verdict: { handle: "oldLeaf" }, endsWith: "root" },
  {
    name: "expired, and of another root",
    chain: ["expiredLeaf"],
    settings: { anchors: ["otherRoot"] },
    verdict: "unknown_root",
  },
];

const names: readonly ProviderCase[] = [
  {
    name: "accounts and domains",
    chain: ["device", "account", "domain"],
    settings: TREE,
    verdict: { handle: "alice/phone", account: "alice", domain: "example.org" },
  },
  {
    name: "the same names, root sent along",
    chain: ["device", "account", "domain", "root"],
    settings: TREE,
    verdict: { handle: "alice/phone", account: "alice", domain: "example.org" },
  },
  {
    name: "an anchor's name as the domain, though it is not sent",
    chain: ["device", "account", "domain"],
    settings: { accounts: 1, domains: 3 },
    verdict: { handle: "alice/phone", account: "alice", domain: "Root" },
  },
  {
    name: "domains without accounts",
    chain: ["device", "account", "domain"],
    settings: { domains: 2 },
    verdict: { handle: "phone", domain: "example.org" },
  },
  {
    name: "a range of names",
    chain: ["device", "account", "domain"],
    settings: { range: [0, 1] },
    verdict: { handle: "phone:alice" },
  },
  {
    name: "a range that does not begin at the leaf",
    chain: ["device", "account", "domain"],
    settings: { range: [1, 2] },
    verdict: { handle: "alice:example.org" },
  },
  { name: "a range beyond the anchor", chain: ["leaf"], settings: { range: [0, 2] }, verdict: "handle_missing" },
  { name: "an account beyond the anchor", chain: ["leaf"], settings: { accounts: 4 }, verdict: "handle_missing" },
  { name: "a domain beyond the anchor", chain: ["leaf"], settings: { domains: 4 }, verdict: "handle_missing" },
  { name: "no common name", chain: ["noName"], verdict: "handle_missing" },
  { name: "an empty common name", chain: ["emptyName"], verdict: "handle_missing" },
  { name: "two common names", chain: ["twoNames"], verdict: "name_forbidden" },
  { name: "letters beyond ASCII", chain: ["nameUnicode"], verdict: { handle: "älice 🦉" } },
  { name: "a PrintableString", chain: ["namePrintable"], verdict: { handle: "Alice B." } },
  { name: "an IA5String", chain: ["nameIa5"], verdict: { handle: "alice_b" } },
  {
    name: "1,024 bytes",
    chain: ["nameLong"],
    verdict: { handle: "x".repeat(1024) },
  },
  { name: "1,026 bytes", chain: ["nameTooLong"], verdict: "name_forbidden" },
  { name: "a PrintableString of other characters", chain: ["nameNotPrintable"], verdict: "handle_not_utf8" },
  { name: "an IA5String of other characters", chain: ["nameNotIa5"], verdict: "handle_not_utf8" },
  {
    name: "bytes that are not UTF-8",
    chain: ["nameNotUtf8"],
    verdict: "handle_not_utf8",
    openssl: "reads no such certificate",
  },
  { name: "a TeletexString, which nobody reads alike", chain: ["nameTeletex"], verdict: "handle_not_utf8" },
  ...(
    ["nameAt", "nameSlash", "nameHash", "nameDollar", "nameColon", "nameNul", "nameDelete", "nameControl"] as const
  ).map((chain): ProviderCase => ({
    name: `a forbidden character: ${chain}`,
    chain: [chain],
    verdict: "name_forbidden",
  })),
];

export const providerCases: readonly ProviderCase[] = [...pathCases, ...times, ...names];

const device: readonly RecipeName[] = ["device", "account", "domain"];

export const successorCases: readonly SuccessorCase[] = [
  {
    name: "renewed by the same CA",
    current: device,
    next: ["deviceRenewed", "account", "domain"],
    settings: TREE,
    successor: true,
  },
  { name: "itself", current: device, next: device, settings: TREE, successor: true },
  { name: "an expired one renewed", current: ["expiredLeaf"], next: ["expiredLeaf", "root"], successor: true },
  {
    name: "another device",
    current: device,
    next: ["otherDevice", "account", "domain"],
    settings: TREE,
    successor: false,
  },
  {
    name: "the same device of another account",
    current: device,
    next: ["bobsPhone", "otherAccount", "domain"],
    settings: TREE,
    successor: false,
  },
  {
    name: "the same device name where nobody asks for accounts",
    current: device,
    next: ["bobsPhone", "otherAccount", "domain"],
    successor: true,
  },
  {
    name: "the same names in another domain",
    current: device,
    next: ["namesakesPhone", "alicesNamesake", "otherDomain"],
    settings: TREE,
    successor: false,
  },
  { name: "one of another root", current: ["leaf"], next: ["leafOfOtherRoot"], successor: false },
];
