// Public keys of the suites: which bytes are one, and that a key read from them verifies.
import { createHash, createPublicKey, diffieHellman, ECDH, generateKeyPairSync, sign, verify } from "node:crypto";
import { describe, expect, test } from "vitest";
import {
  importPublicKey,
  isHpkeKey,
  isSignatureKey,
  signContent,
  suiteOf,
  verifyWithLabel,
} from "../../src/mls/suites.ts";

const CURVES = [
  { ciphersuite: 2, name: "prime256v1", scheme: "p256" },
  { ciphersuite: 7, name: "secp384r1", scheme: "p384" },
  { ciphersuite: 5, name: "secp521r1", scheme: "p521" },
] as const;

describe.each(CURVES)("[M1] keys of suite $ciphersuite", ({ ciphersuite, name, scheme }) => {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: name });
  const { x = "", y = "" } = publicKey.export({ format: "jwk" });
  const whole = Buffer.concat([Buffer.of(4), Buffer.from(x, "base64url"), Buffer.from(y, "base64url")]);
  const compressed = ECDH.convertKey(whole, name, undefined, undefined, "compressed") as Buffer;
  const changed = (at: number, to: (byte: number) => number): Buffer => {
    const bytes = Buffer.from(whole);
    bytes[at] = to(bytes[at] ?? 0);
    return bytes;
  };

  test("are points of the curve, whole, and of signatures compressed too", () => {
    expect([isSignatureKey(ciphersuite, whole), isHpkeKey(ciphersuite, whole)]).toEqual([true, true]);
    expect([isSignatureKey(ciphersuite, compressed), isHpkeKey(ciphersuite, compressed)]).toEqual([true, false]);
  });

  test("are nothing else", () => {
    const others = {
      "off the curve": changed(whole.length - 1, (byte) => byte ^ 1),
      "beyond the field": Buffer.concat([Buffer.of(4), Buffer.alloc(whole.length - 1, 0xff)]),
      zero: Buffer.concat([Buffer.of(4), Buffer.alloc(whole.length - 1)]),
      infinity: Buffer.of(0),
      hybrid: changed(0, () => 6),
      longer: Buffer.concat([whole, Buffer.of(0)]),
      shorter: whole.subarray(0, -1),
      none: Buffer.of(),
    };
    for (const [what, bytes] of Object.entries(others)) {
      expect([isSignatureKey(ciphersuite, bytes), isHpkeKey(ciphersuite, bytes)], what).toEqual([false, false]);
      expect(importPublicKey(scheme, bytes), what).toBeUndefined();
    }
  });

  test("verify what was signed with them, in either form", () => {
    const { hash } = suiteOf(ciphersuite);
    const signature = sign(hash, Buffer.from("signed"), privateKey);
    for (const bytes of [whole, compressed]) {
      const key = importPublicKey(scheme, bytes);
      if (key === undefined) throw new Error("the key was not read");
      expect(key.equals(publicKey)).toBe(true);
      expect(verify(hash, Buffer.from("signed"), key, signature)).toBe(true);
      expect(verify(hash, Buffer.from("other"), key, signature)).toBe(false);
    }
  });
});

const LOW_ORDER = {
  1: [
    ...["00", "01"].map((first) => first + "00".repeat(31)),
    ...["ec", "ed", "ee"].flatMap((first) => [`${first}${"ff".repeat(30)}7f`, `${first}${"ff".repeat(31)}`]),
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "00".repeat(31) + "80",
  ],
  4: [
    ...["00", "01"].map((first) => first + "00".repeat(55)),
    ...["fe", "ff"].map((first) => `${first}${"ff".repeat(27)}fe${"ff".repeat(27)}`),
    "00".repeat(28) + "ff".repeat(28),
  ],
} as const;

