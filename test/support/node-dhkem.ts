// HPKE's key encapsulation (RFC 9180 §4.1, §7.1) on node:crypto.
import { createECDH, createPrivateKey, createPublicKey, diffieHellman, randomBytes, type KeyObject } from "node:crypto";
import { labeledExpand, labeledExtract, plain, twoBytes, type HashName } from "./node-hkdf.ts";

export interface KemParameters {
  readonly kemId: number;
  readonly hash: HashName;
  readonly secretKeyLength: number;
  readonly sharedSecretLength: number;
  readonly curve: "prime256v1" | "secp384r1" | "secp521r1" | "x25519" | "x448";
}

const EMPTY = new Uint8Array(0);
const PKCS8 = {
  x25519: "302e020100300506032b656e04220420",
  x448: "3046020100300506032b656f043a0438",
} as const;
const SPKI = {
  x25519: "302a300506032b656e032100",
  x448: "3042300506032b656f033900",
} as const;

export function publicOf({ curve }: KemParameters, secret: Uint8Array): Uint8Array {
  if (curve === "x25519" || curve === "x448") {
    const spki = createPublicKey(montgomeryKey(curve, secret)).export({ format: "der", type: "spki" });
    return plain(spki.subarray(SPKI[curve].length / 2));
  }
  const ecdh = createECDH(curve);
  ecdh.setPrivateKey(secret);
  return plain(ecdh.getPublicKey());
}

function agree({ curve }: KemParameters, secret: Uint8Array, peer: Uint8Array): Uint8Array {
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

export function encapsulate(parameters: KemParameters, recipient: Uint8Array): { shared: Uint8Array; enc: Uint8Array } {
  const ephemeral = deriveSecretKey(parameters, plain(randomBytes(parameters.secretKeyLength)));
  const enc = publicOf(parameters, ephemeral);
  return { enc, shared: sharedSecret(parameters, agree(parameters, ephemeral, recipient), enc, recipient) };
}

export function decapsulate(parameters: KemParameters, secret: Uint8Array, enc: Uint8Array): Uint8Array {
  return sharedSecret(parameters, agree(parameters, secret, enc), enc, publicOf(parameters, secret));
}

function sharedSecret(parameters: KemParameters, dh: Uint8Array, enc: Uint8Array, recipient: Uint8Array): Uint8Array {
  const suite = kemSuite(parameters);
  const prk = labeledExtract(parameters, suite, EMPTY, "eae_prk", dh);
  const context = Buffer.concat([enc, recipient]);
  return labeledExpand(parameters, suite, prk, "shared_secret", context, parameters.sharedSecretLength);
}

/** RFC 9180 §7.1.3. */
export function deriveSecretKey(parameters: KemParameters, ikm: Uint8Array): Uint8Array {
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

function kemSuite({ kemId }: KemParameters): Uint8Array {
  return Buffer.concat([Buffer.from("KEM"), twoBytes(kemId)]);
}
