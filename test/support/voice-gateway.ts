// An application's own external sender, as DAVE's voice gateway is one: it proposes who enters and who leaves, and
// is no member. Its key is the application's; the back-end's own external sender has no part in it.
import { encodeExternalSender, encodeMlsMessage, proposeExternal, type Proposal } from "ts-mls";
import type { AegisClient } from "../../src/client/client.ts";
import { MlsClient, type ClientCiphersuite } from "./mls-client.ts";
import type { MlsGroup } from "./mls-group.ts";

export class VoiceGateway {
  readonly #client: AegisClient;
  readonly #mls: MlsClient;

  private constructor(client: AegisClient, mls: MlsClient) {
    this.#client = client;
    this.#mls = mls;
  }

  static async create(client: AegisClient, ciphersuite: ClientCiphersuite): Promise<VoiceGateway> {
    return new VoiceGateway(client, await MlsClient.create({ identity: "voice gateway", ciphersuite }));
  }

  /** The ExternalSender struct. */
  get externalSender(): Uint8Array {
    const identity = new TextEncoder().encode(this.#mls.identity);
    const credential = { credentialType: "basic" as const, identity };
    return encodeExternalSender({ signaturePublicKey: this.#mls.signatureKey, credential });
  }

  /** Hands the back-end a proposal for the group's present epoch. */
  async propose(group: MlsGroup, proposal: Proposal): Promise<void> {
    // ts-mls 1.6.4 looks for itself in a single struct; what an external sender signs holds no context.
    const extensions = [{ extensionType: "external_senders" as const, extensionData: this.externalSender }];
    const groupInfo = {
      groupContext: { ...group.state.groupContext, extensions },
      extensions: [],
      confirmationTag: new Uint8Array(0),
      signer: 0,
      signature: new Uint8Array(0),
    };
    const { signatureKey, signaturePrivateKey, impl } = this.#mls;
    const message = await proposeExternal(groupInfo, proposal, signatureKey, signaturePrivateKey, impl);
    await this.#client.group.propose({ groupId: group.groupId, proposal: encodeMlsMessage(message) });
  }
}
