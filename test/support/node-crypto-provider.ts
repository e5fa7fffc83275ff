// A ts-mls CryptoProvider on node:crypto for ciphersuites 1–7, HPKE (RFC 9180, base mode) included.
// For tests and the demo: ts-mls' own providers need packages for 3, 4 and 6 and are slow on 2, 5 and 7.
// Signature keys on P-curves are uncompressed here, as RFC 9420 §5.1.1 has them.
import {
  createCipheriv,
  createDecipheriv,
  createECDH,
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  randomBytes,
  sign,
  timingSafeEqual,
  verify,
  type CipherGCMTypes,
  type KeyObject,
} from "node:crypto";
import type { CiphersuiteImpl, CryptoProvider, Hpke, Kdf, PrivateKey, PublicKey, Signature } from "ts-mls";

type HashName = "sha256" | "sha384" | "sha512";
interface HpkeParameters {
  readonly kemId: number;
  readonly kdfId: number;
  readonly aeadId: number;
  readonly hash: HashName;
  readonly secretKeyLength: number;
  readonly sharedSecretLength: number;
  readonly aead: CipherGCMTypes | "chacha20-poly1305";
  readonly keyLength: number;
  readonly curve: "prime256v1" | "secp384r1" | "secp521r1" | "x25519" | "x448";
}

const EMPTY = new Uint8Array(0);
const HASH: Readonly<Record<string, HashName>> = { "SHA-256": "sha256", "SHA-384": "sha384", "SHA-512": "sha512" };
const KDF_ID: Readonly<Record<HashName, number>> = { sha256: 1, sha384: 2, sha512: 3 };
const HASH_LENGTH: Readonly<Record<HashName, number>> = { sha256: 32, sha384: 48, sha512: 64 };
const AEADS = {
  AES128GCM: { aeadId: 1, aead: "aes-128-gcm", keyLength: 16 },
  AES256GCM: { aeadId: 2, aead: "aes-256-gcm", keyLength: 32 },
  CHACHA20POLY1305: { aeadId: 3, aead: "chacha20-poly1305", keyLength: 32 },
} as const;
const KEMS = {
  "DHKEM-P256-HKDF-SHA256": { kemId: 0x10, secretKeyLength: 32, sharedSecretLength: 32, curve: "prime256v1" },
  "DHKEM-P384-HKDF-SHA384": { kemId: 0x11, secretKeyLength: 48, sharedSecretLength: 48, curve: "secp384r1" },
  "DHKEM-P521-HKDF-SHA512": { kemId: 0x12, secretKeyLength: 66, sharedSecretLength: 64, curve: "secp521r1" },
  "DHKEM-X25519-HKDF-SHA256": { kemId: 0x20, secretKeyLength: 32, sharedSecretLength: 32, curve: "x25519" },
  "DHKEM-X448-HKDF-SHA512": { kemId: 0x21, secretKeyLength: 56, sharedSecretLength: 64, curve: "x448" },
} as const;
const PKCS8 = {
  x25519: "302e020100300506032b656e04220420",
  x448: "3046020100300506032b656f043a0438",
  ed25519: "302e020100300506032b657004220420",
  ed448: "3047020100300506032b6571043b0439",
} as const;
const SPKI = {
  x25519: "302a300506032b656e032100",
  x448: "3042300506032b656f033900",
  ed25519: "302a300506032b6570032100",
  ed448: "3043300506032b6571033a00",
} as const;

