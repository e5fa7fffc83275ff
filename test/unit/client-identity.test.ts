// The conformance kit on the clients' side: the same verdicts, asked for as ts-mls asks (PROTOCOL §4).
import { defaultAuthenticationService, type ClientConfig, type Credential } from "ts-mls";
import { decodeCredential } from "ts-mls/credential.js";
import { describe, expect, test } from "vitest";
import {
  createAuthenticationService,
  createBasicProvider,
  createIdentityProvider,
  createX509Provider,
  type AuthenticationService,
} from "../../src/client/identity.ts";
import { encodeBasicCredential, encodeX509Credential } from "../../src/mls/credential.ts";
import { encodeExternalSender } from "../../src/mls/extension.ts";
import { CertificateWorld, signatureKeyPair } from "../support/certificates.ts";
import { settingsOf, type ProviderCase } from "../support/identity-provider-case.ts";
import { providerCases } from "../support/identity-provider-cases.ts";
import { recipes, type RecipeName } from "../support/identity-provider-recipes.ts";

const DAY_MS = 86_400_000;
const nowMs = Date.UTC(2026, 5, 1);
const world = new CertificateWorld(recipes, nowMs);

function credentialOf(chain: ProviderCase["chain"]): Uint8Array {
  return typeof chain === "string"
    ? Uint8Array.from(Buffer.from(chain, "hex"))
    : encodeX509Credential(world.ders(chain));
}

/** As ts-mls reads it; undefined where it does not. */
function asRead(credential: Uint8Array): Credential | undefined {
  try {
    const [read, length] = decodeCredential(credential, 0) ?? [];
    return length === credential.length ? read : undefined;
  } catch {
    // It throws at types of credentials that it does not know.
    return undefined;
  }
}

const keyOf = (name: RecipeName): Uint8Array => signatureKeyPair(world.get(name)).publicKey;

describe("the conformance kit", () => {
  const readable = providerCases.filter(({ chain }) => asRead(credentialOf(chain)) !== undefined);
  test("ts-mls reads almost all of it", () => {
    expect(providerCases.length - readable.length).toBeLessThanOrEqual(3);
  });

  test.each(readable.map((one) => [one.name, one] as const))("%s", async (_, { chain, day = 0, settings, verdict }) => {
    const provider = createIdentityProvider({ type: "x509", ...settingsOf(world, settings) });
    const service = createAuthenticationService(provider, { nowMs: () => nowMs + Math.round(day * DAY_MS) });
    const credential = asRead(credentialOf(chain)) as Credential;
    const [leaf] = typeof chain === "string" ? [] : chain;
    const key = leaf === undefined || world.get(leaf).scheme === "rsa" ? keyOf("leaf") : keyOf(leaf);
    expect(await service.validateCredential(credential, key)).toBe(typeof verdict !== "string");
    expect(await service.validateCredential(credential, keyOf("otherDevice"))).toBe(false);
  });
});

describe("the service", () => {
  const provider = createX509Provider(settingsOf(world));
  const leaf = { credentialType: "x509", certificates: world.ders(["leaf"]) } as const;
  const expired = { credentialType: "x509", certificates: world.ders(["expiredLeaf"]) } as const;

  test("fits into a ts-mls client's configuration", () => {
    const authService: AuthenticationService = createAuthenticationService(provider);
    const configured: Pick<ClientConfig, "authService"> = { authService };
    expect(Object.keys(configured.authService)).toEqual(Object.keys(defaultAuthenticationService));
  });

  test("[M5] lets an expired credential stand for who joins, but no other fault beside it", async () => {
    const strict = createAuthenticationService(provider, { nowMs: () => nowMs });
    const joining = createAuthenticationService(provider, { nowMs: () => nowMs, allowExpired: true });
    const key = keyOf("expiredLeaf");
    expect(await strict.validateCredential(expired, key)).toBe(false);
    expect(await joining.validateCredential(expired, key)).toBe(true);
    expect(await joining.validateCredential(expired, keyOf("leaf"))).toBe(false);
    const future = { credentialType: "x509", certificates: world.ders(["futureLeaf"]) };
    expect(await joining.validateCredential(future, keyOf("futureLeaf"))).toBe(false);
    const elsewhere = createAuthenticationService(createX509Provider(settingsOf(world, { anchors: ["otherRoot"] })), {
      nowMs: () => nowMs,
      allowExpired: true,
    });
    expect(await elsewhere.validateCredential(expired, key)).toBe(false);
  });

  test("judges at its own now where no instant is given", async () => {
    const today = new CertificateWorld(recipes, Date.now());
    const service = createAuthenticationService(createX509Provider(settingsOf(today)));
    const valid = { credentialType: "x509", certificates: today.ders(["leaf"]) };
    expect(await service.validateCredential(valid, signatureKeyPair(today.get("leaf")).publicKey)).toBe(true);
  });

  test("trusts the back-end as external sender by its very struct, and by nothing else", async () => {
    const identity = new TextEncoder().encode("back-end");
    const key = keyOf("otherDevice");
    const struct = encodeExternalSender({ signatureKey: key, credential: encodeBasicCredential(identity) });
    const service = createAuthenticationService(provider, { nowMs: () => nowMs, externalSenders: [struct] });
    expect(await service.validateCredential({ credentialType: "basic", identity }, key)).toBe(true);
    expect(await service.validateCredential({ credentialType: "basic", identity }, keyOf("leaf"))).toBe(false);
    const other = new TextEncoder().encode("somebody");
    expect(await service.validateCredential({ credentialType: "basic", identity: other }, key)).toBe(false);
    expect(await service.validateCredential(leaf, keyOf("leaf"))).toBe(true);
  });

  test("takes basic credentials with the basic provider, and no type that it does not know", async () => {
    const service = createAuthenticationService(createBasicProvider());
    const identity = new TextEncoder().encode("alice");
    expect(await service.validateCredential({ credentialType: "basic", identity }, keyOf("leaf"))).toBe(true);
    const none = { credentialType: "basic", identity: new Uint8Array(0) };
    expect(await service.validateCredential(none, keyOf("leaf"))).toBe(false);
    expect(await service.validateCredential(leaf, keyOf("leaf"))).toBe(false);
    expect(await service.validateCredential({ credentialType: "vendor" }, keyOf("leaf"))).toBe(false);
  });
});
