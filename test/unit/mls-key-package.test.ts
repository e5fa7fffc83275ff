// [M1] rule by rule, on key packages that ts-mls made and on mutants of them.
import { describe, expect, it } from "vitest";
import { createBasicProvider } from "../../src/mls/basic-provider.ts";
import { encodeBasicCredential } from "../../src/mls/credential.ts";
import { checkKeyPackage, type KeyPackageTerms } from "../../src/mls/key-package-check.ts";
import { millisecondsOf, readKeyPackage } from "../../src/mls/key-package.ts";
import { generateKeyPackage, encodeMlsMessage, type KeyPackage, type Lifetime } from "ts-mls";
import { signKeyPackage, type KeyPackageTBS } from "ts-mls/keyPackage.js";
import { signLeafNodeKeyPackage } from "ts-mls/leafNode.js";
import { MlsClient, type ClientCiphersuite, type KeyPackageOptions } from "../support/mls-client.ts";

const DAY_MS = 24 * 3_600_000;
const NOW_MS = 1_800_000_000_000;

function termsFor(client: MlsClient, changes: Partial<KeyPackageTerms> = {}): KeyPackageTerms {
  return {
    nowMs: NOW_MS,
    bytesMax: 65_536,
    ciphersuites: [1, 2, 3, 7],
    lifetimeMaxMs: 90 * DAY_MS,
    currentCredential: client.credential,
    currentHolder: createBasicProvider().holder(client.credential) ?? { handle: "" },
    asLastResort: false,
    provider: createBasicProvider(),
    ...changes,
  };
}

async function judge(
  client: MlsClient,
  options: KeyPackageOptions = {},
  changes: Partial<KeyPackageTerms> = {},
): Promise<string> {
  const { message } = await client.createKeyPackage({ nowMs: NOW_MS, ...options });
  return reasonOf(message, termsFor(client, changes));
}

async function reasonOf(message: Uint8Array, terms: KeyPackageTerms): Promise<string> {
  const outcome = await checkKeyPackage(message, terms);
  return outcome.kind === "valid" ? "valid" : outcome.reason;
}

/** Signs a changed package anew, leaf node included, so that just one rule is broken. */
async function resigned(
  client: MlsClient,
  change: (tbs: KeyPackageTBS) => KeyPackageTBS,
  lifetime: Lifetime = { notBefore: BigInt(NOW_MS / 1000) - 60n, notAfter: BigInt(NOW_MS / 1000) + 3600n },
): Promise<Uint8Array> {
  const { publicPackage } = await generateKeyPackage(
    { credentialType: "basic", identity: new TextEncoder().encode(client.identity) },
    {
      versions: ["mls10"],
      ciphersuites: ["MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519"],
      extensions: [],
      proposals: [],
      credentials: ["basic"],
    },
    lifetime,
    [],
    client.impl,
  );
  const key = await client.impl.signature.keygen();
  const tbs = change({ ...publicPackage, leafNode: { ...publicPackage.leafNode, signaturePublicKey: key.publicKey } });
  const leafNode = await signLeafNodeKeyPackage(tbs.leafNode, key.signKey, client.impl.signature);
  return messageOf(await signKeyPackage({ ...tbs, leafNode }, key.signKey, client.impl.signature));
}

function messageOf(keyPackage: KeyPackage): Uint8Array {
  return encodeMlsMessage({ version: "mls10", wireformat: "mls_key_package", keyPackage });
}