export const nodeCryptoProvider: CryptoProvider = {
  getCiphersuiteImpl: (suite) => {
    const hash = HASH[suite.hash] as HashName;
    const kem = KEMS[suite.hpke.kem as keyof typeof KEMS];
    const aead = AEADS[suite.hpke.aead as keyof typeof AEADS];
    const implementation: CiphersuiteImpl = {
      name: suite.name,
      hash: {
        digest: (data) => Promise.resolve(plain(createHash(hash).update(data).digest())),
        mac: (key, data) => Promise.resolve(plain(createHmac(hash, key).update(data).digest())),
        verifyMac: (key, mac, data) => {
          const expected = createHmac(hash, key).update(data).digest();
          return Promise.resolve(expected.length === mac.length && timingSafeEqual(expected, mac));
        },
      },
      kdf: kdfOf(hash),
      hpke: hpkeOf({ ...kem, ...aead, hash, kdfId: KDF_ID[hash] }),
      signature: signatureOf(suite.signature, hash),
      rng: { randomBytes: (n) => plain(randomBytes(n)) },
    };
    return Promise.resolve(implementation);
  },
};

function kdfOf(hash: HashName): Kdf {
  return {
    size: HASH_LENGTH[hash],
    extract: (salt, ikm) => Promise.resolve(extract(hash, salt, ikm)),
    expand: (prk, info, length) => Promise.resolve(expand(hash, prk, info, length)),
  };
}

function extract(hash: HashName, salt: Uint8Array, ikm: Uint8Array): Uint8Array {
  return plain(createHmac(hash, salt).update(ikm).digest());
}

function expand(hash: HashName, prk: Uint8Array, info: Uint8Array, length: number): Uint8Array {
  const blocks: Buffer[] = [];
  let previous = Buffer.alloc(0);
  for (let counter = 1; blocks.length * HASH_LENGTH[hash] < length; counter++) {
    previous = createHmac(hash, prk).update(previous).update(info).update(Uint8Array.of(counter)).digest();
    blocks.push(previous);
  }
  return plain(Buffer.concat(blocks)).slice(0, length);
}

function hpkeOf(parameters: HpkeParameters): Hpke {
  const { keyLength } = parameters;
  return {
    keyLength,
    nonceLength: 12,
    seal: (publicKey, plaintext, info, aad) => {
      const { shared, enc } = encapsulate(parameters, rawOf(publicKey));
      const { key, nonce } = schedule(parameters, shared, info);
      return Promise.resolve({ enc, ct: encrypt(parameters, key, nonce, aad ?? EMPTY, plaintext) });
    },
    open: async (privateKey, kemOutput, ciphertext, info, aad) => {
      const { key, nonce } = schedule(parameters, decapsulate(parameters, rawOf(privateKey), kemOutput), info);
      return Promise.resolve(decrypt(parameters, key, nonce, aad ?? EMPTY, ciphertext));
    },
    exportSecret: (publicKey, context, length, info) => {
      const { shared, enc } = encapsulate(parameters, rawOf(publicKey));
      return Promise.resolve({ enc, secret: exportFrom(parameters, shared, info, context, length) });
    },
    importSecret: (privateKey, context, kemOutput, length, info) => {
      const shared = decapsulate(parameters, rawOf(privateKey), kemOutput);
      return Promise.resolve(exportFrom(parameters, shared, info, context, length));
    },
    importPrivateKey: (key) => Promise.resolve(keyOf<PrivateKey>(padded(key, parameters.secretKeyLength))),
    importPublicKey: (key) => Promise.resolve(keyOf<PublicKey>(key)),
    exportPublicKey: (key) => Promise.resolve(rawOf(key)),
    exportPrivateKey: (key) => Promise.resolve(rawOf(key)),
    encryptAead: (key, nonce, aad, plaintext) =>
      Promise.resolve(encrypt(parameters, key, nonce, aad ?? EMPTY, plaintext)),
    decryptAead: async (key, nonce, aad, ciphertext) =>
      Promise.resolve(decrypt(parameters, key, nonce, aad ?? EMPTY, ciphertext)),
    deriveKeyPair: (ikm) => Promise.resolve(keyPairOf(parameters, deriveSecretKey(parameters, ikm))),
    generateKeyPair: () =>
      Promise.resolve(
        keyPairOf(parameters, deriveSecretKey(parameters, plain(randomBytes(parameters.secretKeyLength)))),
      ),
  };
}

