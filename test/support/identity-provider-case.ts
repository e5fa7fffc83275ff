// What one case of the conformance kit says. Types, and how a case's short settings are written out.
import type { IdentityCause } from "../../src/mls/identity-provider.ts";
import type { X509Settings } from "../../src/mls/x509-provider.ts";
import type { CertificateWorld } from "./certificates.ts";
import type { RecipeName } from "./identity-provider-recipes.ts";

export interface CaseSettings {
  readonly anchors?: readonly RecipeName[];
  readonly accounts?: number;
  readonly domains?: number;
  readonly range?: readonly [number, number];
}

export interface ProviderCase {
  readonly name: string;
  /** The leaf first; or the bytes of a credential in hex. */
  readonly chain: readonly RecipeName[] | string;
  /** Days from the world's now. */
  readonly day?: number;
  readonly settings?: CaseSettings;
  readonly verdict: { readonly handle: string; readonly account?: string; readonly domain?: string } | IdentityCause;
  /** Whose notAfter ends it, where that is not the leaf's. */
  readonly endsWith?: RecipeName;
  /** Why openssl, which judges chains only, comes to another verdict. */
  readonly openssl?: string;
}

export interface SuccessorCase {
  readonly name: string;
  readonly settings?: CaseSettings;
  readonly current: readonly RecipeName[];
  readonly next: readonly RecipeName[];
  readonly successor: boolean;
}

export function settingsOf(world: CertificateWorld, settings: CaseSettings = {}): X509Settings {
  const { anchors = ["root"], accounts, domains, range: [start, end] = [0, 0] } = settings;
  return {
    trustAnchors: world.ders(anchors),
    supportsAccounts: accounts !== undefined,
    supportsDomains: domains !== undefined,
    deviceHandleRange: { start, end },
    ...(accounts === undefined ? {} : { accountHandleOffset: accounts }),
    ...(domains === undefined ? {} : { domainNameOffset: domains }),
  };
}
