// HPKE (RFC 9180, base mode) on node:crypto, as ts-mls wants it.
import { createCipheriv, createDecipheriv, randomBytes, type CipherGCMTypes } from "node:crypto";
import type { Hpke } from "ts-mls";
import { decapsulate, deriveSecretKey, encapsulate, publicOf, type KemParameters } from "./node-dhkem.ts";
import { HASH_LENGTH, labeledExpand, labeledExtract, plain, twoBytes, type HashName } from "./node-hkdf.ts";

interface HpkeParameters extends KemParameters {
  readonly kdfId: number;
  readonly aeadId: number;
  readonly aead: CipherGCMTypes | "chacha20-poly1305";
  readonly keyLength: number;
}

const EMPTY = new Uint8Array(0);
const KDF_ID: Readonly<Record<HashName, number>> = { sha256: 1, sha384: 2, sha512: 3 };
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

/** ts-mls passes keys through and never looks inside: raw bytes do. */
interface RawKey {
  readonly raw: Uint8Array;
}

export function hpkeOf(algorithm: { readonly kem: string; readonly aead: string }, hash: HashName): Hpke {
  const kem = KEMS[algorithm.kem as keyof typeof KEMS];
  const aead = AEADS[algorithm.aead as keyof typeof AEADS];
  return hpkeWith({ ...kem, ...aead, hash, kdfId: KDF_ID[hash] }) as unknown as Hpke;
}

function hpkeWith(parameters: HpkeParameters): object {
  const { keyLength } = parameters;
  return {
    keyLength,
    nonceLength: 12,
    seal: (publicKey: RawKey, plaintext: Uint8Array, info: Uint8Array, aad?: Uint8Array) => {
      const { shared, enc } = encapsulate(parameters, publicKey.raw);
      const { key, nonce } = schedule(parameters, shared, info);
      return Promise.resolve({ enc, ct: encrypt(parameters, key, nonce, aad ?? EMPTY, plaintext) });
    },
    open: async (
      privateKey: RawKey,
      kemOutput: Uint8Array,
      ciphertext: Uint8Array,
      info: Uint8Array,
      aad?: Uint8Array,
    ) => {
      const { key, nonce } = schedule(parameters, decapsulate(parameters, privateKey.raw, kemOutput), info);
      return Promise.resolve(decrypt(parameters, key, nonce, aad ?? EMPTY, ciphertext));
    },
    exportSecret: (publicKey: RawKey, context: Uint8Array, length: number, info: Uint8Array) => {
      const { shared, enc } = encapsulate(parameters, publicKey.raw);
      return Promise.resolve({ enc, secret: exportFrom(parameters, shared, info, context, length) });
    },
    importSecret: (
      privateKey: RawKey,
      context: Uint8Array,
      kemOutput: Uint8Array,
      length: number,
      info: Uint8Array,
    ) => {
      const shared = decapsulate(parameters, privateKey.raw, kemOutput);
      return Promise.resolve(exportFrom(parameters, shared, info, context, length));
    },
    importPrivateKey: (key: Uint8Array) => Promise.resolve(keyOf(padded(key, parameters.secretKeyLength))),
    importPublicKey: (key: Uint8Array) => Promise.resolve(keyOf(key)),
    exportPublicKey: (key: RawKey) => Promise.resolve(key.raw),
    exportPrivateKey: (key: RawKey) => Promise.resolve(key.raw),
    encryptAead: (key: Uint8Array, nonce: Uint8Array, aad: Uint8Array | undefined, plaintext: Uint8Array) =>
      Promise.resolve(encrypt(parameters, key, nonce, aad ?? EMPTY, plaintext)),
    decryptAead: async (key: Uint8Array, nonce: Uint8Array, aad: Uint8Array | undefined, ciphertext: Uint8Array) =>
      Promise.resolve(decrypt(parameters, key, nonce, aad ?? EMPTY, ciphertext)),
    deriveKeyPair: (ikm: Uint8Array) => Promise.resolve(keyPairOf(parameters, deriveSecretKey(parameters, ikm))),
    generateKeyPair: () =>
      Promise.resolve(
        keyPairOf(parameters, deriveSecretKey(parameters, plain(randomBytes(parameters.secretKeyLength)))),
      ),
  };
}

function keyOf(raw: Uint8Array): RawKey {
  return { raw };
}

function keyPairOf(parameters: HpkeParameters, secret: Uint8Array): { publicKey: RawKey; privateKey: RawKey } {
  return { publicKey: keyOf(publicOf(parameters, secret)), privateKey: keyOf(secret) };
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

function hpkeSuite({ kemId, kdfId, aeadId }: HpkeParameters): Uint8Array {
  return Buffer.concat([Buffer.from("HPKE"), twoBytes(kemId), twoBytes(kdfId), twoBytes(aeadId)]);
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

function padded(bytes: Uint8Array, length: number): Uint8Array {
  const full = new Uint8Array(length);
  full.set(bytes, length - bytes.length);
  return full;
}
