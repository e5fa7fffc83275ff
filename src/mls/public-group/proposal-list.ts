// Resolves a Commit's proposals and judges them as a list (RFC 9420 §12.2). Applying them is apply-proposals' business.
import type { ProposalOrRef } from "../commit.ts";
import type { Extension } from "../extension.ts";
import type { Sender } from "../framing.ts";
import type { KeyPackage } from "../key-package.ts";
import type { LeafNode } from "../leaf-node.ts";
import { proposalTypeOf, type PreSharedKeyId, type Proposal, type ReInit } from "../proposal.ts";
import type { Judge, MlsRefusal } from "../rules.ts";

/** A proposal with who sent it. */
export interface SentProposal {
  readonly proposal: Proposal;
  readonly sender: Sender;
  /** Of proposals sent by themselves, which were judged when they came. */
  readonly ref?: Uint8Array;
}

/** A custom proposal type that a setting declares (PROTOCOL §4 `proposalTypes`). */
export interface CustomProposalType {
  readonly type: number;
  readonly pathRequired: boolean;
  /** External senders may send it. */
  readonly external: boolean;
}

export interface ProposalList {
  /** In the order of the commit. */
  readonly all: readonly SentProposal[];
  readonly adds: readonly { readonly keyPackage: KeyPackage; readonly judgedBefore: boolean }[];
  readonly updates: readonly {
    readonly leafIndex: number;
    readonly leafNode: LeafNode;
    readonly judgedBefore: boolean;
  }[];
  /** Leaf indices of Remove and SelfRemove, each once. */
  readonly removes: readonly number[];
  readonly preSharedKeys: readonly PreSharedKeyId[];
  readonly contextExtensions: readonly Extension[] | undefined;
  readonly reinit: ReInit | undefined;
  /** Code points beyond the RFC's own. */
  readonly otherTypes: ReadonlySet<number>;
  readonly pathRequired: boolean;
}

export interface ProposalsMissing {
  readonly kind: "proposalsMissing";
  readonly refs: readonly Uint8Array[];
}

/** Proposals by value are the committer's own. */
export function resolveProposals(
  proposals: readonly ProposalOrRef[],
  committer: Sender,
  find: (ref: Uint8Array) => SentProposal | undefined,
): readonly SentProposal[] | ProposalsMissing {
  const resolved: SentProposal[] = [];
  const missing: Uint8Array[] = [];
  for (const entry of proposals) {
    if (entry.kind === "proposal") {
      resolved.push({ proposal: entry.proposal, sender: committer });
      continue;
    }
    const found = find(entry.ref);
    if (found === undefined) missing.push(entry.ref);
    else resolved.push({ ...found, ref: entry.ref });
  }
  return missing.length > 0 ? { kind: "proposalsMissing", refs: missing } : resolved;
}

/** Sorts a list by what its proposals do. */
export function sortProposals(all: readonly SentProposal[], custom: readonly CustomProposalType[]): ProposalList {
  const adds: ProposalList["adds"][number][] = [];
  const updates: ProposalList["updates"][number][] = [];
  const removes: number[] = [];
  const preSharedKeys: PreSharedKeyId[] = [];
  const otherTypes = new Set<number>();
  let contextExtensions: readonly Extension[] | undefined;
  let reinit: ReInit | undefined;
  let pathRequired = all.length === 0;
  for (const { proposal, sender, ref } of all) {
    const judgedBefore = ref !== undefined;
    pathRequired ||= requiresPath(proposal, custom);
    if (proposal.type === "add") adds.push({ keyPackage: proposal.keyPackage, judgedBefore });
    if (proposal.type === "update" && sender.type === "member") {
      updates.push({ leafIndex: sender.leaf, leafNode: proposal.leafNode, judgedBefore });
    }
    if (proposal.type === "remove") removes.push(proposal.removed);
    if (proposal.type === "selfRemove" && sender.type === "member") removes.push(sender.leaf);
    if (proposal.type === "psk") preSharedKeys.push(proposal.psk);
    if (proposal.type === "groupContextExtensions") contextExtensions ??= proposal.extensions;
    if (proposal.type === "reinit") reinit ??= proposal.reinit;
    if (proposal.type === "custom" || proposal.type === "selfRemove") otherTypes.add(proposalTypeOf(proposal));
  }
  return {
    all,
    adds,
    updates,
    removes: [...new Set(removes)],
    preSharedKeys,
    contextExtensions,
    reinit,
    otherTypes,
    pathRequired,
  };
}

/** §12.4: which proposals need a path. SelfRemove does, as a Remove does. */
function requiresPath(proposal: Proposal, custom: readonly CustomProposalType[]): boolean {
  switch (proposal.type) {
    case "add":
    case "psk":
    case "reinit":
      return false;
    case "custom":
      return custom.find(({ type }) => type === proposal.proposalType)?.pathRequired ?? true;
    default:
      return true;
  }
}

