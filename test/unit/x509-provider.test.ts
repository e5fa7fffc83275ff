// The x509 provider against the conformance kit (PROTOCOL §4), each verdict beside openssl's; and what surrounds it:
// settings, keys, memory, hostile bytes.
import { spawnSync } from "node:child_process";
import { ECDH, X509Certificate } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { encodeX509Credential } from "../../src/mls/credential.ts";
import { createX509Provider, x509SettingsFault, type X509Settings } from "../../src/mls/x509-provider.ts";
import type { Ciphersuite } from "../../src/mls/suites.ts";
import { CertificateWorld, pem, signatureKeyPair } from "../support/certificates.ts";
import { settingsOf, type ProviderCase } from "../support/identity-provider-case.ts";
import { providerCases, successorCases } from "../support/identity-provider-cases.ts";
import { recipes, type RecipeName } from "../support/identity-provider-recipes.ts";

const DAY_MS = 86_400_000;
const nowMs = Date.UTC(2026, 5, 1);
const world = new CertificateWorld(recipes, nowMs);
const folder = mkdtempSync(path.join(tmpdir(), "aegis-x509-"));
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

function credentialOf(chain: readonly RecipeName[] | string): Uint8Array {
  return typeof chain === "string"
    ? Uint8Array.from(Buffer.from(chain, "hex"))
    : encodeX509Credential(world.ders(chain));
}

function instantOf({ day = 0 }: ProviderCase): number {
  return nowMs + Math.round(day * DAY_MS);
}

describe("the conformance kit", () => {
  test.each(providerCases.map((one) => [one.name, one] as const))("%s", (_, one) => {
    const provider = createX509Provider(settingsOf(world, one.settings));
    const verdict = provider.validate(credentialOf(one.chain), instantOf(one));
    if (typeof one.verdict === "string") return expect(verdict).toEqual({ valid: false, cause: one.verdict });
    const ends = one.endsWith ?? (one.chain[0] as RecipeName);
    const [, until] = (recipes[ends] as { days?: readonly [number, number] }).days ?? [-1, 365];
    expect(verdict).toEqual({ valid: true, ...one.verdict, notAfterMs: nowMs + until * DAY_MS });
  });

  test.each(successorCases.map((one) => [one.name, one] as const))("a successor: %s", (_, one) => {
    const provider = createX509Provider(settingsOf(world, one.settings));
    expect(provider.validSuccessor(credentialOf(one.current), credentialOf(one.next))).toBe(one.successor);
  });
});

describe("openssl, asked the same", () => {
  const asked = providerCases.filter(({ chain }) => typeof chain !== "string");
  test.each(asked.map((one) => [one.name, one] as const))("%s", (_, one) => {
    const ours = typeof one.verdict !== "string" || /^(name|handle)_/.test(one.verdict);
    expect(opensslAccepts(one)).toBe(one.openssl === undefined ? ours : !ours);
  });

  function opensslAccepts({ chain, settings = {}, ...one }: ProviderCase): boolean {
    const file = (name: string, names: readonly RecipeName[]): string => {
      const at = path.join(folder, name);
      writeFileSync(at, world.ders(names).map(pem).join(""));
      return at;
    };
    const [leaf, ...others] = chain as RecipeName[];
    const untrusted = others.length === 0 ? [] : ["-untrusted", file("untrusted.pem", others)];
    const anchors = file("anchors.pem", settings.anchors ?? ["root"]);
    const seconds = String(Math.floor(instantOf({ chain, ...one }) / 1000));
    const flags = ["-attime", seconds, "-partial_chain", "-purpose", "sslclient", "-no-CApath", "-no-CAstore"];
    const args = ["verify", ...flags, "-CAfile", anchors, ...untrusted, file("leaf.pem", [leaf as RecipeName])];
    const { status, stderr } = spawnSync("openssl", args, { encoding: "utf8" });
    if (status === null) throw new Error(`openssl did not run: ${stderr}`);
    return status === 0;
  }
});

