// The identity provider that an application's settings name. Providers remember what they judged, so one is made for
// each set of settings and kept; the one used longest ago goes first.
import { createHash } from "node:crypto";
import { createBasicProvider } from "../mls/basic-provider.ts";
import type { IdentityProvider, NamedHolder } from "../mls/identity-provider.ts";
import { createX509Provider, x509SettingsFault } from "../mls/x509-provider.ts";
import { badParams } from "../protocol/check-params.ts";
import { encode } from "../protocol/codec.ts";
import type { Refusal } from "../protocol/errors.ts";
import type { Settings } from "../protocol/schemas/application.ts";

type ProviderSettings = Settings["identityProvider"];

/** Sets of x509 settings whose providers are kept. */
const PROVIDERS_MAX = 64;

/** What the schema cannot see in the settings of a provider; undefined: one can be made of them. */
export function providerFault(settings: ProviderSettings): Refusal | undefined {
  if (settings.type === "basic") return undefined;
  const fault = x509SettingsFault(settings);
  return fault && badParams(`settings.identityProvider.${fault.path}`, fault.why);
}

export class IdentityProviders {
  readonly #basic = createBasicProvider();
  readonly #kept = new Map<string, IdentityProvider>();
  /** Settings are read anew now and then; while one reading of them lives, nothing is hashed. */
  readonly #known = new WeakMap<ProviderSettings, IdentityProvider>();

  /** Whom a credential names, be it from a time before the settings: a basic one still says it without them. */
  holder(settings: Settings, credential: Uint8Array): NamedHolder | undefined {
    return this.of(settings).holder(credential) ?? this.#basic.holder(credential);
  }

  /** @throws Error for settings with a `providerFault`, which are never stored */
  of({ identityProvider }: Settings): IdentityProvider {
    if (identityProvider.type === "basic") return this.#basic;
    const known = this.#known.get(identityProvider);
    if (known !== undefined) return known;
    const name = createHash("sha256").update(encode(identityProvider)).digest("base64");
    const provider = this.#kept.get(name) ?? createX509Provider(identityProvider);
    this.#known.set(identityProvider, provider);
    this.#kept.delete(name);
    this.#kept.set(name, provider);
    if (this.#kept.size > PROVIDERS_MAX) this.#kept.delete(this.#kept.keys().next().value ?? "");
    return provider;
  }
}