/** §12.2 for a member's commit. */
export function checkMemberList(
  list: ProposalList,
  committer: number,
  version: number,
  judge: Judge,
): MlsRefusal | undefined {
  const types = list.all.map(({ proposal }) => proposal.type);
  const changed = list.all.flatMap(({ proposal, sender }) => changedLeaf(proposal, sender));
  const updatesOwn = list.updates.some(({ leafIndex }) => leafIndex === committer);
  return (
    judge.when(updatesOwn, "COMMITTER_UPDATE") ??
    judge.when(list.removes.includes(committer), "COMMITTER_REMOVE") ??
    judge.when(new Set(changed).size !== changed.length, "LEAF_CHANGED_TWICE") ??
    checkAddedTwice(list, judge) ??
    checkPreSharedKeysTwice(list, judge) ??
    judge.when(count(types, "groupContextExtensions") > 1, "CONTEXT_EXTENSIONS_DUPLICATE") ??
    judge.when(types.includes("reinit") && types.length > 1, "REINIT_ALONE") ??
    judge.when(list.reinit !== undefined && list.reinit.version < version, "REINIT_VERSION") ??
    judge.when(types.includes("externalInit"), "EXTERNAL_INIT_MEMBER")
  );
}

/** §12.2 for an external commit, with PROTOCOL M7: SelfRemoves by reference are let in. */
export function checkExternalList(list: ProposalList, judge: Judge): MlsRefusal | undefined {
  const types = list.all.map(({ proposal }) => proposal.type);
  const allowed = list.all.every(({ proposal, ref }) =>
    proposal.type === "selfRemove" ? ref !== undefined : isExternalCommitProposal(proposal),
  );
  const foreign = list.all.some(({ proposal, ref }) => ref !== undefined && proposal.type !== "selfRemove");
  const changed = list.all.flatMap(({ proposal, sender }) => changedLeaf(proposal, sender));
  return (
    judge.when(foreign, "EXTERNAL_COMMIT_REFERENCE") ??
    judge.when(!allowed, "EXTERNAL_COMMIT_LIST") ??
    judge.when(count(types, "externalInit") !== 1, "EXTERNAL_INIT_ONCE") ??
    judge.when(count(types, "remove") > 1, "EXTERNAL_COMMIT_REMOVE") ??
    judge.when(new Set(changed).size !== changed.length, "LEAF_CHANGED_TWICE") ??
    checkPreSharedKeysTwice(list, judge)
  );
}

function isExternalCommitProposal(proposal: Proposal): boolean {
  return proposal.type === "externalInit" || proposal.type === "remove" || proposal.type === "psk";
}

/** The leaf that a proposal updates or removes. */
function changedLeaf(proposal: Proposal, sender: Sender): number[] {
  if (proposal.type === "remove") return [proposal.removed];
  const own = proposal.type === "update" || proposal.type === "selfRemove";
  return own && sender.type === "member" ? [sender.leaf] : [];
}

function checkAddedTwice(list: ProposalList, judge: Judge): MlsRefusal | undefined {
  const keys = list.adds.map(({ keyPackage }) => textOf(keyPackage.leafNode.signatureKey));
  return judge.when(new Set(keys).size !== keys.length, "ADD_DUPLICATE");
}

function checkPreSharedKeysTwice(list: ProposalList, judge: Judge): MlsRefusal | undefined {
  const ids = list.preSharedKeys.map(({ bytes }) => textOf(bytes));
  return judge.when(new Set(ids).size !== ids.length, "PSK_DUPLICATE");
}

function count(types: readonly Proposal["type"][], type: Proposal["type"]): number {
  return types.filter((other) => other === type).length;
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
}

/** Whether a proposal's type is one that may stand in this group's commits at all. */
export function isKnownProposal(proposal: Proposal, custom: readonly CustomProposalType[]): boolean {
  return proposal.type !== "custom" || custom.some(({ type }) => type === proposal.proposalType);
}

/** §12.1.8: what an external sender may propose. */
export function mayBeExternal(proposal: Proposal, custom: readonly CustomProposalType[]): boolean {
  switch (proposal.type) {
    case "add":
    case "remove":
    case "psk":
    case "reinit":
    case "groupContextExtensions":
      return true;
    case "custom":
      return custom.some(({ type, external }) => type === proposal.proposalType && external);
    default:
      return false;
  }
}

/** The resync'd leaf of an external commit: the one Remove that it holds by value. */
export function removedByJoiner(list: ProposalList): number | undefined {
  const remove = list.all.find(({ proposal }) => proposal.type === "remove")?.proposal;
  return remove?.type === "remove" ? remove.removed : undefined;
}
