// What an x509 identity provider is told (PROTOCOL §4, settings), and whether it makes sense.
import { anchorFault } from "./certificate-path.ts";
import { readCertificate, type Certificate } from "./certificate.ts";

export interface X509Settings {
  /** Certificates in DER. */
  readonly trustAnchors: readonly Uint8Array[];
  readonly supportsAccounts: boolean;
  readonly supportsDomains: boolean;
  /** Positions counted from the leaf, both included: their common names make the (device) handle. */
  readonly deviceHandleRange: { readonly start: number; readonly end: number };
  readonly accountHandleOffset?: number;
  readonly domainNameOffset?: number;
}

export interface SettingsFault {
  /** Where, from the settings' own root. */
  readonly path: string;
  readonly why: string;
}

export type CheckedSettings =
  | { readonly kind: "anchors"; readonly anchors: readonly Certificate[] }
  | { readonly kind: "fault"; readonly fault: SettingsFault };

export function checkSettings(settings: X509Settings): CheckedSettings {
  const fault = offsetFault(settings);
  if (fault !== undefined) return { kind: "fault", fault };
  const anchors: Certificate[] = [];
  for (const [n, der] of settings.trustAnchors.entries()) {
    const anchor = readCertificate(der);
    const why = anchor === undefined ? "expected a certificate in DER" : anchorFault(anchor);
    if (anchor === undefined || why !== undefined)
      return { kind: "fault", fault: { path: `trustAnchors.${n}`, why: why ?? "" } };
    anchors.push(anchor);
  }
  return { kind: "anchors", anchors };
}

function offsetFault(settings: X509Settings): SettingsFault | undefined {
  const { deviceHandleRange, accountHandleOffset, domainNameOffset } = settings;
  const { start, end } = deviceHandleRange;
  if (end < start) return { path: "deviceHandleRange.end", why: "expected no less than the start" };
  if (settings.supportsAccounts && accountHandleOffset === undefined) {
    return { path: "accountHandleOffset", why: "expected an offset: accounts are supported" };
  }
  if (settings.supportsDomains && domainNameOffset === undefined) {
    return { path: "domainNameOffset", why: "expected an offset: domains are supported" };
  }
  if (accountHandleOffset !== undefined && accountHandleOffset <= end) {
    return { path: "accountHandleOffset", why: "expected more than the end of the device handle's range" };
  }
  if (domainNameOffset !== undefined && domainNameOffset <= Math.max(end, accountHandleOffset ?? 0)) {
    return { path: "domainNameOffset", why: "expected more than the account's offset and the device handle's range" };
  }
  return undefined;
}
