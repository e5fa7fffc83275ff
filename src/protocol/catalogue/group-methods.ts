// The group state service: every method with its scope, schemas and reasons.
import * as group from "../schemas/group.ts";
import { method } from "./method-entry.ts";

export const groupMethods = {
  "group.create": method(group.groupCreate, {
    scope: "group",
    mutates: true,
    reasons: [
      "GROUP_EXISTS",
      "GROUP_INFO_INVALID",
      "TREE_INVALID",
      "AS_MISMATCH",
      "SETTING_WIDENED",
      "MEMBERS_LIMIT",
      "QUOTA",
      "STATE_MOVED",
      "TREES_WAITING",
      "TREE_WORKER_LOST",
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
      "CLIENT_NOT_FOUND",
      "MEMBERS_LIMIT",
      "STATE_MOVED",
      "TREES_WAITING",
      "TREE_WORKER_LOST",
    ],
    summary:
      "Submits a commit for the current epoch; exactly one wins. EPOCH_CONFLICT's details are `{epoch, position, winner?: {committer?, digest}}`: read the stream from your own epoch and try again. The same bytes again answer as the first time. `ratchetTree`, `added` and `removed` serve `ordering` tracking, which can't know them.",
  }),
  "group.putGroupInfo": method(group.groupPutGroupInfo, {
    scope: "group",
    mutates: true,
    reasons: [
      "GROUP_NOT_FOUND",
      "EPOCH_CONFLICT",
      "GROUP_INFO_INVALID",
      "TREE_INVALID",
      "GROUP_ENDED",
      "STATE_MOVED",
      "TREES_WAITING",
      "TREE_WORKER_LOST",
    ],
    summary: "Replaces the stored GroupInfo of the current epoch by another member's, equal in context and tag.",
  }),
  "group.propose": method(group.groupPropose, {
    scope: "group",
    mutates: true,
    reasons: [
      "GROUP_NOT_FOUND",
      "EPOCH_CONFLICT",
      "PROPOSAL_INVALID",
      "PROPOSALS_LIMIT",
      "GROUP_ENDED",
      "AS_MISMATCH",
      "STATE_MOVED",
    ],
    summary: "Submits a proposal for the current epoch. The same bytes again, in that epoch, answer as the first time.",
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
    reasons: ["GROUP_NOT_FOUND", "STATE_MOVED"],
    summary:
      "A group's head, and what `include` asks for. Of a deleted group, whose id is taken for ever, it says `closed`; other methods find it no more.",
  }),
  "group.tree": method(group.groupTree, {
    scope: "group",
    mutates: false,
    reasons: ["GROUP_NOT_FOUND", "EPOCH_PRUNED", "STATE_MOVED"],
    summary:
      "A slice of the encoded ratchet tree; `total` is its whole size in bytes. An earlier epoch's is there for at least `inboxRetention` after a Welcome into it; with `ordering`, if it came with the commit and is among the group's newest 10,000 such trees and the newest 256 MiB of them.",
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
};
