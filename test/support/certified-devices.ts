// Registered MLS clients with x509 credentials: their certificates come from recipes, their keys are the certificates'.
import type { AegisClient, ParamsInput } from "../../src/client/client.ts";
import { signatureKeyPair, type CertificateWorld } from "./certificates.ts";
import type { Device } from "./devices.ts";
import { MlsClient, type MlsClientOptions } from "./mls-client.ts";
import { MlsGroup } from "./mls-group.ts";
import type { CaseSettings } from "./identity-provider-case.ts";
import { settingsOf } from "./identity-provider-case.ts";

/** What else a client is told; its keys are the certificate's where none are given. */
export type CertifiedOptions = Omit<MlsClientOptions, "identity" | "certificates">;

/** @param chain names of recipes, the leaf first */
export function certifiedClient(
  certificates: CertificateWorld,
  chain: readonly string[],
  options: CertifiedOptions = {},
): Promise<MlsClient> {
  const [leaf = ""] = chain;
  return MlsClient.create({
    identity: leaf,
    certificates: certificates.ders(chain),
    signatureKeyPair: signatureKeyPair(certificates.get(leaf)),
    ...options,
  });
}

export async function certifiedDevice(
  client: AegisClient,
  certificates: CertificateWorld,
  chain: readonly string[],
  options: CertifiedOptions = {},
): Promise<Device> {
  const mls = await certifiedClient(certificates, chain, options);
  const { clientId } = await client.identity.create({ clientIdentity: mls.credential });
  return { mls, clientId };
}

/** The setting `identityProvider` of an application. */
export function x509Provider(
  certificates: CertificateWorld,
  settings: CaseSettings,
): NonNullable<NonNullable<ParamsInput<"application.create">["settings"]>["identityProvider"]> {
  const { trustAnchors, ...rest } = settingsOf(certificates, settings);
  return { type: "x509", trustAnchors: [...trustAnchors], ...rest };
}

/**
 * The same membership with another certificate for the same key: what the next commit's path carries. ts-mls takes
 * the credential of a path from the tree, where the path replaces it.
 */
export function withCertificates({ state }: MlsGroup, mls: MlsClient, chain: readonly Uint8Array[]): MlsGroup {
  const at = 2 * state.privatePath.leafIndex;
  const ratchetTree = state.ratchetTree.map((node, index) =>
    index === at && node?.nodeType === "leaf"
      ? { ...node, leaf: { ...node.leaf, credential: { credentialType: "x509" as const, certificates: [...chain] } } }
      : node,
  );
  return new MlsGroup(mls.impl, { ...state, ratchetTree });
}
