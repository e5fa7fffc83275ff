// The `basic` identity provider: the handle is the identity's bytes as UTF-8 (PROTOCOL T6).
import { decodeCredential, equalCredentials } from "./credential.ts";
import type { IdentityProvider } from "./identity-provider.ts";
import { CREDENTIAL } from "./registries.ts";

/** Longer identities are `malformed`: a handle is an index key. */
export const BASIC_IDENTITY_BYTES_MAX = 1024;

export function createBasicProvider(): IdentityProvider {
  return {
    supportedTypes: [CREDENTIAL.basic],
    validate: validateBasic,
    holder: (credential) => {
      const judged = validateBasic(credential);
      return judged.valid ? { handle: judged.handle } : undefined;
    },
    validSuccessor: (current, next) => {
      const before = validateBasic(current);
      const after = validateBasic(next);
      return before.valid && after.valid && before.handle === after.handle;
    },
    equal: equalCredentials,
    // A basic credential is a bare assertion: it vouches for whatever key stands beside it.
    keyMatches: () => true,
  };
}

function validateBasic(credential: Uint8Array): ReturnType<IdentityProvider["validate"]> {
  const decoded = decodeCredential(credential);
  if (decoded.kind === "malformed") return { valid: false, cause: "malformed" };
  if (decoded.value.type !== "basic") return { valid: false, cause: "type_unsupported" };
  const { identity } = decoded.value;
  if (identity.length === 0) return { valid: false, cause: "handle_missing" };
  if (identity.length > BASIC_IDENTITY_BYTES_MAX) return { valid: false, cause: "malformed" };
  const handle = decodeUtf8(identity);
  return handle === undefined ? { valid: false, cause: "handle_not_utf8" } : { valid: true, handle };
}

/** Strict, and keeps a leading byte order mark: two identities never become one handle. */
function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    // The decoder's only way of saying that these are not UTF-8.
    return undefined;
  }
}
