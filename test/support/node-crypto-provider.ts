// A ts-mls CryptoProvider on node:crypto for ciphersuites 1–7. For tests and the demo: ts-mls' own
// providers need packages for 3, 4 and 6 and are slow on 2, 5 and 7.
import { createHash, createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import type { CiphersuiteImpl, CryptoProvider, Kdf } from "ts-mls";
import { expand, extract, HASH_LENGTH, plain, type HashName } from "./node-hkdf.ts";
import { hpkeOf } from "./node-hpke.ts";
import { signatureOf } from "./node-signature.ts";

const HASH: Readonly<Record<"SHA-256" | "SHA-384" | "SHA-512", HashName>> = {
  "SHA-256": "sha256",
  "SHA-384": "sha384",
  "SHA-512": "sha512",
};

export const nodeCryptoProvider: CryptoProvider = {
  getCiphersuiteImpl: (suite) => {
    const hash = HASH[suite.hash];
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
      hpke: hpkeOf(suite.hpke, hash),
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
