// The identity provider that an application's settings name.
import { createBasicProvider } from "../mls/basic-provider.ts";
import type { IdentityProvider } from "../mls/identity-provider.ts";
import type { Settings } from "../protocol/schemas/application.ts";

const basic = createBasicProvider();

/** undefined: this build has no such provider (application.create and update refuse it beforehand). */
export function providerOf(settings: Settings): IdentityProvider | undefined {
  return settings.identityProvider.type === "basic" ? basic : undefined;
}
