// A group's public state at one epoch: an immutable value. Pure: no store, no clock, no secret.
// Opened from a GroupInfo and its tree (judged whole), or loaded from what was stored; moved by follow-commit.
import { encodeGroupContext, readGroupContext, type GroupContext } from "../group-context.ts";
import { groupContextOf, verifyGroupInfoSignature, type GroupInfo } from "../group-info.ts";
import { decodeWhole, type Decoded } from "../codec/reader.ts";
import { externalSendersIn, type ExternalSender } from "../extension.ts";
import { encodeRatchetTree, readRatchetTreeWork } from "../ratchet-tree.ts";
import type { MlsRefusal } from "../rules.ts";
import { equalBytes, isCiphersuite, type Ciphersuite } from "../suites.ts";
import type { PublicTree } from "../tree/public-tree.ts";
import { TreeHasher } from "../tree/tree-hasher.ts";
import { hashTreeWork, nodesOf, validateTreeWork } from "../tree/validate-tree.ts";
import { finish, finishWith, UNITS_PER_STEP, type Pause, type Work } from "../work.ts";
import { CapabilityDraft } from "./capability-counters.ts";
import type { TreeState } from "./group-draft.ts";
import { KeyDraft } from "./key-index.ts";
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
  readonly ciphersuite: Ciphersuite;
  readonly confirmationTag: Uint8Array;
  readonly state: TreeState;

  constructor(context: GroupContext, ciphersuite: Ciphersuite, confirmationTag: Uint8Array, state: TreeState) {
    this.context = context;
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

  /** GroupContext, encoded: not kept, as every group in memory would pay for it. */
  get groupContext(): Uint8Array {
    return encodeGroupContext(this.context);
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
 * Judges a group as a joiner would (§12.4.3.1) and opens it: O(members), with a signature a member. Given a
 * `pause`, nobody waits for it. Lifetimes are not judged (PROTOCOL M10).
 */
export async function openPublicGroup(
  info: GroupInfo,
  tree: PublicTree,
  terms: Omit<LeafTerms, "ciphersuite"> & { readonly pause?: Pause },
): Promise<{ readonly kind: "opened"; readonly group: PublicGroup } | MlsRefusal> {
  const { judge, pause } = terms;
  const signer = tree.leaf(info.signer);
  const treeHash = await finishWith(hashTreeWork(tree), pause);
  const refusal =
    judge.when(!equalBytes(treeHash, info.treeHash), "TREE_HASH") ??
    judge.when(signer === undefined, "GROUP_INFO_SIGNER") ??
    (await finishWith(validateTreeWork(tree, judge), pause));
  if (refusal !== undefined) return refusal;
  const signed = signer !== undefined && (await verifyGroupInfoSignature(info, signer.signatureKey));
  const context = groupContextOf(info);
  const state = await finishWith(treeStateWork(tree), pause);
  const unfit =
    judge.when(!signed, "GROUP_INFO_SIGNATURE") ??
    (await checkTreeLeaves(state, context, { ...terms, ciphersuite: info.ciphersuite }));
  return unfit ?? { kind: "opened", group: new PublicGroup(context, info.ciphersuite, info.confirmationTag, state) };
}

/** Loads what `snapshot` gave: judged when it was stored, so not judged again. O(members). */
export function loadPublicGroup(snapshot: PublicGroupSnapshot, hasher?: TreeHasher): Decoded<PublicGroup> {
  return finish(loadPublicGroupWork(snapshot, hasher));
}

/** `loadPublicGroup` as work in steps. */
export function* loadPublicGroupWork(snapshot: PublicGroupSnapshot, hasher?: TreeHasher): Work<Decoded<PublicGroup>> {
  const context = decodeWhole(snapshot.groupContext, readGroupContext);
  if (context.kind === "malformed") return context;
  const { ciphersuite } = context.value;
  if (!isCiphersuite(ciphersuite)) {
    return { kind: "malformed", why: "a snapshot of no known ciphersuite", rule: "MALFORMED", section: "8.1" };
  }
  const tree = yield* readRatchetTreeWork(snapshot.ratchetTree, hasher ?? new TreeHasher(ciphersuite));
  if (tree.kind === "malformed") return tree;
  yield* hashTreeWork(tree.value);
  const state = yield* treeStateWork(tree.value);
  const confirmationTag = Uint8Array.from(snapshot.confirmationTag);
  return { kind: "ok", value: new PublicGroup(context.value, ciphersuite, confirmationTag, state) };
}

/** Gathers what is kept beside a tree. O(members). */
export function treeStateOf(tree: PublicTree): TreeState {
  return finish(treeStateWork(tree));
}

function* treeStateWork(tree: PublicTree): Work<TreeState> {
  const keys = new KeyDraft();
  const capabilities = new CapabilityDraft();
  let units = 0;
  for (const { node } of nodesOf(tree.root)) {
    if (++units % UNITS_PER_STEP === 0) yield;
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
