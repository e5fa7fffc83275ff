// One X.509 certificate as facts (RFC 5280 §4.1). Reads, and judges nothing but its form.
import { readCertificateExtensions, type CertificateExtensions } from "./certificate-extensions.ts";
import { readCertificateKey, signatureSchemeOf, type CertificateKey } from "./certificate-key.ts";
import type { SignatureScheme } from "../suites.ts";
import { contextTag, DerReader, MalformedDer, malformedDer, readWholeDer, TAG } from "./der-reader.ts";
import { commonNamesIn, type CommonName } from "./distinguished-name.ts";

export interface Certificate {
  /** DER of the Names. */
  readonly issuer: Uint8Array;
  readonly subject: Uint8Array;
  readonly commonNames: readonly CommonName[];
  /** Unix milliseconds, both included. */
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** DER of the SubjectPublicKeyInfo. */
  readonly publicKeyInfo: Uint8Array;
  /** undefined: of a kind that no ciphersuite of MLS signs with. */
  readonly key: CertificateKey | undefined;
  /** By which it was signed; undefined: by one that no ciphersuite of MLS has. */
  readonly signatureScheme: SignatureScheme | undefined;
  readonly signature: Uint8Array;
  /** What the signature is made over. */
  readonly toBeSigned: Uint8Array;
  readonly extensions: CertificateExtensions;
}

/** Longer ones are malformed: a certificate is a name and a key. */
export const CERTIFICATE_BYTES_MAX = 16_384;

const VERSION_3 = 2;
const NO_EXTENSIONS: CertificateExtensions = { unheeded: false };

/** undefined: not the DER of one certificate. The bytes are copied. */
export function readCertificate(der: Uint8Array): Certificate | undefined {
  if (der.length > CERTIFICATE_BYTES_MAX) return undefined;
  try {
    return readWholeDer(new Uint8Array(der), (reader) => readFields(reader.inside(TAG.sequence)));
  } catch (fault) {
    if (fault instanceof MalformedDer) return undefined;
    throw fault;
  }
}

function readFields(certificate: DerReader): Certificate {
  const toBeSigned = certificate.element(TAG.sequence);
  const algorithm = certificate.element(TAG.sequence).whole;
  const signature = certificate.bitStringBytes();
  certificate.expectEnd();
  const fields = new DerReader(toBeSigned.content);
  const version = readVersion(fields);
  fields.integer(); // serialNumber: negative ones are there (§4.1.2.2), and nobody looks one up
  // §4.1.1.2: what is signed says by what, too.
  if (Buffer.compare(fields.element(TAG.sequence).whole, algorithm) !== 0) malformedDer("two signature algorithms");
  const issuer = fields.element(TAG.sequence).whole;
  commonNamesIn(issuer);
  const validity = fields.inside(TAG.sequence);
  const [notBeforeMs, notAfterMs] = [readTime(validity), readTime(validity)];
  validity.expectEnd();
  const subject = fields.element(TAG.sequence).whole;
  const publicKeyInfo = fields.element(TAG.sequence).whole;
  return {
    issuer,
    subject,
    commonNames: commonNamesIn(subject),
    notBeforeMs,
    notAfterMs,
    publicKeyInfo,
    key: readCertificateKey(publicKeyInfo),
    signatureScheme: signatureSchemeOf(algorithm),
    signature,
    toBeSigned: toBeSigned.whole,
    extensions: readRest(fields, version),
  };
}

function readVersion(fields: DerReader): number {
  const tagged = fields.optional(contextTag(0, true));
  if (tagged === undefined) return 0;
  const version = readWholeDer(tagged.content, (reader) => reader.smallInteger());
  return version === 1 || version === VERSION_3 ? version : malformedDer("an unknown version");
}

/** Unique identifiers (version 2 and up, used by nobody) and extensions (version 3). */
function readRest(fields: DerReader, version: number): CertificateExtensions {
  const identifiers = [fields.optional(contextTag(1, false)), fields.optional(contextTag(2, false))];
  if (version === 0 && identifiers.some(Boolean)) malformedDer("unique identifiers in version 1");
  const extensions = fields.optional(contextTag(3, true));
  fields.expectEnd();
  if (extensions === undefined) return NO_EXTENSIONS;
  if (version !== VERSION_3) malformedDer("extensions before version 3");
  return readCertificateExtensions(extensions.content);
}

/** §4.1.2.5: seconds are there, the zone is Z, and two-digit years run from 1950 to 2049. */
function readTime(reader: DerReader): number {
  const { tag, content } = reader.any();
  if (tag !== TAG.utcTime && tag !== TAG.generalizedTime) malformedDer("no time");
  const text = Buffer.from(content).toString("latin1");
  const yearDigits = tag === TAG.utcTime ? 2 : 4;
  if (!/^\d+Z$/.test(text) || text.length !== yearDigits + 11) malformedDer("a time of another form");
  const year = Number(text.slice(0, yearDigits));
  const century = year < 50 ? 2000 : 1900;
  const parts = text.slice(yearDigits, -1).match(/../g) ?? [];
  const [month = 0, day = 0, hour = 0, minute = 0, second = 0] = parts.map(Number);
  const time = new Date(0);
  time.setUTCFullYear(tag === TAG.utcTime ? century + year : year, month - 1, day);
  time.setUTCHours(hour, minute, second);
  const read = [
    time.getUTCMonth() + 1,
    time.getUTCDate(),
    time.getUTCHours(),
    time.getUTCMinutes(),
    time.getUTCSeconds(),
  ];
  const given = [month, day, hour, minute, second];
  return read.every((part, n) => part === given[n]) ? time.getTime() : malformedDer("a time that there is not");
}
