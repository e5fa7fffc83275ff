// Whether a credential may be a client's: by its size, the application's provider (PROTOCOL §4), and the one before it.
// Judges only: must never store or ask anything.
import type { Refused } from "../actors/actor-port.ts";
import type { IdentityFacts } from "../actors/identity-machine.ts";
import type { ValidIdentity } from "../mls/identity-provider.ts";
import { handleActorId, refused, type ApplicationRequest, type ServicePorts } from "./service-ports.ts";

export interface CredentialLimits {
  readonly credentialBytesMax: number;
}

export class CredentialJudge {
  readonly #ports: Pick<ServicePorts, "identityProviders" | "clock">;
  readonly #limits: CredentialLimits;

  constructor(ports: Pick<ServicePorts, "identityProviders" | "clock">, limits: CredentialLimits) {
    this.#ports = ports;
    this.#limits = limits;
  }

  of(
    { settings }: ApplicationRequest,
    credential: Uint8Array,
  ): { readonly kind: "facts"; readonly facts: IdentityFacts } | Refused {
    const { credentialBytesMax } = this.#limits;
    if (credential.length > credentialBytesMax) {
      const message = `the credential is longer than ${String(credentialBytesMax)} bytes`;
      return refused("IDENTITY_INVALID", { message, details: { cause: "malformed" } });
    }
    const verdict = this.#ports.identityProviders.of(settings).validate(credential, this.#ports.clock.now());
    if (!verdict.valid) return refused("IDENTITY_INVALID", { details: { cause: verdict.cause } });
    return { kind: "facts", facts: factsOf(credential, verdict) };
  }

  /**
   * Whether `next` may follow. The one before counts as it was judged when it came, too: by settings that changed since
   * (another trust anchor) it may name nobody any more, and its holder must be able to leave it.
   */
  succeeds({ settings }: ApplicationRequest, current: IdentityFacts, next: IdentityFacts): boolean {
    if (settings.identityChange === "any" || isSameHolder(current, next)) return true;
    const [before, after] = [current, next].map(({ credential }) => Buffer.from(credential, "base64"));
    const provider = this.#ports.identityProviders.of(settings);
    return before !== undefined && after !== undefined && provider.validSuccessor(before, after);
  }
}

export function isSame(current: IdentityFacts, credential: Uint8Array): boolean {
  return current.credential === Buffer.from(credential).toString("base64");
}

/** Whether they say the same of whom the credential names, and until when. */
export function isJudgedAlike(a: IdentityFacts, b: IdentityFacts): boolean {
  return isSameHolder(a, b) && a.notAfter === b.notAfter;
}

/** The id of a handle holds its domain. */
function isSameHolder(a: IdentityFacts, b: IdentityFacts): boolean {
  return a.handleId === b.handleId && a.account === b.account;
}

function factsOf(credential: Uint8Array, verdict: ValidIdentity): IdentityFacts {
  const { handle, account, domain, notAfterMs } = verdict;
  return {
    credential: Buffer.from(credential).toString("base64"),
    handle,
    handleId: handleActorId(handle, domain),
    ...(account === undefined ? {} : { account }),
    ...(domain === undefined ? {} : { domain }),
    ...(notAfterMs === undefined ? {} : { notAfter: notAfterMs }),
  };
}