describe.each([
  { ciphersuite: 1, kem: "x25519", crv: "X25519" },
  { ciphersuite: 4, kem: "x448", crv: "X448" },
] as const)("[M1] encryption keys of suite $ciphersuite", ({ ciphersuite, kem, crv }) => {
  const { publicKey, privateKey } = kem === "x448" ? generateKeyPairSync("x448") : generateKeyPairSync("x25519");
  const agree = (key: Uint8Array): Buffer => {
    const jwk = { kty: "OKP", crv, x: Buffer.from(key).toString("base64url") };
    return diffieHellman({ privateKey, publicKey: createPublicKey({ key: jwk, format: "jwk" }) });
  };

  test("are not points of low order, to which nobody can encrypt", () => {
    for (const hex of LOW_ORDER[ciphersuite]) {
      const key = Buffer.from(hex, "hex");
      expect(() => agree(key), hex).toThrow();
      expect(isHpkeKey(ciphersuite, key), hex).toBe(false);
    }
  });

  test("are any other bytes of their length", () => {
    const own = Buffer.from(publicKey.export({ format: "jwk" }).x ?? "", "base64url");
    const two = Buffer.concat([Buffer.of(2), Buffer.alloc(own.length - 1)]);
    const greatest = Buffer.alloc(own.length, 0xff);
    for (const key of [own, two, greatest]) {
      expect(agree(key)).toHaveLength(own.length);
      expect(isHpkeKey(ciphersuite, key)).toBe(true);
      expect(isHpkeKey(ciphersuite, key.subarray(1))).toBe(false);
    }
  });
});

describe("[M1] Ed25519", () => {
  const ORDER = 2n ** 252n + 27742317777372353535851937790883648493n;
  const IDENTITY = Buffer.from("01" + "00".repeat(31), "hex");
  const number = (bytes: Uint8Array): bigint => BigInt(`0x${Buffer.from(bytes).reverse().toString("hex")}`);
  const bytesOf = (value: bigint): Buffer => Buffer.from(value.toString(16).padStart(64, "0"), "hex").reverse();
  const passes = (key: Uint8Array, content: Uint8Array, signature: Uint8Array): boolean => {
    const imported = importPublicKey("ed25519", key);
    return imported !== undefined && verify(null, signContent("Test", content), imported, signature);
  };

  test("keys are not points of low order, under which anybody's signature of some contents verifies", async () => {
    const nothing = Buffer.concat([IDENTITY, Buffer.alloc(32)]);
    const contents = Array.from({ length: 200 }, (_, n) => Buffer.from(`content ${n}`));
    for (const hex of [
      ...["00", "01"].flatMap((first) => [first + "00".repeat(31), `${first}${"00".repeat(30)}80`]),
      ...["ec", "ed", "ee"].map((first) => `${first}${"ff".repeat(30)}7f`),
      "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
      "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
      "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
      "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    ]) {
      const key = Buffer.from(hex, "hex");
      const forged = contents.find((content) => passes(key, content, nothing));
      if (forged === undefined) throw new Error(`${hex} is of no low order`);
      expect(isSignatureKey(1, key), hex).toBe(false);
      expect(await verifyWithLabel(1, key, "Test", forged, nothing), hex).toBe(false);
    }
  });

  test("signatures hold no point of low order, which other verifiers refuse", async () => {
    const { publicKey, privateKey } = generateKeyPairSync("ed25519");
    const key = Buffer.from(publicKey.export({ format: "jwk" }).x ?? "", "base64url");
    const seed = Buffer.from(privateKey.export({ format: "jwk" }).d ?? "", "base64url");
    const clamped = createHash("sha512").update(seed).digest().subarray(0, 32);
    clamped[0] = (clamped[0] ?? 0) & 0xf8;
    clamped[31] = ((clamped[31] ?? 0) & 0x7f) | 0x40;
    const content = Buffer.from("signed without a nonce");
    const challenge = createHash("sha512").update(IDENTITY).update(key).update(signContent("Test", content)).digest();
    const crooked = Buffer.concat([IDENTITY, bytesOf((number(challenge) * number(clamped)) % ORDER)]);
    expect(passes(key, content, crooked)).toBe(true);
    expect(await verifyWithLabel(1, key, "Test", content, crooked)).toBe(false);
    const straight = sign(null, signContent("Test", content), privateKey);
    expect(await verifyWithLabel(1, key, "Test", content, straight)).toBe(true);
  });
});
