// Public keys of the suites on P-curves: which bytes are one, and that a key read from them verifies.
import { ECDH, generateKeyPairSync, sign, verify } from "node:crypto";
import { describe, expect, test } from "vitest";
import { importPublicKey, isHpkeKey, isSignatureKey, suiteOf } from "../../src/mls/suites.ts";

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
