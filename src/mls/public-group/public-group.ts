// A group's public state at one epoch: an immutable value. Pure: no store, no clock, no secret.
// Opened from a GroupInfo and its tree (judged whole), or loaded from what was stored; moved by follow-commit.
import { encodeGroupContext, readGroupContext, type GroupContext } from "../group-context.ts";
import { groupContextOf, verifyGroupInfoSignature, type GroupInfo } from "../group-info.ts";
import { decodeWhole, type Decoded } from "../codec/reader.ts";
import { externalSendersIn, type ExternalSender } from "../extension.ts";
import { encodeRatchetTree, readRatchetTree } from "../ratchet-tree.ts";
import type { MlsRefusal } from "../rules.ts";
import { equalBytes, isCiphersuite, type Ciphersuite } from "../suites.ts";
import type { PublicTree } from "../tree/public-tree.ts";
import type { TreeHasher } from "../tree/tree-hasher.ts";
import { nodesOf, validateTreeStructure } from "../tree/validate-tree.ts";
import { CapabilityDraft, emptyCounters } from "./capability-counters.ts";
import type { TreeState } from "./group-draft.ts";
import { emptyKeyIndex, KeyDraft } from "./key-index.ts";
import { checkTreeLeaves } from "./tree-leaves.ts";
import type { LeafTerms } from "./leaf-rules.ts";
import { interimTranscriptHash } from "./transcript.ts";

/** What must be stored of an epoch to load it again. */
export interface PublicGroupSnapshot {
  readonly groupContext: Uint8Array;
  readonly confirmationTag: Uint8Array;
  readonly ratchetTree: Uint8Array;
}

export class PublicGroup {
  readonly context: GroupContext;
  /** GroupContext, encoded. */
  readonly groupContext: Uint8Array;
  readonly ciphersuite: Ciphersuite;
  readonly confirmationTag: Uint8Array;
  readonly state: TreeState;

  constructor(context: GroupContext, ciphersuite: Ciphersuite, confirmationTag: Uint8Array, state: TreeState) {
    this.context = context;
    this.groupContext = encodeGroupContext(context);
    this.ciphersuite = ciphersuite;
    this.confirmationTag = confirmationTag;
    this.state = state;
  }

  get tree(): PublicTree {
    return this.state.tree;
  }

  get epoch(): bigint {
    return this.context.epoch;
  }

  get groupId(): Uint8Array {
    return this.context.groupId;
  }

  get interimTranscriptHash(): Uint8Array {
    return interimTranscriptHash(this.ciphersuite, this.context.confirmedTranscriptHash, this.confirmationTag);
  }

  get externalSenders(): readonly ExternalSender[] {
    return externalSendersIn(this.context.extensions);
  }

  snapshot(): PublicGroupSnapshot {
    const { groupContext, confirmationTag } = this;
    return { groupContext, confirmationTag, ratchetTree: encodeRatchetTree(this.tree) };
  }
}

/**
 * Judges a group as a joiner would (§12.4.3.1) and opens it. O(members), with a signature a member: for
 * `group.create`, off the event loop. Lifetimes are not judged (PROTOCOL M10).
 */
export async function openPublicGroup(
  info: GroupInfo,
  tree: PublicTree,
  terms: Omit<LeafTerms, "ciphersuite">,
): Promise<{ readonly kind: "opened"; readonly group: PublicGroup } | MlsRefusal> {
  const { judge } = terms;
  const signer = tree.leaf(info.signer);
  const structure =
    judge.when(!equalBytes(tree.treeHash(), info.treeHash), "TREE_HASH") ??
    validateTreeStructure(tree, judge) ??
    judge.when(signer === undefined, "GROUP_INFO_SIGNER");
  if (structure !== undefined) return structure;
  const signed = signer !== undefined && (await verifyGroupInfoSignature(info, signer.signatureKey));
  const signature = judge.when(!signed, "GROUP_INFO_SIGNATURE");
  if (signature !== undefined) return signature;
  const context = groupContextOf(info);
  const state = treeStateOf(tree);
  const leaves = await checkTreeLeaves(state, context, { ...terms, ciphersuite: info.ciphersuite });
  if (leaves !== undefined) return leaves;
  return { kind: "opened", group: new PublicGroup(context, info.ciphersuite, info.confirmationTag, state) };
}

/** Loads what `snapshot` gave: judged when it was stored, so not judged again. O(members). */
export function loadPublicGroup(snapshot: PublicGroupSnapshot, hasher?: TreeHasher): Decoded<PublicGroup> {
  const context = decodeWhole(snapshot.groupContext, readGroupContext);
  if (context.kind === "malformed") return context;
  const { ciphersuite } = context.value;
  if (!isCiphersuite(ciphersuite)) {
    return { kind: "malformed", why: "a snapshot of no known ciphersuite", rule: "MALFORMED", section: "8.1" };
  }
  const tree = readRatchetTree(snapshot.ratchetTree, ciphersuite, hasher);
  if (tree.kind === "malformed") return tree;
  const state = treeStateOf(tree.value);
  return {
    kind: "ok",
    value: new PublicGroup(context.value, ciphersuite, Uint8Array.from(snapshot.confirmationTag), state),
  };
}

/** Gathers what is kept beside a tree. O(members). */
export function treeStateOf(tree: PublicTree): TreeState {
  const keys = new KeyDraft(emptyKeyIndex());
  const capabilities = new CapabilityDraft(emptyCounters(), 0, new Set());
  for (const { node } of nodesOf(tree.root)) {
    if ("signatureKey" in node) {
      keys.addLeaf(node);
      capabilities.add(node);
    } else {
      keys.addParent(node);
    }
  }
  const { counters, typesInUse } = capabilities.finish();
  return { tree, keys: keys.finish(), counters, credentialTypes: typesInUse };
}
