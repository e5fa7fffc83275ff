// Judges a GroupInfo and its whole tree, as a joiner would or by its hashes alone: O(members). What goes in and what
// comes out is plain data, so that a worker thread can do it (tree-worker); the tree itself stays where it was judged.
import { createBasicProvider } from "./basic-provider.ts";
import type { Malformed } from "./codec/reader.ts";
import { readGroupInfo, verifyGroupInfoSignature, type GroupInfo } from "./group-info.ts";
import type { IdentityProvider } from "./identity-provider.ts";
import { openPublicGroup } from "./public-group/public-group.ts";
import { readRatchetTreeWork } from "./ratchet-tree.ts";
import { Judge, RULES, type MlsRefusal, type Rule } from "./rules.ts";
import { equalBytes } from "./suites.ts";
import type { PublicTree } from "./tree/public-tree.ts";
import { TreeHasher } from "./tree/tree-hasher.ts";
import { hashTreeWork } from "./tree/validate-tree.ts";
import { finishWith, UNITS_PER_STEP, type Pause, type Work } from "./work.ts";
import { createX509Provider } from "./x509-provider.ts";
import type { X509Settings } from "./x509/x509-settings.ts";

export type ProviderSettings = { readonly type: "basic" } | ({ readonly type: "x509" } & X509Settings);

export interface WholeTreeTask {
  /** A whole MLSMessage. */
  readonly groupInfo: Uint8Array;
  /** A ratchet_tree; absent: the one in the GroupInfo's extension. */
  readonly ratchetTree: Uint8Array | undefined;
  /** Absent: the tree hash and the signer are enough. */
  readonly joiner?: {
    readonly provider: ProviderSettings;
    /** The instant at which credentials are judged. */
    readonly nowMs: number;
    readonly rulesOff: readonly Rule[];
  };
}

/** Who stands at the leaves of a tree, in their order. */
export interface WholeTree {
  readonly kind: "valid";
  readonly leaves: Uint32Array;
  /** All credentials, one behind the other. */
  readonly credentials: Uint8Array;
  /** Where each of them ends. */
  readonly credentialEnds: Uint32Array;
  /** Whom the identity provider sees in each; absent where the tree was not judged as a joiner would. */
  readonly holders?: readonly Holder[];
}

export interface Holder {
  readonly handle: string;
  readonly domain?: string;
}

export interface WholeTreeRefusal extends MlsRefusal {
  readonly of: "groupInfo" | "tree";
}

/** @param provider one made of the task's settings, where there is one already */
export async function judgeWholeTree(
  task: WholeTreeTask,
  { provider, pause }: { readonly provider?: IdentityProvider; readonly pause?: Pause } = {},
): Promise<WholeTree | WholeTreeRefusal> {
  const info = readGroupInfo(task.groupInfo);
  if (info.kind === "malformed") return undecodable("groupInfo", info);
  const bytes = task.ratchetTree ?? info.value.ratchetTree;
  if (bytes === undefined) return broken("tree", "GROUP_INFO_TREE", "there is no tree");
  const hasher = new TreeHasher(info.value.ciphersuite);
  const decoded = await finishWith(readRatchetTreeWork(bytes, hasher), pause);
  if (decoded.kind === "malformed") return undecodable("tree", decoded);
  const tree = decoded.value;
  const hash = await finishWith(hashTreeWork(tree), pause);
  if (!equalBytes(hash, info.value.treeHash)) {
    return broken("tree", "TREE_HASH", "the tree's hash is not the one in the GroupContext");
  }
  if (task.joiner === undefined) {
    return (await checkSigner(info.value, tree)) ?? finishWith(leavesWork(tree, undefined), pause);
  }
  const { nowMs, rulesOff } = task.joiner;
  const used = provider ?? createProvider(task.joiner.provider);
  const terms = {
    judge: new Judge(new Set(rulesOff)),
    provider: used,
    nowMs,
    ...(pause === undefined ? {} : { pause }),
  };
  const opened = await openPublicGroup(info.value, tree, terms);
  if (opened.kind === "refused") {
    return { ...opened, of: opened.rule.startsWith("GROUP_INFO") ? "groupInfo" : "tree" };
  }
  return finishWith(leavesWork(tree, { provider: used, nowMs }), pause);
}

/** The signer is a member and the signature its own (§12.4.3). */
export async function checkSigner(info: GroupInfo, tree: PublicTree): Promise<WholeTreeRefusal | undefined> {
  const signer = tree.leaf(info.signer);
  if (signer === undefined) return broken("groupInfo", "GROUP_INFO_SIGNER", "the signer's leaf is blank");
  if (await verifyGroupInfoSignature(info, signer.signatureKey)) return undefined;
  return broken("groupInfo", "GROUP_INFO_SIGNATURE", "the signature is not the signer's");
}

function createProvider(settings: ProviderSettings): IdentityProvider {
  return settings.type === "basic" ? createBasicProvider() : createX509Provider(settings);
}

function* leavesWork(
  tree: PublicTree,
  terms: { readonly provider: IdentityProvider; readonly nowMs: number } | undefined,
): Work<WholeTree> {
  const leaves = new Uint32Array(tree.memberCount);
  const credentialEnds = new Uint32Array(tree.memberCount);
  const pieces: Uint8Array[] = [];
  const holders: Holder[] = [];
  let end = 0;
  for (const [leafIndex, { credential }] of tree.members()) {
    if (pieces.length % UNITS_PER_STEP === 0) yield;
    leaves[pieces.length] = leafIndex;
    credentialEnds[pieces.length] = end += credential.length;
    pieces.push(credential);
    if (terms !== undefined) holders.push(holderOf(terms.provider.validate(credential, terms.nowMs)));
  }
  const credentials = new Uint8Array(end);
  for (const [n, piece] of pieces.entries()) credentials.set(piece, (credentialEnds[n] ?? 0) - piece.length);
  return { kind: "valid", leaves, credentials, credentialEnds, ...(terms === undefined ? {} : { holders }) };
}

/** A credential that is not valid gets here only where the rule against it is off: it is nobody's. */
function holderOf(verdict: ReturnType<IdentityProvider["validate"]>): Holder {
  if (!verdict.valid) return { handle: "" };
  return { handle: verdict.handle, ...(verdict.domain === undefined ? {} : { domain: verdict.domain }) };
}

function undecodable(of: WholeTreeRefusal["of"], { rule, section, why }: Malformed): WholeTreeRefusal {
  return { kind: "refused", of, rule, section, message: why };
}

function broken(of: WholeTreeRefusal["of"], rule: Rule, message: string): WholeTreeRefusal {
  return { kind: "refused", of, rule, section: RULES[rule].section, message };
}
