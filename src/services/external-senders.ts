// The application's external senders, a key a ciphersuite: made when a suite is first allowed, stored
// sealed in the application's actor, published by application.get (RFC 9750 §7). Signs Removes only (M6).
import type { ExternalSenderRecord } from "../actors/application-machine.ts";
import { senderPart } from "../actors/application-machine.ts";
import { generateExternalSender, signRemoveProposal } from "../mls/external-sender.ts";
import { isCiphersuite, type Ciphersuite } from "../mls/suites.ts";
import { decode } from "../protocol/codec.ts";
import { applicationAddress } from "./application-directory.ts";
import type { Secrets } from "./secrets.ts";
import { placeOf, type ServicePorts } from "./service-ports.ts";

export interface SenderKey {
  readonly publicKey: Uint8Array;
  signRemove(fields: {
    readonly groupId: Uint8Array;
    readonly epoch: bigint;
    readonly senderIndex: number;
    readonly removed: number;
  }): Uint8Array;
}

const SENDERS_MAX = 7;

export class ExternalSenders {
  readonly #ports: ServicePorts;
  readonly #secrets: Secrets;

  constructor(ports: ServicePorts, secrets: Secrets) {
    this.#ports = ports;
    this.#secrets = secrets;
  }

  /** Fresh records for suites that have none yet. */
  make(applicationId: string, ciphersuites: readonly number[]): ExternalSenderRecord[] {
    return ciphersuites.filter(isCiphersuite).map((ciphersuite) => {
      const { externalSender, publicKey, privateKey } = generateExternalSender(ciphersuite, `aegis:${applicationId}`);
      const sealedKey = this.#secrets.seal(privateKey, contextOf(applicationId, ciphersuite));
      return { ciphersuite, externalSender, publicKey, sealedKey };
    });
  }

  async list(applicationId: string): Promise<ExternalSenderRecord[]> {
    const { shard, actor } = placeOf(this.#ports.store, applicationAddress(applicationId));
    const parts = await this.#ports.store.listParts(shard, actor, { prefix: senderPart(""), limit: SENDERS_MAX });
    return parts.map(({ bytes }) => decode(bytes) as ExternalSenderRecord);
  }

  async key(applicationId: string, ciphersuite: Ciphersuite): Promise<SenderKey | undefined> {
    const record = (await this.list(applicationId)).find((sender) => sender.ciphersuite === ciphersuite);
    if (record === undefined) return undefined;
    const { publicKey, sealedKey } = record;
    return {
      publicKey,
      signRemove: (fields) => {
        const privateKey = this.#secrets.open(sealedKey, contextOf(applicationId, ciphersuite));
        return signRemoveProposal({ ...fields, ciphersuite, privateKey });
      },
    };
  }
}

function contextOf(applicationId: string, ciphersuite: number): string {
  return `external sender ${applicationId} ${String(ciphersuite)}`;
}