describe("certificates that openssl made", () => {
  test("are read as node:crypto reads them, and lead to their root", () => {
    const run = (...args: string[]): void => {
      const { status, stderr } = spawnSync("openssl", args, { cwd: folder, encoding: "utf8" });
      if (status !== 0) throw new Error(stderr);
    };
    run(..."req -x509 -newkey ed25519 -nodes -keyout root.key -out root.crt -days 30 -subj /O=Test/CN=Root".split(" "));
    run(
      ..."req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.csr -subj /CN=alice".split(
        " ",
      ),
    );
    writeFileSync(
      path.join(folder, "ca.ext"),
      "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign\n",
    );
    run(..."x509 -req -in ca.csr -CA root.crt -CAkey root.key -days 20 -extfile ca.ext -out ca.crt".split(" "));
    run(..."req -new -newkey ed25519 -nodes -keyout leaf.key -out leaf.csr -subj /CN=phone".split(" "));
    run(..."x509 -req -in leaf.csr -CA ca.crt -CAkey ca.key -days 10 -sha256 -out leaf.crt".split(" "));
    const read = (name: string) => new X509Certificate(readPem(name));
    const [root, ca, leaf] = ["root.crt", "ca.crt", "leaf.crt"].map(read) as [
      X509Certificate,
      X509Certificate,
      X509Certificate,
    ];
    const provider = createX509Provider({
      trustAnchors: [root.raw],
      supportsAccounts: true,
      supportsDomains: false,
      deviceHandleRange: { start: 0, end: 0 },
      accountHandleOffset: 1,
    });
    const verdict = provider.validate(encodeX509Credential([leaf.raw, ca.raw]), Date.now());
    const notAfterMs = Date.parse(leaf.validTo);
    expect(verdict).toEqual({ valid: true, handle: "alice/phone", account: "alice", notAfterMs });
  });

  function readPem(name: string): Buffer {
    const { stdout } = spawnSync("openssl", ["x509", "-in", name, "-outform", "der"], { cwd: folder });
    return stdout;
  }
});

describe("keys", () => {
  const cases: [Ciphersuite, RecipeName, RecipeName][] = [
    [1, "leaf", "root"],
    [2, "leafP256", "rootP256"],
    [3, "leaf", "root"],
    [4, "leafEd448", "rootEd448"],
    [5, "leafP521", "rootP521"],
    [6, "leafEd448", "rootEd448"],
    [7, "leafP384", "rootP384"],
  ];
  test.each(cases)("suite %i: the leaf certificate's key and no other", (ciphersuite, leaf, root) => {
    const provider = createX509Provider(settingsOf(world, { anchors: [root] }));
    const credential = credentialOf([leaf]);
    const { publicKey } = signatureKeyPair(world.get(leaf));
    expect(provider.keyMatches(credential, publicKey, ciphersuite)).toBe(true);
    expect(provider.keyMatches(credential, signatureKeyPair(world.get(root)).publicKey, ciphersuite)).toBe(false);
    expect(provider.keyMatches(credential, publicKey.subarray(1), ciphersuite)).toBe(false);
    expect(provider.keyMatches(credential, new Uint8Array(0), ciphersuite)).toBe(false);
    const otherSuite = ciphersuite === 1 || ciphersuite === 3 ? 2 : 1;
    expect(provider.keyMatches(credential, publicKey, otherSuite)).toBe(false);
    expect(provider.keyMatches(credentialOf(["selfSigned"]), publicKey, ciphersuite)).toBe(false);
  });

  test("a compressed point is the same key", () => {
    const provider = createX509Provider(settingsOf(world, { anchors: ["rootP256"] }));
    const { publicKey } = signatureKeyPair(world.get("leafP256"));
    const point = ECDH.convertKey(publicKey, "prime256v1", undefined, undefined, "compressed") as Buffer;
    expect(provider.keyMatches(credentialOf(["leafP256"]), new Uint8Array(point), 2)).toBe(true);
  });
});