describe("[M1] a key package", () => {
  it.each(
    ([1, 2, 3, 7] as const).flatMap((ciphersuite): [ClientCiphersuite, "node" | "ts-mls"][] =>
      // ts-mls' own P-256 and P-384 write compressed signature keys: taken too. It can't do 3 here.
      ciphersuite === 3
        ? [[ciphersuite, "node"]]
        : [
            [ciphersuite, "node"],
            [ciphersuite, "ts-mls"],
          ],
    ),
  )("of suite %i made by ts-mls (%s crypto) is valid, with its facts", async (ciphersuite, crypto) => {
    const client = await MlsClient.create({ identity: "alice", ciphersuite, crypto });
    const { message, ref } = await client.createKeyPackage({ nowMs: NOW_MS });
    const outcome = await checkKeyPackage(message, termsFor(client));
    expect(outcome).toMatchObject({
      kind: "valid",
      facts: {
        ref,
        ciphersuite,
        version: 1,
        credential: client.credential,
        signatureKey: client.signatureKey,
        leafNodeSource: "keyPackage",
        lastResortMarked: false,
        lifetime: { notBeforeMs: NOW_MS - 60_000, notAfterMs: NOW_MS - 60_000 + 28 * DAY_MS },
        bare: message.subarray(4),
      },
    });
  });

  it("with GREASE and default types in its capabilities is valid", async () => {
    const client = await MlsClient.create({ identity: "alice" });
    const capabilities = {
      ciphersuites: ["MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519" as const, "2570" as never],
      extensions: [0x0a0a, 1, 2, 3, 4, 5, 0xeaea],
      proposals: [0x1a1a, 1, 2, 3],
      credentials: ["basic" as const, "x509" as const, "2570" as never],
    };
    expect(await judge(client, { capabilities })).toBe("valid");
  });

  it("with a GREASE version in its capabilities is valid, though ts-mls can't read it", async () => {
    const client = await MlsClient.create({ identity: "alice" });
    const message = await resigned(client, (tbs) => ({
      ...tbs,
      leafNode: {
        ...tbs.leafNode,
        capabilities: { ...tbs.leafNode.capabilities, versions: ["mls10", "mls10"] },
      },
    }));
    // Two versions are on the wire as 04 0001 0001: the decoder keeps any value, so only the signature is hurt.
    const at = Buffer.from(message).indexOf(Buffer.from("0400010001", "hex"));
    const greased = Uint8Array.from(message);
    greased.set([0x0a, 0x0a], at + 3);
    expect(readKeyPackage(greased)).toMatchObject({ kind: "ok", value: { capabilities: { versions: [1, 0x0a0a] } } });
    expect(await reasonOf(message, termsFor(client))).toBe("valid");
    expect(await reasonOf(greased, termsFor(client))).toBe("LEAF_SIGNATURE");
  });

  it("that is no whole MLSMessage with a KeyPackage is MALFORMED", async () => {
    const client = await MlsClient.create({ identity: "alice" });
    const { message } = await client.createKeyPackage({ nowMs: NOW_MS });
    const terms = termsFor(client);
    expect(await reasonOf(message.subarray(4), terms)).toBe("MALFORMED");
    expect(await reasonOf(new Uint8Array([...message, 0]), terms)).toBe("MALFORMED");
    expect(await reasonOf(message.subarray(0, message.length - 1), terms)).toBe("MALFORMED");
    expect(await reasonOf(new Uint8Array(0), terms)).toBe("MALFORMED");
    const otherVersion = Uint8Array.from(message);
    otherVersion[5] = 2;
    expect(await reasonOf(otherVersion, terms)).toBe("MALFORMED");
  });

  it("whose suite is not allowed, or not known, is refused as CIPHERSUITE", async () => {
    const client = await MlsClient.create({ identity: "alice" });
    expect(await judge(client, {}, { ciphersuites: [2, 3] })).toBe("CIPHERSUITE");
    const { message } = await client.createKeyPackage({ nowMs: NOW_MS });
    const unknown = Uint8Array.from(message);
    unknown.set([0x0a, 0x0a], 6);
    expect(await reasonOf(unknown, termsFor(client))).toBe("CIPHERSUITE");
  });

  it("is refused by its signatures", async () => {
    const client = await MlsClient.create({ identity: "alice" });
    const { message } = await client.createKeyPackage({ nowMs: NOW_MS });
    const broken = Uint8Array.from(message);
    broken[broken.length - 1] = (broken.at(-1) as number) ^ 1;
    expect(await reasonOf(broken, termsFor(client))).toBe("SIGNATURE");
    const leafBroken = Uint8Array.from(message);
    // The leaf's signature ends where the empty extensions (00) and the package's signature (40 40 …) begin.
    const at = message.length - 64 - 2 - 1 - 1;
    leafBroken[at] = (leafBroken[at] as number) ^ 1;
    expect(await reasonOf(leafBroken, termsFor(client))).toBe("LEAF_SIGNATURE");
  });

  it("is refused by its lifetime", async () => {
    const client = await MlsClient.create({ identity: "alice" });
    expect(await judge(client, { nowMs: NOW_MS + 2 * 60_000 })).toBe("LIFETIME");
    expect(await judge(client, { nowMs: NOW_MS - 2 * DAY_MS, lifetimeMs: DAY_MS })).toBe("LIFETIME");
    expect(await judge(client, { lifetimeMs: 91 * DAY_MS })).toBe("LIFETIME_TOO_LONG");
    expect(await judge(client, { lifetimeMs: 91 * DAY_MS }, { lifetimeMaxMs: null })).toBe("valid");
    const endless = await resigned(client, (tbs) => tbs, { notBefore: 0n, notAfter: 2n ** 64n - 1n });
    expect(await reasonOf(endless, termsFor(client))).toBe("LIFETIME_TOO_LONG");
    expect(await reasonOf(endless, termsFor(client, { lifetimeMaxMs: null }))).toBe("valid");
    expect(millisecondsOf(2n ** 64n - 1n)).toBe(Number.MAX_SAFE_INTEGER);
  });

  it("whose init key is its encryption key, or no key, is refused as INIT_KEY", async () => {
    const client = await MlsClient.create({ identity: "alice" });
    const same = await resigned(client, (tbs) => ({ ...tbs, initKey: tbs.leafNode.hpkePublicKey }));
    expect(await reasonOf(same, termsFor(client))).toBe("INIT_KEY");
    const short = await resigned(client, (tbs) => ({ ...tbs, initKey: tbs.initKey.subarray(1) }));
    expect(await reasonOf(short, termsFor(client))).toBe("INIT_KEY");
  });

  it("with a point off the curve is refused", async () => {
    const client = await MlsClient.create({ identity: "alice", ciphersuite: 2 });
    const { message } = await client.createKeyPackage({ nowMs: NOW_MS });
    const offCurve = Uint8Array.from(message);
    offCurve[8 + 2 + 64] = (offCurve[8 + 2 + 64] as number) ^ 1;
    expect(await reasonOf(offCurve, termsFor(client))).toBe("INIT_KEY");
  });

  it("under another identity is refused as WRONG_IDENTITY", async () => {
    const client = await MlsClient.create({ identity: "alice" });
    const bob = encodeBasicCredential(new TextEncoder().encode("bob"));
    expect(await judge(client, {}, { currentCredential: bob })).toBe("WRONG_IDENTITY");
    expect(await judge(client, {}, { currentHolder: { handle: "alice", domain: "example.org" } })).toBe(
      "WRONG_IDENTITY",
    );
    const nameless = await MlsClient.create({ identity: "" });
    const { message } = await nameless.createKeyPackage({ nowMs: NOW_MS });
    // Told for what it is: it names nobody, and so not the one of the record either.
    expect(await checkKeyPackage(message, termsFor(nameless))).toEqual({
      kind: "rejected",
      reason: "WRONG_IDENTITY",
      message: "the credential is not valid: handle_missing",
    });
  });

  it("whose capabilities do not cover itself is refused as CAPABILITIES", async () => {
    const client = await MlsClient.create({ identity: "alice" });
    expect(await judge(client, { capabilities: { credentials: ["x509"] } })).toBe("CAPABILITIES");
    expect(await judge(client, { capabilities: { ciphersuites: [] } })).toBe("CAPABILITIES");
    expect(await judge(client, { capabilities: { versions: [] } })).toBe("CAPABILITIES");
    const leafNodeExtensions = [{ extensionType: 0xf001, extensionData: new Uint8Array(1) }];
    expect(await judge(client, { leafNodeExtensions })).toBe("CAPABILITIES");
    expect(await judge(client, { leafNodeExtensions, capabilities: { extensions: [0xf001] } })).toBe("valid");
  });

  it("marked as a last resort is only taken as one", async () => {
    const client = await MlsClient.create({ identity: "alice" });
    expect(await judge(client, { lastResort: true })).toBe("LAST_RESORT_MARKED");
    expect(await judge(client, { lastResort: true }, { asLastResort: true })).toBe("valid");
    expect(await judge(client, {}, { asLastResort: true })).toBe("valid");
  });

  it("with a leaf node made for a group is refused as LEAF_SOURCE", async () => {
    const client = await MlsClient.create({ identity: "alice" });
    const { message } = await client.createKeyPackage({ nowMs: NOW_MS });
    const text = Buffer.from(message).toString("hex");
    const lifetimeHex = (BigInt(NOW_MS / 1000) - 60n).toString(16).padStart(16, "0");
    const at = text.indexOf("01" + lifetimeHex);
    const update = text.slice(0, at) + "02" + text.slice(at + 2 + 32);
    expect(await reasonOf(Uint8Array.from(Buffer.from(update, "hex")), termsFor(client))).toBe("LEAF_SOURCE");
  });
});

