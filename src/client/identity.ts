// For MLS clients: the identity providers of the server, as an AuthenticationService for ts-mls 1.6 (an optional
// peer: its types are met by structure, nothing of it is imported). Speaks to nobody. Node only (node:crypto).
import { createBasicProvider } from "../mls/basic-provider.ts";
import { encodeBasicCredential, encodeX509Credential, equalCredentials } from "../mls/credential.ts";
import { encodeExternalSender } from "../mls/extension.ts";
import type { IdentityProvider } from "../mls/identity-provider.ts";
import { createX509Provider, type X509Settings } from "../mls/x509-provider.ts";

export { createBasicProvider } from "../mls/basic-provider.ts";
export type { IdentityCause, IdentityProvider, InvalidIdentity, ValidIdentity } from "../mls/identity-provider.ts";
export { createX509Provider, x509SettingsFault, type SettingsFault, type X509Settings } from "../mls/x509-provider.ts";

/** The setting `identityProvider` of an application, as `application.get` publishes it. */
export type IdentityProviderSettings = { readonly type: "basic" } | ({ readonly type: "x509" } & X509Settings);

/** A Credential as ts-mls has it. Types other than these two are refused. */
export interface MlsCredential {
  readonly credentialType: string;
  readonly identity?: Uint8Array;
  readonly certificates?: readonly Uint8Array[];
}

/** What ts-mls asks: put it into `ClientConfig.authService`. */
export interface AuthenticationService {
  validateCredential(credential: MlsCredential, signaturePublicKey: Uint8Array): Promise<boolean>;
}

export interface AuthenticationServiceOptions {
  /** Unix milliseconds at which credentials are judged: the `time` of the commit that is processed. Default: now. */
  readonly nowMs?: () => number;
  /**
   * True while joining: the members' credentials were judged when they entered, and one that expired since does not
   * drive its holder out (PROTOCOL M5). Everything else is judged all the same. Default: false.
   */
  readonly allowExpired?: boolean;
  /** ExternalSender structs that are trusted as they stand: those of `application.get`. Default: none. */
  readonly externalSenders?: readonly Uint8Array[];
}

/** One suite for each signature scheme: ts-mls does not say which suite it asks about. */
const SUITES_BY_SCHEME = [1, 2, 4, 5, 7] as const;

export function createIdentityProvider(settings: IdentityProviderSettings): IdentityProvider {
  return settings.type === "basic" ? createBasicProvider() : createX509Provider(settings);
}

/** True where the provider accepts the credential, and the credential vouches for the key (RFC 9420 §5.3). */
export function createAuthenticationService(
  provider: IdentityProvider,
  options: AuthenticationServiceOptions = {},
): AuthenticationService {
  const { nowMs = Date.now, allowExpired = false, externalSenders = [] } = options;
  const isAccepted = (credential: Uint8Array): boolean => {
    const verdict = provider.validate(credential, nowMs());
    // Expiry is judged last: who is only that is everything else that was asked for.
    return verdict.valid || (allowExpired && verdict.cause === "expired");
  };
  return {
    validateCredential: async (given, signaturePublicKey) => {
      const credential = encodeCredential(given);
      if (credential === undefined) return false;
      const sender = encodeExternalSender({ signatureKey: signaturePublicKey, credential });
      if (externalSenders.some((known) => equalCredentials(known, sender))) return true;
      if (!isAccepted(credential)) return false;
      return SUITES_BY_SCHEME.some((suite) => provider.keyMatches(credential, signaturePublicKey, suite));
    },
  };
}

function encodeCredential({ credentialType, identity, certificates }: MlsCredential): Uint8Array | undefined {
  if (credentialType === "basic" && identity !== undefined) return encodeBasicCredential(identity);
  if (credentialType === "x509" && certificates !== undefined) return encodeX509Credential(certificates);
  return undefined;
}
