// Certificates for tests, made from recipes when a test runs: no private key is ever kept. They are written with
// an encoder of their own and signed by node:crypto; openssl's verdict on them is asked too (x509-provider.test.ts).
import { generateKeyPairSync, sign, type KeyObject } from "node:crypto";
import { der, DER, DER_TEXT, derBoolean, derInteger, derOid, derTime, type DerPart } from "./der-writer.ts";

export type KeyScheme = "ed25519" | "ed448" | "p256" | "p384" | "p521" | "rsa";

/** What a certificate says. Days are counted from the world's own now. */
export interface CertificateRecipe {
  /** The recipe's name is the common name where none is given; [] for none. */
  readonly commonNames?: readonly (string | { readonly tag: number; readonly bytes: Uint8Array })[];
  /** Name of the recipe of the issuer; itself, where none is given. */
  readonly issuer?: string;
  /** Takes name and key from that recipe's certificate. */
  readonly sameHolderAs?: string;
  readonly scheme?: KeyScheme;
  /** First and last day of validity. */
  readonly days?: readonly [number, number];
  /** DER of notAfter, as it stands. */
  readonly notAfter?: Uint8Array;
  /** Adds basicConstraints, keyUsage for signing certificates, and key identifiers. */
  readonly ca?: boolean;
  readonly pathLength?: number;
  /** The bits of keyUsage's first byte; null: no such extension. */
  readonly keyUsage?: number | null;
  readonly extendedKeyUsage?: readonly string[];
  readonly extensions?: readonly { readonly oid: string; readonly critical: boolean; readonly value: DerPart }[];
  readonly keyIdentifiers?: false;
  /** Version 1 has no extensions; version 2 must not have them, and has them all the same. */
  readonly version?: 1 | 2 | 3;
  /** DER of the algorithm that the signature says it is of. */
  readonly signatureAlgorithm?: Uint8Array;
  /** DER of the algorithm that what is signed says, where it is another. */
  readonly signedAlgorithm?: Uint8Array;
  readonly brokenSignature?: true;
  /** DER of the serial number, as it stands. */
  readonly serialNumber?: Uint8Array;
}

export interface MadeCertificate {
  readonly der: Uint8Array;
  readonly subject: Uint8Array;
  readonly scheme: KeyScheme;
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

export const KEY_USAGE = { digitalSignature: 0x80, keyEncipherment: 0x20, keyCertSign: 0x04, crlSign: 0x02 } as const;
export const EXTENSION_OID = {
  subjectKeyIdentifier: "2.5.29.14",
  keyUsage: "2.5.29.15",
  subjectAltName: "2.5.29.17",
  basicConstraints: "2.5.29.19",
  nameConstraints: "2.5.29.30",
  certificatePolicies: "2.5.29.32",
  authorityKeyIdentifier: "2.5.29.35",
  extendedKeyUsage: "2.5.29.37",
} as const;

const DAY_MS = 86_400_000;
const CURVES = { p256: "prime256v1", p384: "secp384r1", p521: "secp521r1" } as const;
const SIGNATURES = {
  ed25519: { algorithm: der(DER.sequence, derOid("1.3.101.112")), hash: null },
  ed448: { algorithm: der(DER.sequence, derOid("1.3.101.113")), hash: null },
  p256: { algorithm: der(DER.sequence, derOid("1.2.840.10045.4.3.2")), hash: "sha256" },
  p384: { algorithm: der(DER.sequence, derOid("1.2.840.10045.4.3.3")), hash: "sha384" },
  p521: { algorithm: der(DER.sequence, derOid("1.2.840.10045.4.3.4")), hash: "sha512" },
  rsa: { algorithm: der(DER.sequence, derOid("1.2.840.113549.1.1.11"), [5, 0]), hash: "sha256" },
} as const;

/** Makes certificates as they are asked for, each once. */
export class CertificateWorld {
  readonly nowMs: number;
  readonly #recipes: Readonly<Record<string, CertificateRecipe>>;
  readonly #made = new Map<string, MadeCertificate>();

  constructor(recipes: Readonly<Record<string, CertificateRecipe>>, nowMs: number) {
    this.#recipes = recipes;
    this.nowMs = nowMs;
  }

  get(name: string): MadeCertificate {
    const known = this.#made.get(name);
    if (known !== undefined) return known;
    const recipe = this.#recipes[name];
    if (recipe === undefined) throw new Error(`no recipe is called ${name}`);
    const made = makeCertificate(name, recipe, this.nowMs, (issuer) => this.get(issuer));
    this.#made.set(name, made);
    return made;
  }