describe("the basic provider", () => {
  const provider = createBasicProvider();
  const utf8 = (value: string): Uint8Array => encodeBasicCredential(new TextEncoder().encode(value));

  it("[T6] takes identity bytes as UTF-8", () => {
    expect(provider.validate(utf8("älice"), NOW_MS)).toEqual({ valid: true, handle: "älice" });
    expect(provider.validate(utf8("\ufeffa"), NOW_MS)).toEqual({ valid: true, handle: "\ufeffa" });
    expect(provider.validate(encodeBasicCredential(Uint8Array.of(0xff)), NOW_MS)).toMatchObject({
      cause: "handle_not_utf8",
    });
    expect(provider.validate(utf8(""), NOW_MS)).toMatchObject({ cause: "handle_missing" });
    expect(provider.validate(utf8("x".repeat(1024)), NOW_MS).valid).toBe(true);
    expect(provider.validate(utf8("x".repeat(1025)), NOW_MS)).toMatchObject({ cause: "malformed" });
    expect(provider.validate(Uint8Array.of(0, 2, 0), NOW_MS)).toMatchObject({ cause: "type_unsupported" });
    expect(provider.validate(Uint8Array.of(0, 1), NOW_MS)).toMatchObject({ cause: "malformed" });
  });

  it("takes only the same name as a successor", () => {
    expect(provider.validSuccessor(utf8("a"), utf8("a"))).toBe(true);
    expect(provider.validSuccessor(utf8("a"), utf8("b"))).toBe(false);
  });
});
