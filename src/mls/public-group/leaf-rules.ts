// What makes a leaf node valid where it stands (RFC 9420 §7.3), but for what depends on the whole group.
import { isCoveredByOwnExtensions } from "../key-package-check.ts";
import type { IdentityProvider } from "../identity-provider.ts";
import { millisecondsOf, verifyKeyPackageSignature, type KeyPackage } from "../key-package.ts";
import type { Capabilities, LeafNode, LeafNodeSource } from "../leaf-node.ts";
import { MLS_10 } from "../registries.ts";
import type { Judge, MlsRefusal } from "../rules.ts";
import { equalBytes, isHpkeKey, isSignatureKey, type Ciphersuite } from "../suites.ts";

export interface LeafTerms {
  readonly judge: Judge;
  readonly ciphersuite: Ciphersuite;
  readonly provider: IdentityProvider;
  /** The instant at which credentials and lifetimes are judged. */
  readonly nowMs: number;
}

/** A check that waits for a signature: run after all others, together. */
export type SignatureCheck = () => Promise<MlsRefusal | undefined>;

/**
 * A leaf node that enters, or replaces `before`. A credential that does not change is not judged again
 * (PROTOCOL M5): an identity that expired meanwhile does not lock its holder in.
 */
export function checkLeafNode(
  leafNode: LeafNode,
  source: LeafNodeSource,
  before: LeafNode | undefined,
  { judge, ciphersuite, provider, nowMs }: LeafTerms,
): MlsRefusal | undefined {
  const { credential, signatureKey, capabilities } = leafNode;
  const sameCredential = before !== undefined && equalBytes(before.credential, credential);
  const sameKey = before !== undefined && equalBytes(before.signatureKey, signatureKey);
  const keysValid = isHpkeKey(ciphersuite, leafNode.encryptionKey) && isSignatureKey(ciphersuite, signatureKey);
  return (
    judge.when(leafNode.source !== source, "LEAF_SOURCE") ??
    judge.when(!keysValid, "LEAF_KEYS") ??
    judge.when(!isForGroup(capabilities, ciphersuite), "LEAF_PARAMETERS") ??
    judge.when(!capabilities.credentials.includes(leafNode.credentialType), "LEAF_CREDENTIAL_TYPE") ??
    judge.when(!isCoveredByOwnExtensions(leafNode), "LEAF_EXTENSIONS") ??
    judge.when(!sameCredential && !provider.validate(credential, nowMs).valid, "LEAF_CREDENTIAL") ??
    judge.when(
      !(sameCredential && sameKey) && !provider.keyMatches(credential, signatureKey, ciphersuite),
      "LEAF_CREDENTIAL",
    )
  );
}

/** §11.1: what all members need to support, whatever else the group asks for. */
function isForGroup({ versions, ciphersuites }: Capabilities, ciphersuite: Ciphersuite): boolean {
  return versions.includes(MLS_10) && ciphersuites.includes(ciphersuite);
}

/** The key package of an Add (§10.1), its leaf node included. */
export function checkAddedPackage(keyPackage: KeyPackage, version: number, terms: LeafTerms): MlsRefusal | undefined {
  const { judge, ciphersuite, nowMs } = terms;
  const { leafNode, initKey } = keyPackage;
  const initKeyValid = isHpkeKey(ciphersuite, initKey) && !equalBytes(initKey, leafNode.encryptionKey);
  const { lifetime } = leafNode;
  const alive =
    lifetime !== undefined && millisecondsOf(lifetime.notBefore) <= nowMs && nowMs <= millisecondsOf(lifetime.notAfter);
  return (
    judge.when(keyPackage.version !== version, "ADD_VERSION") ??
    judge.when(keyPackage.ciphersuite !== ciphersuite, "ADD_CIPHERSUITE") ??
    judge.when(!initKeyValid, "ADD_INIT_KEY") ??
    checkLeafNode(leafNode, "keyPackage", undefined, terms) ??
    judge.when(!alive, "LEAF_LIFETIME")
  );
}

export function addedPackageSignatures(keyPackage: KeyPackage, { judge, ciphersuite }: LeafTerms): SignatureCheck[] {
  return [
    leafSignature(keyPackage.leafNode, undefined, { judge, ciphersuite }),
    () => judge.unless(() => verifyKeyPackageSignature(keyPackage, ciphersuite), "ADD_SIGNATURE"),
  ];
}

export function leafSignature(
  leafNode: LeafNode,
  place: { readonly groupId: Uint8Array; readonly leafIndex: number } | undefined,
  { judge, ciphersuite }: Pick<LeafTerms, "judge" | "ciphersuite">,
): SignatureCheck {
  return () => judge.unless(() => leafNode.verifySignature(ciphersuite, place), "LEAF_SIGNATURE");
}

/** Signatures verified at once: enough for the thread pool, little enough to let others at it. */
const SIGNATURES_AT_ONCE = 32;

/** The first refusal in order; later checks may not have run. */
export async function runSignatureChecks(checks: readonly SignatureCheck[]): Promise<MlsRefusal | undefined> {
  for (let at = 0; at < checks.length; at += SIGNATURES_AT_ONCE) {
    const refusals = await Promise.all(checks.slice(at, at + SIGNATURES_AT_ONCE).map((check) => check()));
    const refusal = refusals.find((found) => found !== undefined);
    if (refusal !== undefined) return refusal;
  }
  return undefined;
}
