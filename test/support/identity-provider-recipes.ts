// The certificates of the conformance kit, as data: who certifies whom, and what is wrong with some of them.
import { der, DER, DER_TEXT, DER_TIME, derBoolean, derOid } from "./der-writer.ts";
import { EXTENSION_OID, KEY_USAGE, type CertificateRecipe } from "./certificates.ts";

const UNKNOWN_OID = "1.3.6.1.4.1.55555.1";
const CLIENT_AUTH = "1.3.6.1.5.5.7.3.2";
const SERVER_AUTH = "1.3.6.1.5.5.7.3.1";
const INSTANT_MESSAGING = "1.3.6.1.5.5.7.3.40";
const ANY_PURPOSE = "2.5.29.37.0";

const bytes = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, "utf8"));
const sha256WithRsa = der(DER.sequence, derOid("1.2.840.113549.1.1.11"), [5, 0]);
const ecdsaWithSha1 = der(DER.sequence, derOid("1.2.840.10045.4.1"));
const ecdsaWithSha384 = der(DER.sequence, derOid("1.2.840.10045.4.3.3"));
const excludedNames = der(DER.sequence, der(0xa1, der(DER.sequence, der(0x82, bytes("example.org")))));
const anyPolicy = der(DER.sequence, der(DER.sequence, derOid("2.5.29.32.0")));
const alternativeName = der(DER.sequence, der(0x86, bytes("im:alice@example.org")));
const endless = der(DER_TIME.generalized, bytes("99991231235959Z"));
const notBasicConstraints = der(DER.sequence, derBoolean(true), [2, 1]);

