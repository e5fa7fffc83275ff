// What derives from the deployment's one secret: HKDF-SHA-256 (RFC 5869), a label for each purpose, so
// that no key serves two. Keeps the derived keys to itself; gives out what they do.
import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes, timingSafeEqual } from "node:crypto";

export interface Secrets {
  /** HMAC-SHA-256 of a key's secret under the pepper: what is stored of it (C2). */
  hashKeySecret(secret: string): Uint8Array;
  /** Whether `secret` hashes to `stored`, in constant time. */
  matchesKeySecret(secret: string, stored: Uint8Array): boolean;
  /** AES-256-GCM. `context` is bound to the ciphertext: it opens under the same context only. */
  seal(plain: Uint8Array, context: string): Uint8Array;
  /** @throws SealBroken when the bytes were not sealed here under this context. */
  open(sealed: Uint8Array, context: string): Uint8Array;
  /** Shared by the nodes of one deployment; proves one to another. */
  readonly linkKey: Uint8Array;
  /** Names the deployment without telling anything of its secret: a store belongs to one (F18). */
  readonly deployment: string;
}

export class SealBroken extends Error {
  override readonly name = "SealBroken";
}

const SEAL_VERSION = 1;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const SALT = "aegis deployment secret";

export function deriveSecrets(secret: string): Secrets {
  const derive = (label: string): Buffer => Buffer.from(hkdfSync("sha256", secret, SALT, `aegis v1 ${label}`, 32));
  const pepper = derive("pepper");
  const sealing = derive("sealing");
  const hashKeySecret = (keySecret: string): Uint8Array =>
    Uint8Array.from(createHmac("sha256", pepper).update(keySecret, "utf8").digest());
  return {
    hashKeySecret,
    matchesKeySecret(keySecret, stored) {
      const hashed = hashKeySecret(keySecret);
      return stored.length === hashed.length && timingSafeEqual(hashed, stored);
    },
    seal: (plain, context) => seal(sealing, plain, context),
    open: (sealed, context) => open(sealing, sealed, context),
    linkKey: Uint8Array.from(derive("links")),
    deployment: derive("deployment").toString("hex"),
  };
}

/** Layout: version (1), nonce (12), tag (16), ciphertext. */
function seal(key: Buffer, plain: Uint8Array, context: string): Uint8Array {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv("aes-256-gcm", key, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(Buffer.from(context, "utf8"));
  const body = Buffer.concat([cipher.update(plain), cipher.final()]);
  return Uint8Array.from(Buffer.concat([Uint8Array.of(SEAL_VERSION), nonce, cipher.getAuthTag(), body]));
}

function open(key: Buffer, sealed: Uint8Array, context: string): Uint8Array {
  const bodyAt = 1 + NONCE_BYTES + TAG_BYTES;
  if (sealed.length < bodyAt || sealed[0] !== SEAL_VERSION) throw new SealBroken("not sealed by this version");
  const nonce = sealed.subarray(1, 1 + NONCE_BYTES);
  const decipher = createDecipheriv("aes-256-gcm", key, nonce, { authTagLength: TAG_BYTES });
  decipher.setAAD(Buffer.from(context, "utf8"));
  decipher.setAuthTag(sealed.subarray(1 + NONCE_BYTES, bodyAt));
  try {
    return Uint8Array.from(Buffer.concat([decipher.update(sealed.subarray(bodyAt)), decipher.final()]));
  } catch (cause) {
    throw new SealBroken("sealed under another secret or context, or altered", { cause });
  }
}
