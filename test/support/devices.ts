// Registered MLS clients for tests of the services: an identity, and key packages, good and spoilt.
import { decodeMlsMessage, encodeMlsMessage, type KeyPackage } from "ts-mls";
import { signKeyPackage, type KeyPackageTBS } from "ts-mls/keyPackage.js";
import type { AegisClient } from "../../src/client/client.ts";
import { MlsClient, type ClientCiphersuite, type KeyPackageOptions } from "./mls-client.ts";

export interface Device {
  readonly mls: MlsClient;
  readonly clientId: string;
}

export interface DeviceOptions {
  readonly tags?: string[];
  readonly ciphersuite?: ClientCiphersuite;
}

export async function createDevice(
  client: AegisClient,
  identity: string,
  { tags = [], ciphersuite = 1 }: DeviceOptions = {},
): Promise<Device> {
  const mls = await MlsClient.create({ identity, ciphersuite });
  const { clientId } = await client.identity.create({ clientIdentity: mls.credential, tags });
  return { mls, clientId };
}

/** As MLSMessages; the private halves stay with the device. */
export async function keyPackages(
  mls: MlsClient,
  count: number,
  options: KeyPackageOptions = {},
): Promise<Uint8Array[]> {
  const made = await Promise.all(Array.from({ length: count }, () => mls.createKeyPackage(options)));
  return made.map(({ message }) => message);
}

/** The same package with a change; signed anew by the device, but for its leaf node. */
export async function changedKeyPackage(
  mls: MlsClient,
  message: Uint8Array,
  change: (tbs: KeyPackageTBS) => KeyPackageTBS,
): Promise<Uint8Array> {
  const tbs = change(keyPackageOf(message));
  return messageOf(await signKeyPackage(tbs, mls.signaturePrivateKey, mls.impl.signature));
}

export function keyPackageOf(message: Uint8Array): KeyPackage {
  const [decoded] = decodeMlsMessage(Uint8Array.from(message), 0) ?? [];
  if (decoded?.wireformat !== "mls_key_package") throw new Error("not a KeyPackage");
  return decoded.keyPackage;
}

function messageOf(keyPackage: KeyPackage): Uint8Array {
  return encodeMlsMessage({ version: "mls10", wireformat: "mls_key_package", keyPackage });
}

export function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