export const recipes = {
  // A house with accounts and domains: device → account → domain → root.
  root: { commonNames: ["Root"], ca: true, days: [-1000, 3000] },
  domain: { commonNames: ["example.org"], issuer: "root", ca: true, days: [-500, 2000] },
  account: { commonNames: ["alice"], issuer: "domain", ca: true, days: [-400, 1000] },
  device: { commonNames: ["phone"], issuer: "account", days: [-10, 20] },
  deviceRenewed: { commonNames: ["phone"], issuer: "account", days: [-1, 50] },
  otherDevice: { commonNames: ["tablet"], issuer: "account" },
  otherAccount: { commonNames: ["bob"], issuer: "domain", ca: true },
  bobsPhone: { commonNames: ["phone"], issuer: "otherAccount" },
  otherDomain: { commonNames: ["example.net"], issuer: "root", ca: true },
  alicesNamesake: { commonNames: ["alice"], issuer: "otherDomain", ca: true },
  namesakesPhone: { commonNames: ["phone"], issuer: "alicesNamesake" },

  // One CA beneath the root, and leaves of all kinds.
  leaf: { commonNames: ["carol"], issuer: "root" },
  leafP256: { commonNames: ["carol"], issuer: "rootP256", scheme: "p256" },
  leafP384: { commonNames: ["carol"], issuer: "rootP384", scheme: "p384" },
  leafP521: { commonNames: ["carol"], issuer: "rootP521", scheme: "p521" },
  leafEd448: { commonNames: ["carol"], issuer: "rootEd448", scheme: "ed448" },
  rootP256: { ca: true, scheme: "p256" },
  rootP384: { ca: true, scheme: "p384" },
  rootP521: { ca: true, scheme: "p521" },
  rootEd448: { ca: true, scheme: "ed448" },
  rootRsa: { ca: true, scheme: "rsa" },
  leafOfRsa: { issuer: "caOfRsa" },
  caOfRsa: { issuer: "rootRsa", ca: true },
  leafWithRsaKey: { issuer: "root", scheme: "rsa" },
  leafSha1: { issuer: "rootP256", signatureAlgorithm: ecdsaWithSha1 },
  leafOtherHash: { issuer: "rootP256", signatureAlgorithm: ecdsaWithSha384 },
  leafSaysRsa: { issuer: "root", signatureAlgorithm: sha256WithRsa },
  leafTwoAlgorithms: { issuer: "root", signedAlgorithm: sha256WithRsa },
  leafVersion2: { issuer: "root", version: 2 },
  leafTooLong: { issuer: "root", extensions: [{ oid: UNKNOWN_OID, critical: false, value: new Uint8Array(16_384) }] },
  leafNoSuchDay: { issuer: "root", notAfter: der(DER_TIME.generalized, bytes("20270231000000Z")) },
  leafEndless: { issuer: "rootEndless", notAfter: endless },
  rootEndless: { ca: true, notAfter: endless },
  leafVersion1: { issuer: "root", version: 1 },
  rootVersion1: { version: 1, keyUsage: null },
  leafOfRootVersion1: { issuer: "rootVersion1" },
  leafBrokenSignature: { issuer: "root", brokenSignature: true },
  leafWithoutKeyUsage: { issuer: "root", keyUsage: null },
  leafForEncryption: { issuer: "root", keyUsage: KEY_USAGE.keyEncipherment },
  leafForClients: { issuer: "root", extendedKeyUsage: [SERVER_AUTH, CLIENT_AUTH] },
  leafForMessaging: { issuer: "root", extendedKeyUsage: [INSTANT_MESSAGING] },
  leafForAnything: { issuer: "root", extendedKeyUsage: [ANY_PURPOSE] },
  leafForServers: { issuer: "root", extendedKeyUsage: [SERVER_AUTH] },
  leafUnknownCritical: { issuer: "root", extensions: [{ oid: UNKNOWN_OID, critical: true, value: [5, 0] }] },
  leafUnknownPassing: { issuer: "root", extensions: [{ oid: UNKNOWN_OID, critical: false, value: [5, 0] }] },
  leafTwoSameExtensions: {
    issuer: "root",
    extensions: [false, false].map((critical) => ({ oid: UNKNOWN_OID, critical, value: [5, 0] })),
  },
  leafCriticalPolicy: {
    issuer: "root",
    extensions: [{ oid: EXTENSION_OID.certificatePolicies, critical: true, value: anyPolicy }],
  },
  leafCriticalAltName: {
    issuer: "root",
    extensions: [{ oid: EXTENSION_OID.subjectAltName, critical: true, value: alternativeName }],
  },
  leafBadConstraints: {
    issuer: "root",
    extensions: [{ oid: EXTENSION_OID.basicConstraints, critical: true, value: notBasicConstraints }],
  },
  leafNegativeSerial: { issuer: "root", serialNumber: der(DER.integer, [0x80]) },
  leafLongSerial: { issuer: "root", serialNumber: der(DER.integer, [0, 1]) },
  selfSigned: {},
  selfSignedCa: { ca: true, keyUsage: KEY_USAGE.digitalSignature | KEY_USAGE.keyCertSign },

  // CAs that may not, or may not so far.
  notCa: { issuer: "root", keyUsage: null },
  leafOfNotCa: { issuer: "notCa" },
  caFalse: { issuer: "root", ca: false, keyUsage: KEY_USAGE.digitalSignature | KEY_USAGE.keyCertSign },
  leafOfCaFalse: { issuer: "caFalse" },
  caWithoutCertSign: { issuer: "root", ca: true, keyUsage: KEY_USAGE.digitalSignature },
  leafOfCaWithoutCertSign: { issuer: "caWithoutCertSign" },
  caForServers: { issuer: "root", ca: true, extendedKeyUsage: [SERVER_AUTH] },
  leafOfCaForServers: { issuer: "caForServers" },
  // keyCertSign stands among the bits that are said to be unused.
  caHiddenCertSign: {
    issuer: "root",
    ca: true,
    keyUsage: null,
    extensions: [{ oid: EXTENSION_OID.keyUsage, critical: true, value: der(DER.bitString, [7, 0x84]) }],
  },
  leafOfCaHiddenCertSign: { issuer: "caHiddenCertSign" },
  caUnknownCritical: { issuer: "root", ca: true, extensions: [{ oid: UNKNOWN_OID, critical: true, value: [5, 0] }] },
  leafOfCaUnknownCritical: { issuer: "caUnknownCritical" },
  caNameConstraints: {
    issuer: "root",
    ca: true,
    extensions: [{ oid: EXTENSION_OID.nameConstraints, critical: false, value: excludedNames }],
  },
  leafOfCaNameConstraints: { issuer: "caNameConstraints" },
  rootShort: { ca: true, pathLength: 1 },
  caShort: { issuer: "rootShort", ca: true, pathLength: 0 },
  leafOfCaShort: { issuer: "caShort" },
  caUnderShort: { issuer: "caShort", ca: true },
  leafTooFar: { issuer: "caUnderShort" },
  caShortRolled: { commonNames: ["caShort"], issuer: "caShort", ca: true },
  leafOfRolled: { issuer: "caShortRolled" },

  // As deep as it may be, and one deeper.
  deepLeaf: { issuer: "deep1" },
  deep1: { issuer: "deep2", ca: true },
  deep2: { issuer: "deep3", ca: true },
  deep3: { issuer: "deep4", ca: true },
  deep4: { issuer: "deep5", ca: true },
  deep5: { issuer: "deep6", ca: true },
  deep6: { issuer: "deep7", ca: true },
  deep7: { issuer: "deep8", ca: true },
  deep8: { issuer: "deep9", ca: true },
  deep9: { issuer: "deep10", ca: true },
  deep10: { issuer: "root", ca: true },

  // Roots that are not the root.
  wrongRoot: { commonNames: ["Root"], ca: true },
  leafOfWrongRoot: { issuer: "wrongRoot" },
  namelessRoot: { commonNames: ["Root"], ca: true, keyIdentifiers: false },
  leafOfNamelessRoot: { issuer: "namelessRoot", keyIdentifiers: false },
  otherRoot: { ca: true },
  leafOfOtherRoot: { issuer: "otherRoot" },
  rootRenewed: { sameHolderAs: "root", ca: true, days: [-2, 5000] },
  rootRolled: { commonNames: ["Root"], issuer: "root", ca: true },
  leafOfRolledRootBroken: { issuer: "rootRolled", brokenSignature: true },
  rootUnderOther: { sameHolderAs: "root", issuer: "otherRoot", ca: true },
  otherUnderRoot: { sameHolderAs: "otherRoot", issuer: "root", ca: true },
  crossSigned: { sameHolderAs: "domain", issuer: "otherRoot", ca: true },

  // Times.
  expiredLeaf: { issuer: "root", days: [-30, -5] },
  futureLeaf: { issuer: "root", days: [5, 30] },
  expiredCa: { issuer: "root", ca: true, days: [-30, -5] },
  leafOfExpiredCa: { issuer: "expiredCa" },
  futureCa: { issuer: "root", ca: true, days: [5, 30] },
  leafOfFutureCa: { issuer: "futureCa" },
  shortLivedCa: { issuer: "root", ca: true, days: [-30, 7] },
  leafOfShortLivedCa: { issuer: "shortLivedCa" },
  anchorUnderRoot: { issuer: "root", ca: true, keyUsage: KEY_USAGE.digitalSignature | KEY_USAGE.keyCertSign },
  expiredRoot: { ca: true, days: [-300, -5] },
  leafOfExpiredRoot: { issuer: "expiredRoot" },
  expiredRootRenewed: { sameHolderAs: "expiredRoot", ca: true, days: [-30, 500] },
  earlyLeafOfExpiredRoot: { issuer: "expiredRoot", days: [-200, 365] },
  longLeafOfExpiredRoot: { issuer: "expiredRoot", days: [-1, 900] },
  oldLeaf: { issuer: "root", days: [-900, 20_000] },

  // Names.
  twoNames: { commonNames: ["dave", "david"], issuer: "root" },
  noName: { commonNames: [], issuer: "root" },
  emptyName: { commonNames: [""], issuer: "root" },
  nameAt: { commonNames: ["al@ice"], issuer: "root" },
  nameSlash: { commonNames: ["al/ice"], issuer: "root" },
  nameHash: { commonNames: ["al#ice"], issuer: "root" },
  nameDollar: { commonNames: ["al$ice"], issuer: "root" },
  nameColon: { commonNames: ["al:ice"], issuer: "root" },
  nameControl: { commonNames: ["al\u009bice"], issuer: "root" },
  nameDelete: { commonNames: ["al\u007fice"], issuer: "root" },
  nameNul: { commonNames: ["al\u0000ice"], issuer: "root" },
  nameUnicode: { commonNames: ["älice 🦉"], issuer: "root" },
  namePrintable: { commonNames: [{ tag: DER_TEXT.printable, bytes: bytes("Alice B.") }], issuer: "root" },
  nameIa5: { commonNames: [{ tag: DER_TEXT.ia5, bytes: bytes("alice_b") }], issuer: "root" },
  nameLong: { commonNames: ["x".repeat(1024)], issuer: "root" },
  nameTooLong: { commonNames: ["ü".repeat(513)], issuer: "root" },
  nameNotPrintable: { commonNames: [{ tag: DER_TEXT.printable, bytes: bytes("alice_b") }], issuer: "root" },
  nameNotIa5: { commonNames: [{ tag: DER_TEXT.ia5, bytes: bytes("älice") }], issuer: "root" },
  nameNotUtf8: { commonNames: [{ tag: DER_TEXT.utf8, bytes: Uint8Array.of(0x61, 0xff, 0xfe) }], issuer: "root" },
  nameTeletex: { commonNames: [{ tag: DER_TEXT.teletex, bytes: bytes("alice") }], issuer: "root" },
} as const satisfies Record<string, CertificateRecipe>;

export type RecipeName = keyof typeof recipes;