describe("settings", () => {
  const good = settingsOf(world, { accounts: 1, domains: 2 });
  test("good ones have no fault", () => {
    expect(x509SettingsFault(good)).toBeUndefined();
  });

  const faults: [string, Partial<X509Settings>, string][] = [
    ["a range that ends before it starts", { deviceHandleRange: { start: 1, end: 0 } }, "deviceHandleRange.end"],
    ["an account within the range", { deviceHandleRange: { start: 0, end: 1 } }, "accountHandleOffset"],
    ["a domain that is no more than the account", { domainNameOffset: 1 }, "domainNameOffset"],
    [
      "an anchor that is no certificate",
      { trustAnchors: [world.get("root").der, Uint8Array.of(0x30, 0)] },
      "trustAnchors.1",
    ],
    [
      "an anchor with bytes behind it",
      { trustAnchors: [Uint8Array.from([...world.get("root").der, 0])] },
      "trustAnchors.0",
    ],
    ["an anchor with an RSA key", { trustAnchors: [world.get("rootRsa").der] }, "trustAnchors.0"],
    ["an anchor that is no CA", { trustAnchors: [world.get("caFalse").der] }, "trustAnchors.0"],
    ["an anchor whose key must not sign", { trustAnchors: [world.get("caWithoutCertSign").der] }, "trustAnchors.0"],
    ["an anchor for servers only", { trustAnchors: [world.get("caForServers").der] }, "trustAnchors.0"],
    ["an anchor with name constraints", { trustAnchors: [world.get("caNameConstraints").der] }, "trustAnchors.0"],
  ];
  test.each(faults)("%s", (_, change, where) => {
    const settings = { ...good, ...change };
    expect(x509SettingsFault(settings)?.path).toBe(where);
    expect(() => createX509Provider(settings)).toThrow(where);
  });

  test("accounts and domains need their offsets", () => {
    const { accountHandleOffset: _, ...withoutAccount } = good;
    expect(x509SettingsFault(withoutAccount)?.path).toBe("accountHandleOffset");
    const { domainNameOffset: __, ...withoutDomain } = good;
    expect(x509SettingsFault(withoutDomain)?.path).toBe("domainNameOffset");
  });
});

describe("memory and hostile bytes", () => {
  test("a judgment is made once, and the instant is judged each time", () => {
    const provider = createX509Provider(settingsOf(world));
    const credential = credentialOf(["leaf"]);
    const settings = settingsOf(world);
    const anew = cpuMs(() => createX509Provider(settings).validate(credential, nowMs));
    const remembered = cpuMs(() => provider.validate(credential, nowMs));
    expect(remembered * 5).toBeLessThan(anew);
    expect(provider.validate(credential, nowMs + 400 * DAY_MS)).toEqual({ valid: false, cause: "expired" });
    credential[credential.length - 1] = (credential.at(-1) ?? 0) ^ 1;
    expect(provider.validate(credential, nowMs)).toEqual({ valid: false, cause: "chain_invalid" });
  });

  test("a path without a well-defined end does not expire", () => {
    const provider = createX509Provider(settingsOf(world, { anchors: ["rootEndless"] }));
    expect(provider.validate(credentialOf(["leafEndless"]), nowMs)).toEqual({ valid: true, handle: "leafEndless" });
  });

  test("[G10] judgments are forgotten, the oldest first, once there are many", () => {
    const provider = createX509Provider(settingsOf(world));
    const credential = credentialOf(["leaf"]);
    const validateMs = (): number => {
      const startedAt = performance.now();
      provider.validate(credential, nowMs);
      return performance.now() - startedAt;
    };
    const forgotten: number[] = [];
    const remembered: number[] = [];
    for (let round = 0; round < 15; round += 1) {
      for (let n = 0; n < 4096; n += 1) provider.validate(Uint8Array.of(round, n >> 8, n & 0xff), nowMs);
      forgotten.push(validateMs());
      for (let n = 0; n < 1000; n += 1) provider.validate(Uint8Array.of(n >> 8, n & 0xff), nowMs);
      remembered.push(validateMs());
    }
    const median = (values: number[]): number => values.sort((a, b) => a - b)[7] ?? 0;
    expect(median(remembered) * 3).toBeLessThan(median(forgotten));
  });

  function cpuMs(validate: () => { readonly valid: boolean }): number {
    const before = process.cpuUsage();
    for (let n = 0; n < 500; n += 1) if (!validate().valid) throw new Error("not valid");
    return process.cpuUsage(before).user / 1000;
  }

  test("[G10] no single changed, missing or added byte is taken or thrown", () => {
    const provider = createX509Provider(settingsOf(world, { accounts: 1, domains: 2 }));
    const credential = credentialOf(["device", "account", "domain"]);
    expect(provider.validate(credential, nowMs).valid).toBe(true);
    for (let at = 0; at < credential.length; at += 1) {
      const changed = credential.slice();
      changed[at] = (changed[at] ?? 0) ^ (1 << (at % 8));
      expect(provider.validate(changed, nowMs).valid, `byte ${String(at)}`).toBe(false);
      expect(provider.validate(credential.subarray(0, at), nowMs)).toEqual({ valid: false, cause: "malformed" });
    }
    const longer = Uint8Array.from([...credential, 0]);
    expect(provider.validate(longer, nowMs)).toEqual({ valid: false, cause: "malformed" });
  });
});
