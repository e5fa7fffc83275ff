// The conformance kit's cases about chains: which lead to an anchor, and what stands in the way of the others.
import type { ProviderCase } from "./identity-provider-case.ts";
import type { RecipeName } from "./identity-provider-recipes.ts";

const STRICTER = "openssl signs and verifies with more algorithms than MLS has";
const deep = ["deepLeaf", ...Array.from({ length: 10 }, (_, n) => `deep${String(n + 1)}`)] as RecipeName[];
const carol = { handle: "carol" };

const paths: readonly ProviderCase[] = [
  { name: "a leaf under the root, root left out", chain: ["leaf"], verdict: carol },
  { name: "a leaf under the root, root sent along", chain: ["leaf", "root"], verdict: carol },
  { name: "a whole chain", chain: ["device", "account", "domain", "root"], verdict: { handle: "phone" } },
  { name: "a whole chain without its root", chain: ["device", "account", "domain"], verdict: { handle: "phone" } },
  { name: "P-256", chain: ["leafP256"], settings: { anchors: ["rootP256"] }, verdict: carol },
  { name: "P-384", chain: ["leafP384"], settings: { anchors: ["rootP384"] }, verdict: carol },
  { name: "P-521", chain: ["leafP521"], settings: { anchors: ["rootP521"] }, verdict: carol },
  { name: "Ed448", chain: ["leafEd448"], settings: { anchors: ["rootEd448"] }, verdict: carol },
  { name: "the second of two anchors", chain: ["leaf"], settings: { anchors: ["otherRoot", "root"] }, verdict: carol },
  {
    name: "two anchors of one name",
    chain: ["leafOfNamelessRoot"],
    settings: { anchors: ["root", "namelessRoot"] },
    openssl: "takes the first anchor of a name",
    verdict: { handle: "leafOfNamelessRoot" },
  },
  {
    name: "an anchor that is no root",
    chain: ["device", "account"],
    settings: { anchors: ["domain"] },
    verdict: { handle: "phone" },
  },
  {
    name: "an anchor renewed with its key, the old one sent",
    chain: ["leaf", "root"],
    settings: { anchors: ["rootRenewed"] },
    verdict: carol,
  },
  {
    name: "a cross-signed CA",
    chain: ["device", "account", "crossSigned"],
    settings: { anchors: ["otherRoot"] },
    verdict: { handle: "phone" },
  },
  { name: "a leaf of version 1", chain: ["leafVersion1"], verdict: { handle: "leafVersion1" } },
  {
    name: "an anchor of version 1, left out",
    chain: ["leafOfRootVersion1"],
    settings: { anchors: ["rootVersion1"] },
    verdict: { handle: "leafOfRootVersion1" },
  },
  {
    name: "an anchor of version 1, sent along",
    chain: ["leafOfRootVersion1", "rootVersion1"],
    settings: { anchors: ["rootVersion1"] },
    verdict: { handle: "leafOfRootVersion1" },
  },
  { name: "a leaf without key usage", chain: ["leafWithoutKeyUsage"], verdict: { handle: "leafWithoutKeyUsage" } },
  {
    name: "a self-signed certificate that is the anchor",
    chain: ["selfSignedCa"],
    settings: { anchors: ["selfSignedCa"] },
    verdict: { handle: "selfSignedCa" },
  },
  {
    name: "a key rolled over by its CA counts for no path length",
    chain: ["leafOfRolled", "caShortRolled", "caShort"],
    settings: { anchors: ["rootShort"] },
    verdict: { handle: "leafOfRolled" },
  },
];

