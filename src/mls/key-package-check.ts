// Judges a published KeyPackage: PROTOCOL M1 whole, but for its novelty in the pool. RFC 9420 §10.1, §7.3.
import type { IdentityProvider, NamedHolder } from "./identity-provider.ts";
import { decodeKeyPackage, keyPackageFacts, verifyKeyPackageSignature } from "./key-package.ts";
import type { KeyPackage, KeyPackageFacts } from "./key-package.ts";
import type { LeafNode } from "./leaf-node.ts";
import { isDefaultExtension, MLS_10 } from "./registries.ts";
import { equalBytes, isHpkeKey, isSignatureKey, type Ciphersuite } from "./suites.ts";

export type KeyPackageRejection =
  | "MALFORMED"
  | "SIGNATURE"
  | "LEAF_SIGNATURE"
  | "LEAF_SOURCE"
  | "LIFETIME"
  | "LIFETIME_TOO_LONG"
  | "CIPHERSUITE"
  | "INIT_KEY"
  | "WRONG_IDENTITY"
  | "CAPABILITIES"
  | "LAST_RESORT_MARKED";

export interface KeyPackageTerms {
  readonly nowMs: number;
  /** Of the whole message. */
  readonly bytesMax: number;
  readonly ciphersuites: readonly number[];
  /** Width of the lifetime; null: no limit. */
  readonly lifetimeMaxMs: number | null;
  /** The client's current identity: a Credential struct. */
  readonly currentCredential: Uint8Array;
  /** Whom it named when it came: settings that changed since may have it name another. */
  readonly currentHolder: NamedHolder;
  /** Published as the last resort: the mark is then allowed. */
  readonly asLastResort: boolean;
  readonly provider: IdentityProvider;
}

export interface RejectedKeyPackage {
  readonly kind: "rejected";
  readonly reason: KeyPackageRejection;
  readonly message: string;
}

export async function checkKeyPackage(
  mlsMessage: Uint8Array,
  terms: KeyPackageTerms,
): Promise<{ readonly kind: "valid"; readonly facts: KeyPackageFacts } | RejectedKeyPackage> {
  const { bytesMax } = terms;
  if (mlsMessage.length > bytesMax) return rejected("MALFORMED", `the message is longer than ${bytesMax} bytes`);
  const decoded = decodeKeyPackage(mlsMessage);
  if (decoded.kind === "malformed") return rejected("MALFORMED", decoded.why);
  const keyPackage = decoded.value;
  if (keyPackage.version !== MLS_10) return rejected("MALFORMED", "the key package is not of MLS 1.0");
  const facts = keyPackageFacts(keyPackage);
  if (facts === undefined || !terms.ciphersuites.includes(facts.ciphersuite)) {
    return rejected("CIPHERSUITE", `ciphersuite ${keyPackage.ciphersuite} is not allowed`);
  }
  return (
    checkKeys(facts) ??
    checkTerms(facts, keyPackage, terms) ??
    (await checkSignatures(keyPackage, facts.ciphersuite)) ?? { kind: "valid", facts }
  );
}

/** Whether a leaf node's capabilities list its own extensions (§7.2); default ones need no listing. */
export function isCoveredByOwnExtensions(leafNode: LeafNode): boolean {
  const listed = new Set(leafNode.capabilities.extensions);
  return leafNode.extensions.every(({ type }) => isDefaultExtension(type) || listed.has(type));
}

/** Why a leaf node's capabilities do not cover the leaf node itself, or undefined. §7.2, §7.3 */
function uncoveredByOwnCapabilities(leafNode: LeafNode, ciphersuite: number): string | undefined {
  const { versions, ciphersuites, credentials } = leafNode.capabilities;
  if (!versions.includes(MLS_10)) return "MLS 1.0 is not among the versions";
  if (!ciphersuites.includes(ciphersuite)) return "its ciphersuite is not among the ciphersuites";
  if (!credentials.includes(leafNode.credentialType)) return "its credential type is not listed";
  return isCoveredByOwnExtensions(leafNode) ? undefined : "an extension of the leaf node is not listed";
}

function checkKeys(facts: KeyPackageFacts): RejectedKeyPackage | undefined {
  if (!isHpkeKey(facts.ciphersuite, facts.initKey)) return rejected("INIT_KEY", "the init key is no key of its suite");
  if (!isHpkeKey(facts.ciphersuite, facts.encryptionKey)) {
    return rejected("MALFORMED", "the encryption key is no key of its suite");
  }
  if (!isSignatureKey(facts.ciphersuite, facts.signatureKey)) {
    return rejected("MALFORMED", "the signature key is no key of its suite");
  }
  if (equalBytes(facts.initKey, facts.encryptionKey)) {
    return rejected("INIT_KEY", "the init key is also the encryption key");
  }
  return undefined;
}

function checkTerms(
  facts: KeyPackageFacts,
  keyPackage: KeyPackage,
  terms: KeyPackageTerms,
): RejectedKeyPackage | undefined {
  if (facts.leafNodeSource !== "keyPackage") return rejected("LEAF_SOURCE", "the leaf node is not from a key package");
  const { notBeforeMs, notAfterMs } = facts.lifetime;
  if (terms.nowMs < notBeforeMs) return rejected("LIFETIME", "the lifetime has not begun");
  if (terms.nowMs > notAfterMs) return rejected("LIFETIME", "the lifetime is over");
  if (terms.lifetimeMaxMs !== null && notAfterMs - notBeforeMs > terms.lifetimeMaxMs) {
    return rejected("LIFETIME_TOO_LONG", `the lifetime is longer than ${terms.lifetimeMaxMs} ms`);
  }
  if (facts.lastResortMarked && !terms.asLastResort) {
    return rejected("LAST_RESORT_MARKED", "marked as a last resort but not published as one");
  }
  const uncovered = uncoveredByOwnCapabilities(keyPackage.leafNode, facts.ciphersuite);
  if (uncovered !== undefined) return rejected("CAPABILITIES", uncovered);
  return checkIdentity(facts, terms);
}

function checkIdentity(facts: KeyPackageFacts, terms: KeyPackageTerms): RejectedKeyPackage | undefined {
  const { provider } = terms;
  if (!provider.equal(terms.currentCredential, facts.credential)) {
    return rejected("WRONG_IDENTITY", "the credential is not the client's current identity");
  }
  const judged = provider.validate(facts.credential, terms.nowMs);
  if (!judged.valid) return rejected("WRONG_IDENTITY", `the credential is not valid: ${judged.cause}`);
  const { handle, domain } = terms.currentHolder;
  if (judged.handle !== handle || judged.domain !== domain) {
    return rejected("WRONG_IDENTITY", "the credential names another than the client's record: update its identity");
  }
  if (!provider.keyMatches(facts.credential, facts.signatureKey, facts.ciphersuite)) {
    return rejected("WRONG_IDENTITY", "the credential does not vouch for the signature key");
  }
  return undefined;
}

async function checkSignatures(
  keyPackage: KeyPackage,
  ciphersuite: Ciphersuite,
): Promise<RejectedKeyPackage | undefined> {
  const [leafSigned, packageSigned] = await Promise.all([
    keyPackage.leafNode.verifySignature(ciphersuite, undefined),
    verifyKeyPackageSignature(keyPackage, ciphersuite),
  ]);
  if (!leafSigned) return rejected("LEAF_SIGNATURE", "the leaf node's signature does not verify");
  if (!packageSigned) return rejected("SIGNATURE", "the key package's signature does not verify");
  return undefined;
}

function rejected(reason: KeyPackageRejection, message: string): RejectedKeyPackage {
  return { kind: "rejected", reason, message };
}