/** ts-mls passes keys through and never looks inside: raw bytes do. */
function keyOf<K>(raw: Uint8Array): K {
  return { raw } as unknown as K;
}

function rawOf(key: PublicKey | PrivateKey): Uint8Array {
  return (key as unknown as { readonly raw: Uint8Array }).raw;
}

function keyPairOf(parameters: HpkeParameters, secret: Uint8Array): { publicKey: PublicKey; privateKey: PrivateKey } {
  return { publicKey: keyOf(publicOf(parameters, secret)), privateKey: keyOf(secret) };
}

function publicOf({ curve }: HpkeParameters, secret: Uint8Array): Uint8Array {
  if (curve === "x25519" || curve === "x448") {
    const spki = createPublicKey(montgomeryKey(curve, secret)).export({ format: "der", type: "spki" });
    return plain(spki.subarray(SPKI[curve].length / 2));
  }
  const ecdh = createECDH(curve);
  ecdh.setPrivateKey(secret);
  return plain(ecdh.getPublicKey());
}

function agree({ curve }: HpkeParameters, secret: Uint8Array, peer: Uint8Array): Uint8Array {
  if (curve === "x25519" || curve === "x448") {
    const key = Buffer.concat([Buffer.from(SPKI[curve], "hex"), peer]);
    const publicKey = createPublicKey({ key, format: "der", type: "spki" });
    return plain(diffieHellman({ privateKey: montgomeryKey(curve, secret), publicKey }));
  }
  const ecdh = createECDH(curve);
  ecdh.setPrivateKey(secret);
  return plain(ecdh.computeSecret(peer));
}

function montgomeryKey(curve: "x25519" | "x448", secret: Uint8Array): KeyObject {
  const key = Buffer.concat([Buffer.from(PKCS8[curve], "hex"), secret]);
  return createPrivateKey({ key, format: "der", type: "pkcs8" });
}

function encapsulate(parameters: HpkeParameters, recipient: Uint8Array): { shared: Uint8Array; enc: Uint8Array } {
  const ephemeral = deriveSecretKey(parameters, plain(randomBytes(parameters.secretKeyLength)));
  const enc = publicOf(parameters, ephemeral);
  return { enc, shared: sharedSecret(parameters, agree(parameters, ephemeral, recipient), enc, recipient) };
}

function decapsulate(parameters: HpkeParameters, secret: Uint8Array, enc: Uint8Array): Uint8Array {
  return sharedSecret(parameters, agree(parameters, secret, enc), enc, publicOf(parameters, secret));
}

function sharedSecret(parameters: HpkeParameters, dh: Uint8Array, enc: Uint8Array, recipient: Uint8Array): Uint8Array {
  const suite = kemSuite(parameters);
  const prk = labeledExtract(parameters, suite, EMPTY, "eae_prk", dh);
  const context = Buffer.concat([enc, recipient]);
  return labeledExpand(parameters, suite, prk, "shared_secret", context, parameters.sharedSecretLength);
}

/** RFC 9180 §7.1.3. */
function deriveSecretKey(parameters: HpkeParameters, ikm: Uint8Array): Uint8Array {
  const suite = kemSuite(parameters);
  const { curve, secretKeyLength } = parameters;
  const prk = labeledExtract(parameters, suite, EMPTY, "dkp_prk", ikm);
  if (curve === "x25519" || curve === "x448") {
    return labeledExpand(parameters, suite, prk, "sk", EMPTY, secretKeyLength);
  }
  for (let counter = 0; counter < 256; counter++) {
    const candidate = labeledExpand(parameters, suite, prk, "candidate", Uint8Array.of(counter), secretKeyLength);
    if (curve === "secp521r1") candidate[0] = (candidate[0] as number) & 1;
    try {
      createECDH(curve).setPrivateKey(candidate);
      return candidate;
    } catch {
      // Not below the order: the next candidate.
    }
  }
  throw new Error("no key could be derived");
}

