// The certificate with which the port for application servers and other nodes shows itself, where it speaks TLS. Looks
// again at its files now and then: certificates are renewed while servers run. Never keeps one that does not fit its key.
import { readFileSync } from "node:fs";
import { createPrivateKey, X509Certificate } from "node:crypto";
import { createSecureContext } from "node:tls";

export interface CertificateFiles {
  /** PEM: the server's certificate first, then those that lead to its authority. */
  readonly certFile: string;
  /** PEM, not encrypted. */
  readonly keyFile: string;
}

export interface CertificateEvents {
  /** It is shown from now on. @param validUntilMs epoch milliseconds */
  certificateUsed(validUntilMs: number): void;
  /** The files can't be used; the earlier certificate stands. */
  certificateRefused(error: unknown): void;
}

/** A file can't be used; the message says which, and nothing of what it holds. */
export class CertificateRefused extends Error {
  override readonly name = "CertificateRefused";
}

interface Pem {
  readonly cert: string;
  readonly key: string;
}

const LOOK_MS = 5_000;
const CERTIFICATE_BLOCK = /^-----BEGIN (X509 |TRUSTED )?CERTIFICATE-----/;

export class ServerCertificate {
  readonly #files: CertificateFiles;
  readonly #events: CertificateEvents;
  #pem: Pem;
  /** What was refused is refused once, until it changes. */
  #seen: Pem;
  #looks: NodeJS.Timeout | undefined;

  /** @throws CertificateRefused saying which file can't be used */
  constructor(files: CertificateFiles, events: CertificateEvents) {
    this.#files = files;
    this.#events = events;
    this.#pem = this.#seen = read(files);
    this.#events.certificateUsed(check(this.#pem));
  }

  get pem(): Pem {
    return this.#pem;
  }

  /** Calls `renewed` when the files hold another certificate, until `stop`. */
  watch(renewed: (pem: Pem) => void): void {
    this.#looks = setInterval(() => {
      if (this.#look()) renewed(this.#pem);
    }, LOOK_MS);
    this.#looks.unref();
  }

  stop(): void {
    clearInterval(this.#looks);
  }

  /** True when there is a new one. */
  #look(): boolean {
    try {
      const found = read(this.#files);
      if (found.cert === this.#seen.cert && found.key === this.#seen.key) return false;
      this.#seen = found;
      this.#events.certificateUsed(check(found));
      this.#pem = found;
      return true;
    } catch (error) {
      this.#events.certificateRefused(error);
      return false;
    }
  }
}

function read({ certFile, keyFile }: CertificateFiles): Pem {
  return { cert: readPem("tlsCertFile", certFile), key: readPem("tlsKeyFile", keyFile) };
}

/** @param setting which names the file @throws CertificateRefused when it can't be read */
function readPem(setting: string, file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw new CertificateRefused(`${setting} can't be read: ${(error as NodeJS.ErrnoException).code ?? "unknown"}`);
  }
}

/** @param setting which names the file @throws CertificateRefused when it can't be read, or is no PEM file of certificates */
export function readAuthority(setting: string, file: string): string {
  const text = readPem(setting, file);
  const certificates = text.split(/(?=-----BEGIN )/).filter((block) => CERTIFICATE_BLOCK.test(block));
  // TLS itself passes over what it can't read: every connection would be refused later, and nobody would know why.
  if (certificates.length === 0 || !certificates.every(isCertificate)) {
    throw new CertificateRefused(`${setting} holds no certificate, or one that can't be read: it must be PEM`);
  }
  return text;
}

function isCertificate(block: string): boolean {
  try {
    new X509Certificate(block);
    return true;
  } catch {
    // The decoder's own words tell nobody what to do.
    return false;
  }
}

/** Until when it is valid. @throws CertificateRefused for half of a renewal, say: the certificate is new and the key is not */
function check(pem: Pem): number {
  try {
    createSecureContext(pem);
    const certificate = new X509Certificate(pem.cert);
    if (certificate.checkPrivateKey(createPrivateKey(pem.key))) return Date.parse(certificate.validTo);
  } catch {
    // Not as the cause: it may hold the key's text.
  }
  throw new CertificateRefused("tlsCertFile and tlsKeyFile hold no certificate with its key, as PEM");
}
