// The group state service's parameters and results (PROTOCOL §4).
import { z } from "zod";
import { groupSettings } from "./application.ts";
import {
  bin,
  ciphersuite,
  count,
  cursor,
  digest,
  epoch,
  groupId,
  handle,
  hash,
  keyPackageRef,
  list,
  map,
  member,
  mls,
  position,
  proposalRef,
  ratchetTree,
  time,
  uint,
  uint32,
  uuid,
} from "./primitives.ts";

export const tracking = z.enum(["full", "ordering"], "expected full or ordering").meta({ title: "tracking" });
export const groupState = z.enum(["active", "reinit", "closed"]).meta({ title: "groupState" });
export const addedMember = map({ keyPackageRef, clientId: uuid }).meta({ title: "addedMember" });
export const storedProposal = map({
  proposalRef: proposalRef.exactOptional(),
  proposal: mls,
  sender: member.exactOptional(),
}).meta({ title: "storedProposal" });

/** `details` of EPOCH_CONFLICT. */
export const epochConflict = map({
  epoch,
  position,
  winner: map({ committer: member.exactOptional(), digest }).exactOptional(),
}).meta({ title: "epochConflict" });

export const groupCreate = {
  params: map({
    groupInfo: mls,
    ratchetTree: ratchetTree.exactOptional(),
    settings: groupSettings.exactOptional(),
    tracking: tracking.default("full"),
    as: uuid.exactOptional(),
  }),
  result: map({ groupId, epoch, position }),
};
export const groupCommit = {
  params: map({
    groupId,
    commit: mls,
    welcomes: list(mls, { max: 10_000 }).default([]),
    groupInfo: mls.exactOptional(),
    ratchetTree: ratchetTree.exactOptional(),
    as: uuid.exactOptional(),
    added: list(addedMember, { max: 10_000 }).exactOptional(),
    removed: list(uuid, { max: 10_000 }).exactOptional(),
  }),
  result: map({
    epoch,
    position,
    undelivered: list(map({ keyPackageRef, welcome: mls })).exactOptional(),
  }),
};
export const groupPutGroupInfo = { params: map({ groupId, groupInfo: mls }), result: map({}) };
export const groupPropose = {
  params: map({ groupId, proposal: mls, as: uuid.exactOptional() }),
  result: map({ proposalRef: proposalRef.exactOptional(), position }),
};
export const groupSend = {
  params: map({ groupId, message: mls, as: uuid.exactOptional() }),
  result: map({ position }),
};
export const groupGet = {
  params: map({
    groupId,
    include: list(z.enum(["groupInfo", "proposals", "settings"], "expected groupInfo, proposals or settings"), {
      max: 3,
    }).default([]),
  }),
  result: map({
    groupId,
    epoch,
    position,
    state: groupState,
    tracking,
    ciphersuite,
    members: count,
    treeBytes: count,
    groupInfo: mls.exactOptional(),
    proposals: list(storedProposal).exactOptional(),
    settings: groupSettings.exactOptional(),
  }),
};
export const groupTree = {
  params: map({
    groupId,
    epoch: epoch.exactOptional(),
    from: uint().default(0),
    bytesMax: uint(Number.MAX_SAFE_INTEGER, 1).default(1_048_576),
  }),
  result: map({ ratchetTree: bin, total: count, epoch, treeHash: hash }),
};
export const groupMembers = {
  params: map({ groupId, cursor: cursor.exactOptional(), limit: uint(1000, 1).default(1000) }),
  result: map({
    members: list(
      map({
        leaf: uint32.exactOptional(),
        clientId: uuid.exactOptional(),
        handle: handle.exactOptional(),
        notAfter: time.exactOptional(),
      }),
    ),
    cursor: cursor.exactOptional(),
  }),
};
export const groupList = {
  params: map({ clientId: uuid }),
  result: map({ groups: list(map({ groupId, epoch, position })) }),
};
export const groupUpdate = {
  params: map({ groupId, settings: groupSettings }),
  result: map({ settings: groupSettings }),
};
export const groupDelete = { params: map({ groupId }), result: map({}) };

export type Tracking = z.output<typeof tracking>;
export type EpochConflict = z.output<typeof epochConflict>;