const brokenPaths: readonly ProviderCase[] = [
  { name: "no certificate", chain: "000200", verdict: "malformed" },
  { name: "a certificate that is none", chain: "00020403020102", verdict: "malformed" },
  { name: "bytes after the credential", chain: "00020000", verdict: "malformed" },
  { name: "a basic credential", chain: "00010161", verdict: "type_unsupported" },
  { name: "an unknown type of credential", chain: "0a0a0161", verdict: "type_unsupported" },
  { name: "another root", chain: ["leafOfOtherRoot"], verdict: "unknown_root" },
  { name: "another root, sent along", chain: ["leafOfOtherRoot", "otherRoot"], verdict: "unknown_root" },
  { name: "another root of the same name", chain: ["leafOfWrongRoot"], verdict: "unknown_root" },
  {
    name: "another root of the same name, sent along",
    chain: ["leafOfWrongRoot", "wrongRoot"],
    verdict: "unknown_root",
  },
  {
    name: "another root of the same name without key identifiers",
    chain: ["leafOfNamelessRoot", "namelessRoot"],
    verdict: "unknown_root",
  },
  { name: "a self-signed certificate", chain: ["selfSigned"], verdict: "unknown_root" },
  {
    name: "a CA left out",
    chain: ["device", "domain", "root"],
    verdict: "chain_invalid",
  },
  {
    name: "an anchor alone that no anchor certified",
    chain: ["anchorUnderRoot"],
    settings: { anchors: ["anchorUnderRoot"] },
    verdict: "unknown_root",
    openssl: "trusts it as it stands",
  },
  { name: "the chain's end left out", chain: ["device", "account"], verdict: "unknown_root" },
  {
    name: "the leaf last",
    chain: ["root", "domain", "account", "device"],
    verdict: "chain_invalid",
  },
  {
    name: "CAs in the wrong order",
    chain: ["device", "domain", "account"],
    verdict: "chain_invalid",
    openssl: "it sorts the chain itself",
  },
  {
    name: "a certificate that is nobody's issuer",
    chain: ["leaf", "root", "otherRoot"],
    verdict: "chain_invalid",
    openssl: "it ignores what it does not need",
  },
  {
    name: "a certificate twice",
    chain: ["leaf", "root", "root"],
    verdict: "chain_invalid",
    openssl: "it ignores what it does not need",
  },
  { name: "a broken signature", chain: ["leafBrokenSignature"], verdict: "chain_invalid" },
  { name: "a broken signature, root sent along", chain: ["leafBrokenSignature", "root"], verdict: "chain_invalid" },
  {
    name: "a broken signature under a root's new key, which its old one certified",
    chain: ["leafOfRolledRootBroken", "rootRolled"],
    verdict: "chain_invalid",
  },
  { name: "an issuer that is no CA: no basicConstraints", chain: ["leafOfNotCa", "notCa"], verdict: "chain_invalid" },
  { name: "an issuer that is no CA: it says so", chain: ["leafOfCaFalse", "caFalse"], verdict: "chain_invalid" },
  {
    name: "a CA whose key must not sign certificates",
    chain: ["leafOfCaWithoutCertSign", "caWithoutCertSign"],
    verdict: "chain_invalid",
  },
  {
    name: "a CA that may sign certificates by a bit beyond the end of its key usage",
    chain: ["leafOfCaHiddenCertSign", "caHiddenCertSign"],
    verdict: "malformed",
  },
  { name: "a CA for servers only", chain: ["leafOfCaForServers", "caForServers"], verdict: "chain_invalid" },
  {
    name: "a path length",
    chain: ["leafOfCaShort", "caShort"],
    settings: { anchors: ["rootShort"] },
    verdict: { handle: "leafOfCaShort" },
  },
  {
    name: "a path longer than its CA allows",
    chain: ["leafTooFar", "caUnderShort", "caShort"],
    settings: { anchors: ["rootShort"] },
    verdict: "chain_invalid",
  },
  {
    name: "a path longer than its CA allows, root sent along",
    chain: ["leafTooFar", "caUnderShort", "caShort", "rootShort"],
    settings: { anchors: ["rootShort"] },
    verdict: "chain_invalid",
  },
  {
    name: "RSA above",
    chain: ["leafOfRsa", "caOfRsa", "rootRsa"],
    settings: { anchors: ["root"] },
    verdict: "chain_invalid",
  },
  { name: "an RSA key", chain: ["leafWithRsaKey"], verdict: "chain_invalid", openssl: STRICTER },
  { name: "SHA-1", chain: ["leafSha1"], settings: { anchors: ["rootP256"] }, verdict: "chain_invalid" },
  {
    name: "a hash that no ciphersuite joins with the curve",
    chain: ["leafOtherHash"],
    settings: { anchors: ["rootP256"] },
    verdict: "chain_invalid",
  },
  { name: "a signature said to be of another algorithm", chain: ["leafSaysRsa"], verdict: "chain_invalid" },
  {
    name: "ten certificates",
    chain: deep.slice(0, 10),
    settings: { anchors: ["deep10"] },
    verdict: { handle: "deepLeaf" },
  },
  { name: "eleven certificates", chain: deep, verdict: "chain_invalid", openssl: "goes deeper" },
  {
    name: "the anchor in the midst of its own path",
    chain: ["leaf", "rootUnderOther", "otherUnderRoot"],
    verdict: "chain_invalid",
    openssl: "ignores what it does not need",
  },
  { name: "a negative serial number", chain: ["leafNegativeSerial"], verdict: { handle: "leafNegativeSerial" } },
  { name: "a serial number longer than needed", chain: ["leafLongSerial"], verdict: "malformed" },
  { name: "two signature algorithms", chain: ["leafTwoAlgorithms"], verdict: "malformed" },
  { name: "extensions in version 2", chain: ["leafVersion2"], verdict: "malformed", openssl: "lets it pass" },
  { name: "a very long certificate", chain: ["leafTooLong"], verdict: "malformed", openssl: "has no limit there" },
  { name: "a day that there is not", chain: ["leafNoSuchDay"], verdict: "malformed" },
];

