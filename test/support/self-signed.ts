// A certificate for 127.0.0.1 that openssl makes and signs with its own key, and how a Redis is told of it.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";

export interface SelfSigned {
  readonly pem: string;
  /** Of redis-server and sentinels, by name. */
  readonly settings: Readonly<Record<string, string>>;
}

export async function selfSigned(dir: string): Promise<SelfSigned> {
  const [key, certificate] = [join(dir, "key.pem"), join(dir, "cert.pem")];
  const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"];
  const words = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", key, "-out", certificate];
  assert.equal(spawnSync("openssl", [...words, ...subject]).status, 0);
  const files = { "tls-cert-file": certificate, "tls-key-file": key, "tls-ca-cert-file": certificate };
  return { pem: await readFile(certificate, "utf8"), settings: { ...files, "tls-auth-clients": "no" } };
}
