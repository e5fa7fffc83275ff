// ts-mls' Signature on node:crypto. Keys on P-curves are uncompressed, as RFC 9420 §5.1.1 has them.
import {
  createECDH,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  sign,
  verify,
  type KeyObject,
} from "node:crypto";
import type { Signature } from "ts-mls";

const PKCS8 = { ed25519: "302e020100300506032b657004220420", ed448: "3047020100300506032b6571043b0439" } as const;
const SPKI = { ed25519: "302a300506032b6570032100", ed448: "3043300506032b6571033a00" } as const;
const NAMED_CURVES = {
  P256: { jwk: "P-256", ecdh: "prime256v1", length: 32 },
  P384: { jwk: "P-384", ecdh: "secp384r1", length: 48 },
  P521: { jwk: "P-521", ecdh: "secp521r1", length: 66 },
} as const;

export function signatureOf(algorithm: string, hash: string): Signature {
  if (algorithm === "Ed25519" || algorithm === "Ed448") return edwardsSignature(algorithm);
  const curve = NAMED_CURVES[algorithm as keyof typeof NAMED_CURVES];
  return {
    keygen: () => {
      const ecdh = createECDH(curve.ecdh);
      const publicKey = plain(ecdh.generateKeys());
      return Promise.resolve({ publicKey, signKey: padded(plain(ecdh.getPrivateKey()), curve.length) });
    },
    sign: (signKey, message) => {
      const ecdh = createECDH(curve.ecdh);
      ecdh.setPrivateKey(padded(signKey, curve.length));
      const jwk = { ...pointJwk(curve, plain(ecdh.getPublicKey())), d: base64(padded(signKey, curve.length)) };
      return Promise.resolve(plain(sign(hash, message, createPrivateKey({ key: jwk, format: "jwk" }))));
    },
    verify: (publicKey, message, signature) => {
      const key = createPublicKey({ key: pointJwk(curve, publicKey), format: "jwk" });
      return Promise.resolve(verify(hash, message, key, signature));
    },
  };
}

function pointJwk(
  { jwk, length }: (typeof NAMED_CURVES)[keyof typeof NAMED_CURVES],
  point: Uint8Array,
): { kty: string; crv: string; x: string; y: string } {
  return { kty: "EC", crv: jwk, x: base64(point.slice(1, 1 + length)), y: base64(point.slice(1 + length)) };
}

function edwardsSignature(algorithm: "Ed25519" | "Ed448"): Signature {
  const name = algorithm === "Ed25519" ? "ed25519" : "ed448";
  const privateKeyOf = (raw: Uint8Array): KeyObject =>
    createPrivateKey({ key: Buffer.concat([Buffer.from(PKCS8[name], "hex"), raw]), format: "der", type: "pkcs8" });
  return {
    keygen: () => {
      const { publicKey, privateKey } =
        name === "ed25519" ? generateKeyPairSync("ed25519") : generateKeyPairSync("ed448");
      const spki = publicKey.export({ format: "der", type: "spki" });
      const pkcs8 = privateKey.export({ format: "der", type: "pkcs8" });
      return Promise.resolve({
        publicKey: plain(spki.subarray(SPKI[name].length / 2)),
        signKey: plain(pkcs8.subarray(PKCS8[name].length / 2)),
      });
    },
    sign: (signKey, message) => Promise.resolve(plain(sign(null, message, privateKeyOf(signKey)))),
    verify: (publicKey, message, signature) => {
      const key = Buffer.concat([Buffer.from(SPKI[name], "hex"), publicKey]);
      const verifier = createPublicKey({ key, format: "der", type: "spki" });
      return Promise.resolve(verify(null, message, verifier, signature));
    },
  };
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64url");
}

function padded(bytes: Uint8Array, length: number): Uint8Array {
  const full = new Uint8Array(length);
  full.set(bytes, length - bytes.length);
  return full;
}

function plain(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes);
}
