// An authority of the test's own, and server certificates that it signs: files as operators give them to a server.
import { writeFileSync } from "node:fs";
import path from "node:path";
import { EXTENSION_OID, makeCertificate, pem, type MadeCertificate } from "./certificates.ts";
import { der, DER } from "./der-writer.ts";

const DNS_NAME = 0x82;
const IP_ADDRESS = 0x87;

export class ServerAuthority {
  readonly #root: MadeCertificate = makeCertificate("authority", { scheme: "p256", ca: true }, Date.now(), none);

  /** PEM. */
  get certificate(): string {
    return pem(this.#root.der);
  }

  /** A certificate for loopback's address and this name, and its key, as `server.pem` and `server-key.pem`. */
  issue(folder: string, dnsName: string): { readonly certFile: string; readonly keyFile: string } {
    const names = der(DER.sequence, der(IP_ADDRESS, [127, 0, 0, 1]), der(DNS_NAME, Buffer.from(dnsName)));
    const extensions = [{ oid: EXTENSION_OID.subjectAltName, critical: false, value: names }];
    const recipe = { scheme: "p256", issuer: "authority", extensions } as const;
    const made = makeCertificate("server", recipe, Date.now(), () => this.#root);
    const [certFile, keyFile] = [path.join(folder, "server.pem"), path.join(folder, "server-key.pem")];
    writeFileSync(certFile, pem(made.der));
    writeFileSync(keyFile, made.privateKey.export({ format: "pem", type: "pkcs8" }));
    return { certFile, keyFile };
  }
}

function none(name: string): never {
  throw new Error(`${name} has no issuer but itself`);
}
