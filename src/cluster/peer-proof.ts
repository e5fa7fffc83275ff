// How two nodes prove to each other that they hold the deployment's secret: HMAC-SHA-256 under the key for links over
// both sides' fresh nonces and ids, one label for each side. Keeps nothing; never compares in variable time.
import { createHmac, timingSafeEqual } from "node:crypto";

export interface ProofOf {
  readonly side: "dialling" | "listening";
  readonly dialler: string;
  readonly listener: string;
  readonly diallerNonce: Uint8Array;
  readonly listenerNonce: Uint8Array;
}

export function prove(linkKey: Uint8Array, of: ProofOf): Uint8Array {
  const mac = createHmac("sha256", linkKey);
  for (const part of [of.side, of.dialler, of.listener, of.diallerNonce, of.listenerNonce]) {
    const bytes = typeof part === "string" ? Buffer.from(part, "utf8") : part;
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.length);
    mac.update(length).update(bytes);
  }
  return Uint8Array.from(mac.digest());
}

/** In constant time. */
export function proves(linkKey: Uint8Array, of: ProofOf, proof: unknown): boolean {
  const expected = prove(linkKey, of);
  return proof instanceof Uint8Array && proof.length === expected.length && timingSafeEqual(proof, expected);
}

export const PROOF_NONCE_BYTES = 32;

export function isProofNonce(value: unknown): value is Uint8Array {
  return value instanceof Uint8Array && value.length === PROOF_NONCE_BYTES;
}
