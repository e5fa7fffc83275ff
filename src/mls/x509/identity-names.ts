// Handle, account and domain out of a path's common names (PROTOCOL §4, "x509"). Positions are counted from the leaf,
// the trust anchor is the last, whether it was sent or not: what a client leaves out changes no name.
import type { NamedHolder } from "../identity-provider.ts";
import type { Certificate } from "./certificate.ts";
import type { X509Settings } from "./x509-settings.ts";

export type IdentityNames =
  | { readonly kind: "names"; readonly holder: NamedHolder }
  | { readonly kind: "none"; readonly cause: "name_forbidden" | "handle_missing" | "handle_not_utf8" };

type Name = { readonly kind: "name"; readonly name: string } | Extract<IdentityNames, { kind: "none" }>;

/** Bytes of UTF-8; longer names are forbidden: a handle is an index key. */
const NAME_BYTES_MAX = 1024;

/** Those that join names, as the protocol has them; and control characters (C0 and C1), which no name needs. */
const FORBIDDEN = /[@/#$:\p{Cc}]/u;

export function namesIn(path: readonly Certificate[], settings: X509Settings): IdentityNames {
  const { deviceHandleRange, supportsAccounts, accountHandleOffset, supportsDomains, domainNameOffset } = settings;
  const device: string[] = [];
  for (let at = deviceHandleRange.start; at <= deviceHandleRange.end; at += 1) {
    const found = nameAt(path, at);
    if (found.kind === "none") return found;
    device.push(found.name);
  }
  const account = supportsAccounts ? nameAt(path, accountHandleOffset) : undefined;
  if (account?.kind === "none") return account;
  const domain = supportsDomains ? nameAt(path, domainNameOffset) : undefined;
  if (domain?.kind === "none") return domain;
  const joined = device.join(":");
  return {
    kind: "names",
    holder: {
      handle: account === undefined ? joined : `${account.name}/${joined}`,
      ...(account === undefined ? {} : { account: account.name }),
      ...(domain === undefined ? {} : { domain: domain.name }),
    },
  };
}

function nameAt(path: readonly Certificate[], at: number | undefined): Name {
  const { commonNames = [] } = path[at ?? path.length] ?? {};
  // Which of several would be meant is anybody's guess.
  if (commonNames.length > 1) return { kind: "none", cause: "name_forbidden" };
  if (commonNames.length === 0) return { kind: "none", cause: "handle_missing" };
  const [name] = commonNames;
  if (name === undefined) return { kind: "none", cause: "handle_not_utf8" };
  if (name === "") return { kind: "none", cause: "handle_missing" };
  const forbidden = FORBIDDEN.test(name) || Buffer.byteLength(name, "utf8") > NAME_BYTES_MAX;
  return forbidden ? { kind: "none", cause: "name_forbidden" } : { kind: "name", name };
}
