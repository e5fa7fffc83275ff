// Whether a chain of certificates leads to a trust anchor (RFC 5280 §6.1, RFC 9420 §5.3), whatever the time: dates are
// judged later, at the instant that is asked about. What is not checked (revocation) stands in docs/IDENTITY.md.
import { equalBytes } from "../suites.ts";
import { verifiesUnder } from "./certificate-key.ts";
import type { Certificate } from "./certificate.ts";

/** What stands under the anchor, the leaf first. */
type Below = readonly [Certificate, ...Certificate[]];
/** The leaf first, the anchor last. */
export type Path = readonly [...Below, Certificate];

export type PathJudgment =
  /** The paths that hold, which differ in their anchors only: all of one name and key. */
  | { readonly kind: "paths"; readonly paths: readonly [Path, ...Path[]] }
  | { readonly kind: "none"; readonly cause: "chain_invalid" | "unknown_root" };

/** Certificates of one credential. */
export const CHAIN_LENGTH_MAX = 10;

/** Where a certificate names purposes, one of these must be among them: any; TLS client; instant messaging (RFC 9734). */
const KEY_PURPOSES: ReadonlySet<string> = new Set(["2.5.29.37.0", "1.3.6.1.5.5.7.3.2", "1.3.6.1.5.5.7.3.40"]);

const INVALID: PathJudgment = { kind: "none", cause: "chain_invalid" };
const UNKNOWN_ROOT: PathJudgment = { kind: "none", cause: "unknown_root" };

/**
 * @param chain as a credential has it: the leaf first, each next one certifies the one before; the anchor may be left
 * out. Signatures are verified from the anchor down, so that no key is used before it is trusted.
 */
export function findPath(chain: readonly Certificate[], anchors: readonly Certificate[]): PathJudgment {
  const [leaf] = chain;
  if (leaf === undefined || chain.length > CHAIN_LENGTH_MAX) return INVALID;
  if (isAnyoneTwice(chain)) return INVALID;
  // An anchor that was sent along is used as it was set, and was judged then: it may be of version 1.
  const sent = sentAnchors(chain, anchors);
  const below: Below = [leaf, ...chain.slice(1, sent.length > 0 ? -1 : undefined)];
  if (!mayBeLeaf(leaf) || !below.slice(1).every(mayIssue)) return INVALID;
  if (!chain.every((certificate, at) => at === 0 || isNamedBy(certificate, chain[at - 1]))) return INVALID;
  const last = below.at(-1) ?? leaf;
  const named =
    sent.length > 0 ? sent : anchors.filter((anchor) => isNamedBy(anchor, last) && mayBeKeyOf(anchor, last));
  if (named.length === 0) return UNKNOWN_ROOT;
  const issuers = named.filter((anchor) => isSignedBy(last, anchor));
  // A root that only bears an anchor's name.
  if (issuers.length === 0) return sent.length === 0 && isSelfIssued(last) ? UNKNOWN_ROOT : INVALID;
  // A lone root may be a leaf: the anchor is no part of the path itself (§6.1).
  const [path, ...others] = issuers
    .map((anchor): Path => [...below, anchor])
    .filter((one) => isWithinPathLengths(one) && (chain.length === 1 || !isAnyoneTwice(one)));
  return path !== undefined && isSignedBelow(below) ? { kind: "paths", paths: [path, ...others] } : INVALID;
}

/** Why a certificate can't be a trust anchor, or undefined. */
export function anchorFault({ key, extensions }: Certificate): string | undefined {
  if (key === undefined) return "its key is of a kind that no ciphersuite of MLS signs with";
  if (extensions.basicConstraints?.ca === false) return "it says that it is no certificate authority";
  if (extensions.keyUsage?.keyCertSign === false) return "its key must not sign certificates";
  if (!isForMessaging(extensions.extendedKeyUsage)) return "its purposes are others than clients or messaging";
  return extensions.unheeded ? "it has a constraint or a critical extension that is not understood" : undefined;
}

/** An anchor may be sent along: it is then the last. An anchor is a name with a key: its other fields may differ. */
function sentAnchors(chain: readonly Certificate[], anchors: readonly Certificate[]): readonly Certificate[] {
  const last = chain.at(-1);
  return chain.length === 1 || last === undefined ? [] : anchors.filter((anchor) => isSameHolder(anchor, last));
}

function isNamedBy(issuer: Certificate, certificate: Certificate | undefined): boolean {
  return certificate !== undefined && equalBytes(issuer.subject, certificate.issuer);
}

/** Key identifiers only tell issuers of one name apart; the signature decides. */
function mayBeKeyOf(issuer: Certificate, certificate: Certificate): boolean {
  const { authorityKeyIdentifier: wanted } = certificate.extensions;
  const { subjectKeyIdentifier: has } = issuer.extensions;
  return wanted === undefined || has === undefined || wanted === has;
}

function isSameHolder(a: Certificate, b: Certificate): boolean {
  return equalBytes(a.subject, b.subject) && equalBytes(a.publicKeyInfo, b.publicKeyInfo);
}

function isSelfIssued({ issuer, subject }: Certificate): boolean {
  return equalBytes(issuer, subject);
}

function mayBeLeaf({ key, extensions }: Certificate): boolean {
  return (
    key !== undefined &&
    !extensions.unheeded &&
    extensions.keyUsage?.digitalSignature !== false &&
    isForMessaging(extensions.extendedKeyUsage)
  );
}

/** §6.1.4 (k), (n), (f); purposes of an issuer bind all that it issues. */
function mayIssue({ key, extensions }: Certificate): boolean {
  return (
    key !== undefined &&
    !extensions.unheeded &&
    extensions.basicConstraints?.ca === true &&
    extensions.keyUsage?.keyCertSign !== false &&
    isForMessaging(extensions.extendedKeyUsage)
  );
}

function isForMessaging(purposes: readonly string[] | undefined): boolean {
  return purposes === undefined || purposes.some((purpose) => KEY_PURPOSES.has(purpose));
}

/** §6.1.4 (l), (m): between an issuer and the leaf stand at most so many others that are not self-issued. */
function isWithinPathLengths(path: Path): boolean {
  return path.every(({ extensions }, at) => {
    const below = path.slice(1, at).filter((certificate) => !isSelfIssued(certificate)).length;
    return at === 0 || below <= (extensions.basicConstraints?.pathLength ?? Infinity);
  });
}

/** §6.1: nobody stands twice in a path; offsets into it would else be the client's choice. */
function isAnyoneTwice(path: readonly Certificate[]): boolean {
  return path.some((one, at) => path.slice(at + 1).some((other) => isSameHolder(one, other)));
}

/** From the top down. */
function isSignedBelow(below: Below): boolean {
  for (let at = below.length - 2; at >= 0; at -= 1) {
    const certificate = below[at];
    if (certificate === undefined || !isSignedBy(certificate, below[at + 1])) return false;
  }
  return true;
}

function isSignedBy({ signatureScheme, toBeSigned, signature }: Certificate, issuer: Certificate | undefined): boolean {
  return verifiesUnder(issuer?.key, signatureScheme, toBeSigned, signature);
}