const extensions: readonly ProviderCase[] = [
  {
    name: "a key that must not sign",
    chain: ["leafForEncryption"],
    verdict: "chain_invalid",
  },
  { name: "TLS clients among the purposes", chain: ["leafForClients"], verdict: { handle: "leafForClients" } },
  {
    name: "instant messaging as the purpose (RFC 9734)",
    chain: ["leafForMessaging"],
    verdict: { handle: "leafForMessaging" },
    openssl: "knows no purpose of that name",
  },
  {
    name: "any purpose",
    chain: ["leafForAnything"],
    verdict: { handle: "leafForAnything" },
    openssl: "anyExtendedKeyUsage is no TLS client to it",
  },
  { name: "another purpose", chain: ["leafForServers"], verdict: "chain_invalid" },
  { name: "an unknown critical extension", chain: ["leafUnknownCritical"], verdict: "chain_invalid" },
  {
    name: "an unknown critical extension of a CA",
    chain: ["leafOfCaUnknownCritical", "caUnknownCritical"],
    verdict: "chain_invalid",
  },
  {
    name: "an unknown extension that is not critical",
    chain: ["leafUnknownPassing"],
    verdict: { handle: "leafUnknownPassing" },
  },
  {
    name: "an extension twice",
    chain: ["leafTwoSameExtensions"],
    verdict: "malformed",
    openssl: "takes unknown ones twice",
  },
  { name: "a critical policy", chain: ["leafCriticalPolicy"], verdict: { handle: "leafCriticalPolicy" } },
  { name: "a critical alternative name", chain: ["leafCriticalAltName"], verdict: { handle: "leafCriticalAltName" } },
  { name: "basicConstraints that can't be read", chain: ["leafBadConstraints"], verdict: "malformed" },
  {
    name: "name constraints, which are not heeded here",
    chain: ["leafOfCaNameConstraints", "caNameConstraints"],
    verdict: "chain_invalid",
    openssl: "heeds them",
  },
];

export const pathCases: readonly ProviderCase[] = [...paths, ...brokenPaths, ...extensions];
