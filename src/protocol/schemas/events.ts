// The bodies of events: one schema a type, of a group's log and of a client's inbox (PROTOCOL §4).
// `epoch` in commit, welcome and removed is the epoch begun; elsewhere the message's own.
import type { z } from "zod";
import { groupSettings } from "./application.ts";
import {
  bin,
  bool,
  ciphersuite,
  count,
  epoch,
  groupId,
  keyPackageRef,
  label,
  list,
  map,
  member,
  mls,
  position,
  proposalRef,
  text,
  time,
  uint16,
  uuid,
} from "./primitives.ts";

export const groupEvents = {
  commit: map({
    epoch,
    message: mls,
    committer: member.exactOptional(),
    added: list(uuid),
    removed: list(uuid),
    external: bool,
  }),
  proposal: map({ epoch, message: mls, proposalRef: proposalRef.exactOptional(), sender: member.exactOptional() }),
  application: map({ epoch, message: mls }),
  settings: map({ settings: groupSettings }),
  reinit: map({ groupId: bin, version: uint16, ciphersuite }),
  closed: map({ reason: text(1, 64) }),
} as const;

export const inboxEvents = {
  welcome: map({ groupId, epoch, welcome: mls, keyPackageRef, after: position, treeBytes: count }),
  removed: map({ groupId, epoch }),
  "keyPool.low": map({ ciphersuite, label, available: count, target: count }),
  "keyPool.lastResortUsed": map({ ciphersuite, label }),
  "keyPool.expired": map({ keyPackageRefs: list(keyPackageRef) }),
  "identity.updated": map({ version: count }),
  "identity.expiring": map({ notAfter: time }),
} as const;

export const eventMeanings = {
  commit:
    "A commit won its epoch. `time` is the instant at which credentials were judged; an external joiner is in `added`; a resync removes nobody.",
  proposal: "A proposal that a later commit may take in.",
  application: "An application message, encrypted for the members.",
  settings: "The group's settings changed.",
  reinit:
    "The group was re-initialised; the first `group.create` of `groupId` by a member is its successor. Nobody else can create it, nor on other terms.",
  closed: "The group ended; its log goes.",
  welcome:
    "The client was added. Only its own secrets are in `welcome`; the tree comes by `group.tree`; subscribe after `after`, the position of the commit.",
  removed: "The client is no longer a member.",
  "keyPool.low": "A queue holds `available` packages and should hold `target`: publish more.",
  "keyPool.lastResortUsed":
    "A last-resort package was handed out for the first time: publish more, and a fresh last resort. Its later uses are not told.",
  "keyPool.expired": "These packages expired and were dropped.",
  "identity.updated": "The client's identity changed.",
  "identity.expiring":
    "The client's credential expires at `notAfter`: seven days before, or when a quarter of the time is left that was left when it came.",
} as const satisfies Record<keyof typeof groupEvents | keyof typeof inboxEvents, string>;

export type GroupEvents = { [T in keyof typeof groupEvents]: z.output<(typeof groupEvents)[T]> };
export type InboxEvents = { [T in keyof typeof inboxEvents]: z.output<(typeof inboxEvents)[T]> };
