// The extensions of a certificate that path validation needs (RFC 5280 §4.2.1), and whether there are others that
// forbid its use. Revocation is nobody's business here (docs/IDENTITY.md).
import { DerReader, malformedDer, readWholeDer, TAG } from "./der-reader.ts";

export interface CertificateExtensions {
  /** Absent: no basicConstraints. */
  readonly basicConstraints?: { readonly ca: boolean; readonly pathLength?: number };
  /** Absent: every use. */
  readonly keyUsage?: { readonly digitalSignature: boolean; readonly keyCertSign: boolean };
  /** Key purposes by object identifier; absent: every purpose. */
  readonly extendedKeyUsage?: readonly string[];
  /** In hex. */
  readonly subjectKeyIdentifier?: string;
  /** In hex. */
  readonly authorityKeyIdentifier?: string;
  /** An extension that must be heeded and is not understood here. */
  readonly unheeded: boolean;
}

const OID = {
  subjectKeyIdentifier: "2.5.29.14",
  keyUsage: "2.5.29.15",
  subjectAltName: "2.5.29.17",
  issuerAltName: "2.5.29.18",
  basicConstraints: "2.5.29.19",
  nameConstraints: "2.5.29.30",
  certificatePolicies: "2.5.29.32",
  authorityKeyIdentifier: "2.5.29.35",
  extendedKeyUsage: "2.5.29.37",
} as const;

/**
 * Understood though they change nothing: identities are subject names, and any policy is accepted (policyConstraints,
 * which could ask for one, are not among them).
 */
const WITHOUT_EFFECT: ReadonlySet<string> = new Set([OID.subjectAltName, OID.issuerAltName, OID.certificatePolicies]);

const EXTENSIONS_MAX = 64;
const KEY_PURPOSES_MAX = 64;
const KEY_IDENTIFIER_TAG = 0x80;

type Found = { -readonly [K in keyof CertificateExtensions]: CertificateExtensions[K] };

/** @param extensions content of the `[3]` element @throws MalformedDer */
export function readCertificateExtensions(extensions: Uint8Array): CertificateExtensions {
  const found: Found = { unheeded: false };
  const seen = new Set<string>();
  readWholeDer(extensions, (outer) => {
    const list = outer.inside(TAG.sequence);
    if (list.done) malformedDer("an empty list of extensions");
    while (!list.done) {
      const extension = list.inside(TAG.sequence);
      const type = extension.objectIdentifier();
      if (seen.has(type)) malformedDer("an extension stands twice");
      if (seen.size >= EXTENSIONS_MAX) malformedDer("too many extensions");
      seen.add(type);
      const critical = readCritical(extension);
      const { content } = extension.element(TAG.octetString);
      extension.expectEnd();
      readExtension(found, type, critical, content);
    }
  });
  return found;
}

/** DER leaves a default out: a `critical` that is there is true. */
function readCritical(extension: DerReader): boolean {
  const flag = extension.optional(TAG.boolean);
  if (flag === undefined) return false;
  return new DerReader(flag.whole).boolean() || malformedDer("a default that is written out");
}

function readExtension(found: Found, type: string, critical: boolean, value: Uint8Array): void {
  switch (type) {
    case OID.basicConstraints:
      found.basicConstraints = readWholeDer(value, readBasicConstraints);
      return;
    case OID.keyUsage:
      found.keyUsage = readWholeDer(value, readKeyUsage);
      return;
    case OID.extendedKeyUsage:
      found.extendedKeyUsage = readWholeDer(value, readKeyPurposes);
      return;
    case OID.subjectKeyIdentifier:
      found.subjectKeyIdentifier = hex(readWholeDer(value, (reader) => reader.element(TAG.octetString).content));
      return;
    case OID.authorityKeyIdentifier: {
      const identifier = readWholeDer(value, readAuthorityKeyIdentifier);
      if (identifier !== undefined) found.authorityKeyIdentifier = hex(identifier);
      return;
    }
    case OID.nameConstraints:
      // They narrow what a CA may say. Not heeding them would widen it, critical or not.
      found.unheeded = true;
      return;
    default:
      if (critical && !WITHOUT_EFFECT.has(type)) found.unheeded = true;
  }
}

function readBasicConstraints(reader: DerReader): { readonly ca: boolean; readonly pathLength?: number } {
  const fields = reader.inside(TAG.sequence);
  const ca = readCritical(fields);
  if (fields.done) return { ca };
  const pathLength = fields.smallInteger();
  fields.expectEnd();
  return ca ? { ca, pathLength } : malformedDer("a path length of who is no CA");
}

function readKeyUsage(reader: DerReader): { readonly digitalSignature: boolean; readonly keyCertSign: boolean } {
  const { content } = reader.element(TAG.bitString);
  const [unused = 8, first = 0] = content;
  if (unused > 7 || content.length < 2) malformedDer("a key usage without a bit");
  // Others do not read the bits beyond the end: what they say must not count here alone.
  if (((content.at(-1) ?? 0) & ((1 << unused) - 1)) !== 0) malformedDer("bits beyond the end of a bit string");
  return { digitalSignature: (first & 0x80) !== 0, keyCertSign: (first & 0x04) !== 0 };
}

function readKeyPurposes(reader: DerReader): readonly string[] {
  const list = reader.inside(TAG.sequence);
  const purposes: string[] = [];
  while (!list.done) {
    if (purposes.length >= KEY_PURPOSES_MAX) malformedDer("too many key purposes");
    purposes.push(list.objectIdentifier());
  }
  return purposes.length > 0 ? purposes : malformedDer("an extended key usage without a purpose");
}

/** The key identifier; the issuer's name and serial number may follow and are not used. */
function readAuthorityKeyIdentifier(reader: DerReader): Uint8Array | undefined {
  const fields = reader.inside(TAG.sequence);
  const identifier = fields.optional(KEY_IDENTIFIER_TAG)?.content;
  while (!fields.done) fields.any();
  return identifier;
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