function schedule(
  parameters: HpkeParameters,
  shared: Uint8Array,
  info: Uint8Array,
): { key: Uint8Array; nonce: Uint8Array; exporter: Uint8Array } {
  const suite = hpkeSuite(parameters);
  const pskIdHash = labeledExtract(parameters, suite, EMPTY, "psk_id_hash", EMPTY);
  const infoHash = labeledExtract(parameters, suite, EMPTY, "info_hash", info);
  const context = Buffer.concat([Uint8Array.of(0), pskIdHash, infoHash]);
  const secret = labeledExtract(parameters, suite, shared, "secret", EMPTY);
  const take = (label: string, length: number): Uint8Array =>
    labeledExpand(parameters, suite, secret, label, context, length);
  return {
    key: take("key", parameters.keyLength),
    nonce: take("base_nonce", 12),
    exporter: take("exp", HASH_LENGTH[parameters.hash]),
  };
}

function exportFrom(
  parameters: HpkeParameters,
  shared: Uint8Array,
  info: Uint8Array,
  context: Uint8Array,
  length: number,
): Uint8Array {
  const { exporter } = schedule(parameters, shared, info);
  return labeledExpand(parameters, hpkeSuite(parameters), exporter, "sec", context, length);
}

function kemSuite({ kemId }: HpkeParameters): Uint8Array {
  return Buffer.concat([Buffer.from("KEM"), twoBytes(kemId)]);
}

function hpkeSuite({ kemId, kdfId, aeadId }: HpkeParameters): Uint8Array {
  return Buffer.concat([Buffer.from("HPKE"), twoBytes(kemId), twoBytes(kdfId), twoBytes(aeadId)]);
}

function labeledExtract(
  { hash }: HpkeParameters,
  suite: Uint8Array,
  salt: Uint8Array,
  label: string,
  ikm: Uint8Array,
): Uint8Array {
  return extract(hash, salt, Buffer.concat([Buffer.from("HPKE-v1"), suite, Buffer.from(label), ikm]));
}

function labeledExpand(
  { hash }: HpkeParameters,
  suite: Uint8Array,
  prk: Uint8Array,
  label: string,
  info: Uint8Array,
  length: number,
): Uint8Array {
  const labeled = Buffer.concat([twoBytes(length), Buffer.from("HPKE-v1"), suite, Buffer.from(label), info]);
  return expand(hash, prk, labeled, length);
}

function encrypt(
  { aead }: HpkeParameters,
  key: Uint8Array,
  nonce: Uint8Array,
  aad: Uint8Array,
  plaintext: Uint8Array,
): Uint8Array {
  const cipher = createCipheriv(aead as CipherGCMTypes, key, nonce, { authTagLength: 16 });
  cipher.setAAD(aad);
  return plain(Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]));
}

function decrypt(
  { aead }: HpkeParameters,
  key: Uint8Array,
  nonce: Uint8Array,
  aad: Uint8Array,
  ciphertext: Uint8Array,
): Uint8Array {
  const decipher = createDecipheriv(aead as CipherGCMTypes, key, nonce, { authTagLength: 16 });
  decipher.setAAD(aad);
  const end = ciphertext.length - 16;
  decipher.setAuthTag(ciphertext.subarray(end));
  return plain(Buffer.concat([decipher.update(ciphertext.subarray(0, end)), decipher.final()]));
}

const NAMED_CURVES = {
  P256: { jwk: "P-256", ecdh: "prime256v1", length: 32 },
  P384: { jwk: "P-384", ecdh: "secp384r1", length: 48 },
  P521: { jwk: "P-521", ecdh: "secp521r1", length: 66 },
} as const;

function signatureOf(algorithm: string, hash: HashName): Signature {
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

function twoBytes(value: number): Uint8Array {
  return Uint8Array.of(value >> 8, value & 0xff);
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
