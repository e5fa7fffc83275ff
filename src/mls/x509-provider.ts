// The `x509` identity provider (PROTOCOL §4; RFC 9420 §5.3, RFC 5280 §6): handles are common names under the
// application's trust anchors. Synchronous and without a clock or the network, hence without revocation.
import { createHash } from "node:crypto";
import { decodeCredential, equalCredentials } from "./credential.ts";
import type { IdentityCause, IdentityProvider, NamedHolder } from "./identity-provider.ts";
import { CREDENTIAL } from "./registries.ts";
import type { Ciphersuite } from "./suites.ts";
import { isKeyOf, type CertificateKey } from "./x509/certificate-key.ts";
import { findPath } from "./x509/certificate-path.ts";
import { readCertificate, type Certificate } from "./x509/certificate.ts";
import { namesIn } from "./x509/identity-names.ts";
import { causeOutside, stretchAt, validityOf, type Validity } from "./x509/validity.ts";
import { checkSettings, type SettingsFault, type X509Settings } from "./x509/x509-settings.ts";

export type { SettingsFault, X509Settings } from "./x509/x509-settings.ts";

/** What a credential is, whatever the time. */
type ChainJudgment =
  | { readonly kind: "invalid"; readonly cause: IdentityCause; readonly claimed?: NamedHolder }
  | {
      readonly kind: "holder";
      readonly named: NamedHolder;
      readonly validity: Validity;
      readonly key: CertificateKey;
    };

/** Judgments that one provider keeps; the one asked for longest ago goes first. Each is a few hundred bytes. */
const JUDGMENTS_MAX = 4096;

/** 9999-12-31T23:59:59Z: no well-defined end (RFC 5280 §4.1.2.5). */
const ENDLESS_MS = 253_402_300_799_000;

/** undefined: a provider can be made of them. */
export function x509SettingsFault(settings: X509Settings): SettingsFault | undefined {
  const checked = checkSettings(settings);
  return checked.kind === "fault" ? checked.fault : undefined;
}

/** @throws Error where `x509SettingsFault` has something to say */
export function createX509Provider(settings: X509Settings): IdentityProvider {
  const checked = checkSettings(settings);
  if (checked.kind === "fault") throw new Error(`${checked.fault.path}: ${checked.fault.why}`);
  const judge = remembering((credential) => judgeCredential(credential, checked.anchors, settings));
  return {
    supportedTypes: [CREDENTIAL.x509],
    validate: (credential, nowMs) => validAt(judge(credential), nowMs),
    holder: (credential) => {
      const judged = judge(credential);
      return judged.kind === "holder" ? judged.named : judged.claimed;
    },
    // The times of the two differ: what is asked is whether they name one holder.
    validSuccessor: (current, next) => isSameHolder(judge(current), judge(next)),
    equal: equalCredentials,
    keyMatches: (credential, signatureKey, ciphersuite: Ciphersuite) => {
      const judged = judge(credential);
      return judged.kind === "holder" && isKeyOf(judged.key, signatureKey, ciphersuite);
    },
  };
}

function judgeCredential(
  credential: Uint8Array,
  anchors: readonly Certificate[],
  settings: X509Settings,
): ChainJudgment {
  const decoded = decodeCredential(credential);
  if (decoded.kind === "malformed") return { kind: "invalid", cause: "malformed" };
  if (decoded.value.type !== "x509") return { kind: "invalid", cause: "type_unsupported" };
  const chain = decoded.value.certificates.map(readCertificate);
  if (chain.length === 0 || chain.includes(undefined)) return { kind: "invalid", cause: "malformed" };
  const judged = findPath(chain as Certificate[], anchors);
  if (judged.kind === "none") {
    const claimed = namesIn(chain as Certificate[], settings);
    return { kind: "invalid", cause: judged.cause, ...(claimed.kind === "names" ? { claimed: claimed.holder } : {}) };
  }
  const [path] = judged.paths;
  const names = namesIn(path, settings);
  if (names.kind === "none") return { kind: "invalid", cause: names.cause };
  const { key } = path[0];
  if (key === undefined) throw new Error("a leaf without a key is no path");
  return {
    kind: "holder",
    named: names.holder,
    validity: validityOf(judged.paths),
    key: { scheme: key.scheme, bytes: new Uint8Array(key.bytes) },
  };
}

function validAt(judged: ChainJudgment, nowMs: number): ReturnType<IdentityProvider["validate"]> {
  if (judged.kind === "invalid") return { valid: false, cause: judged.cause };
  const { named, validity } = judged;
  const now = stretchAt(validity, nowMs);
  if (now === undefined) return { valid: false, cause: causeOutside(validity, nowMs) };
  return { valid: true, ...named, ...(now.notAfterMs >= ENDLESS_MS ? {} : { notAfterMs: now.notAfterMs }) };
}

/** A handle holds its account, and is unique in its domain only. */
function isSameHolder(a: ChainJudgment, b: ChainJudgment): boolean {
  if (a.kind === "invalid" || b.kind === "invalid") return false;
  return a.named.handle === b.named.handle && a.named.domain === b.named.domain;
}

function remembering(judge: (credential: Uint8Array) => ChainJudgment): (credential: Uint8Array) => ChainJudgment {
  const judgments = new Map<string, ChainJudgment>();
  return (credential) => {
    const name = createHash("sha256").update(credential).digest("base64");
    const judged = judgments.get(name) ?? judge(credential);
    judgments.delete(name);
    judgments.set(name, judged);
    if (judgments.size > JUDGMENTS_MAX) judgments.delete(judgments.keys().next().value ?? "");
    return judged;
  };
}
