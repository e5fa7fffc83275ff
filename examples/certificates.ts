// An application whose clients show certificates, and what its MLS clients need to judge each other by.
import { readFileSync } from "node:fs";
import { connect } from "aegis-mls/client";
import { createAuthenticationService, createIdentityProvider } from "aegis-mls/identity";

const url = process.env["AEGIS_URL"] ?? "ws://127.0.0.1:7400";
const operator = await connect({ url, token: process.env["AEGIS_OPERATOR_KEY"] ?? "" });
const { key } = await operator.application.create({
  name: "with certificates",
  settings: {
    identityProvider: {
      type: "x509",
      trustAnchors: [Uint8Array.from(readFileSync(process.env["ROOT_DER"] ?? "root.der"))],
      deviceHandleRange: { start: 0, end: 0 }, // the leaf's common name
      supportsAccounts: true,
      accountHandleOffset: 1, // the common name of who certified it
      supportsDomains: true,
      domainNameOffset: 2,
    },
  },
});
await operator.close();

const aegis = await connect({ url, token: key.secret });
const { settings, externalSenders } = await aegis.application.get({});
await aegis.close();

// The application server hands settings and external senders on; an MLS client makes this of them for ts-mls.
const authService = createAuthenticationService(createIdentityProvider(settings.identityProvider), {
  externalSenders: externalSenders.map(({ externalSender }) => externalSender),
});
const nobody = { credentialType: "basic", identity: new TextEncoder().encode("nobody") };
console.log(await authService.validateCredential(nobody, new Uint8Array(32))); // false