  ders(names: readonly string[]): Uint8Array[] {
    return names.map((name) => this.get(name).der);
  }
}

export function makeCertificate(
  name: string,
  recipe: CertificateRecipe,
  nowMs: number,
  find: (name: string) => MadeCertificate,
): MadeCertificate {
  const holder = recipe.sameHolderAs === undefined ? undefined : find(recipe.sameHolderAs);
  const scheme = holder?.scheme ?? recipe.scheme ?? "ed25519";
  const { publicKey, privateKey } = holder ?? keyPair(scheme);
  const subject = holder?.subject ?? nameOf(recipe.commonNames ?? [name]);
  const self = { subject, scheme, publicKey, privateKey };
  const issuer = recipe.issuer === undefined ? self : find(recipe.issuer);
  const [from, until] = recipe.days ?? [-1, 365];
  const algorithm = recipe.signatureAlgorithm ?? SIGNATURES[issuer.scheme].algorithm;
  const extensions = extensionsOf(recipe, publicKey, issuer.publicKey);
  const toBeSigned = der(
    DER.sequence,
    recipe.version === 1 ? [] : der(0xa0, derInteger((recipe.version ?? 3) - 1)),
    recipe.serialNumber ?? derInteger(1 + Math.floor(Math.random() * 2 ** 40)),
    recipe.signedAlgorithm ?? algorithm,
    issuer.subject,
    der(DER.sequence, derTime(nowMs + from * DAY_MS), recipe.notAfter ?? derTime(nowMs + until * DAY_MS)),
    subject,
    publicKey.export({ format: "der", type: "spki" }),
    extensions.length === 0 ? [] : der(0xa3, der(DER.sequence, ...extensions)),
  );
  const signature = Uint8Array.from(sign(SIGNATURES[issuer.scheme].hash, toBeSigned, issuer.privateKey));
  if (recipe.brokenSignature === true) signature[signature.length - 1] = (signature.at(-1) ?? 0) ^ 1;
  return { ...self, der: der(DER.sequence, toBeSigned, algorithm, der(DER.bitString, [0], signature)) };
}

/** As ts-mls and RFC 9420 have them: raw Edwards keys, uncompressed points. */
export function signatureKeyPair({ publicKey, privateKey }: MadeCertificate): {
  readonly signKey: Uint8Array;
  readonly publicKey: Uint8Array;
} {
  const { x = "", y } = publicKey.export({ format: "jwk" });
  const { d = "" } = privateKey.export({ format: "jwk" });
  const parts = [x, ...(y === undefined ? [] : [y])].map((part) => Buffer.from(part, "base64url"));
  const point = y === undefined ? parts : [Buffer.of(4), ...parts];
  return { signKey: new Uint8Array(Buffer.from(d, "base64url")), publicKey: new Uint8Array(Buffer.concat(point)) };
}

export function pem(derBytes: Uint8Array): string {
  const lines =
    Buffer.from(derBytes)
      .toString("base64")
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`;
}

function keyPair(scheme: KeyScheme): { readonly publicKey: KeyObject; readonly privateKey: KeyObject } {
  if (scheme === "ed25519") return generateKeyPairSync("ed25519");
  if (scheme === "ed448") return generateKeyPairSync("ed448");
  if (scheme === "rsa") return generateKeyPairSync("rsa", { modulusLength: 2048 });
  return generateKeyPairSync("ec", { namedCurve: CURVES[scheme] });
}

function nameOf(commonNames: NonNullable<CertificateRecipe["commonNames"]>): Uint8Array {
  const organization = attribute("2.5.4.10", DER_TEXT.utf8, Buffer.from("Test"));
  const names = commonNames.map((one) =>
    typeof one === "string"
      ? attribute("2.5.4.3", DER_TEXT.utf8, Buffer.from(one))
      : attribute("2.5.4.3", one.tag, one.bytes),
  );
  return der(DER.sequence, organization, ...names);
}

function attribute(oid: string, tag: number, bytes: Uint8Array): Uint8Array {
  return der(DER.set, der(DER.sequence, derOid(oid), der(tag, bytes)));
}

function extensionsOf(recipe: CertificateRecipe, own: KeyObject, issuers: KeyObject): Uint8Array[] {
  const { ca, pathLength, extendedKeyUsage, extensions = [], keyIdentifiers } = recipe;
  if (recipe.version === 1) return [];
  const keyUsage =
    recipe.keyUsage ?? (ca === true ? KEY_USAGE.keyCertSign | KEY_USAGE.crlSign : KEY_USAGE.digitalSignature);
  const constraints = [
    ...(ca === true ? [derBoolean(true)] : []),
    ...(pathLength === undefined ? [] : [derInteger(pathLength)]),
  ];
  const made: Uint8Array[] = [];
  if (ca !== undefined) made.push(extension(EXTENSION_OID.basicConstraints, true, der(DER.sequence, ...constraints)));
  if (recipe.keyUsage !== null) made.push(extension(EXTENSION_OID.keyUsage, true, keyUsageBits(keyUsage)));
  if (keyIdentifiers !== false) {
    made.push(
      extension(EXTENSION_OID.subjectKeyIdentifier, false, der(DER.octetString, keyIdentifier(own))),
      extension(EXTENSION_OID.authorityKeyIdentifier, false, der(DER.sequence, der(0x80, keyIdentifier(issuers)))),
    );
  }
  if (extendedKeyUsage !== undefined) {
    made.push(extension(EXTENSION_OID.extendedKeyUsage, false, der(DER.sequence, ...extendedKeyUsage.map(derOid))));
  }
  return [...made, ...extensions.map(({ oid, critical, value }) => extension(oid, critical, value))];
}

/** DER leaves the zero bits at the end out. */
function keyUsageBits(bits: number): Uint8Array {
  let unused = 0;
  while (unused < 7 && ((bits >> unused) & 1) === 0) unused += 1;
  return der(DER.bitString, [unused, bits]);
}

function extension(oid: string, critical: boolean, value: DerPart): Uint8Array {
  return der(DER.sequence, derOid(oid), critical ? derBoolean(true) : [], der(DER.octetString, value));
}

/** Any bytes that are the key's own do. */
function keyIdentifier(key: KeyObject): Uint8Array {
  return Uint8Array.from(key.export({ format: "der", type: "spki" }).subarray(-20));
}
