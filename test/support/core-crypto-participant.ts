// A member on @wireapp/core-crypto, which runs in a process of its own. Its Welcomes and GroupInfos hold the tree,
// and it takes a tree from nowhere else.
import { randomBytes } from "node:crypto";
import { decodeExternalSender } from "ts-mls";
import type { AegisClient } from "../../src/client/client.ts";
import { basicCredential } from "./app-world.ts";
import type { CommitBundle } from "./core-crypto-messages.ts";
import type { CoreCryptoProcess } from "./core-crypto-process.ts";
import {
  claimPackages,
  EXPORTER,
  mlsMessage,
  newestWelcome,
  publishPackages,
  Seat,
  type Participant,
} from "./participant.ts";

const WIRE_FORMAT_KEY_PACKAGE = 5;
const MLS_MESSAGE_HEADER_BYTES = 4;

export class CoreCryptoParticipant implements Participant {
  readonly clientId: string;
  readonly identity: Uint8Array;
  readonly #client: AegisClient;
  readonly #process: CoreCryptoProcess;
  readonly #name: string;
  readonly #ciphersuite: number;
  #seat: Seat | undefined;

  private constructor(
    client: AegisClient,
    coreCrypto: CoreCryptoProcess,
    own: {
      readonly name: string;
      readonly ciphersuite: number;
      readonly identity: Uint8Array;
      readonly clientId: string;
    },
  ) {
    this.#client = client;
    this.#process = coreCrypto;
    this.#name = own.name;
    this.#ciphersuite = own.ciphersuite;
    this.identity = own.identity;
    this.clientId = own.clientId;
    coreCrypto.submitBy(this.#name, (bundle) => this.#submit(bundle));
  }

  /** @param name of this client in its process */
  static async register(
    client: AegisClient,
    coreCrypto: CoreCryptoProcess,
    name: string,
    ciphersuite: number,
  ): Promise<CoreCryptoParticipant> {
    const { identity } = await coreCrypto.call("createClient", { client: name, ciphersuite });
    const { clientId } = await client.identity.create({ clientIdentity: basicCredential(identity) });
    return new CoreCryptoParticipant(client, coreCrypto, { name, ciphersuite, identity, clientId });
  }

  async publish(): Promise<void> {
    await publishPackages(this.#client, this.clientId, await this.keyPackages(1));
  }

  /** As MLSMessages; core-crypto gives the bare struct. */
  async keyPackages(count: number): Promise<Uint8Array[]> {
    const made = await this.#process.call("keyPackages", { client: this.#name, count });
    return made.map((keyPackage) => mlsMessage(WIRE_FORMAT_KEY_PACKAGE, keyPackage));
  }

  /** core-crypto makes a GroupInfo with a commit only: the back-end meets the group at epoch 1. */
  async found(externalSender?: Uint8Array): Promise<Uint8Array> {
    const groupId = Uint8Array.from(randomBytes(16));
    // It takes the key alone, and writes a credential of its own beside it.
    const decoded = externalSender && decodeExternalSender(externalSender, 0)?.[0];
    const sender = decoded && { externalSenderKey: decoded.signaturePublicKey };
    await this.#process.call("createGroup", { client: this.#name, groupId, ...sender });
    this.#process.submitBy(this.#name, async ({ groupInfo }) => {
      await this.#client.group.create({ groupInfo, as: this.clientId });
    });
    await this.#process.call("update", { client: this.#name, groupId });
    this.#process.submitBy(this.#name, (bundle) => this.#submit(bundle));
    this.#seat = new Seat(this.#client, this.clientId, groupId, 0);
    return groupId;
  }

  async add(others: readonly Participant[]): Promise<void> {
    const claimed = await claimPackages(
      this.#client,
      this.#ciphersuite,
      others.map(({ clientId }) => clientId),
    );
    const keyPackages = claimed.map((message) => message.slice(MLS_MESSAGE_HEADER_BYTES));
    await this.#process.call("add", { ...this.#here(), keyPackages });
  }

  async remove(other: Participant): Promise<void> {
    await this.#process.call("remove", { ...this.#here(), identities: [other.identity] });
  }

  async update(): Promise<void> {
    await this.#process.call("update", this.#here());
  }

  async commitPending(): Promise<void> {
    await this.#process.call("commitPending", this.#here());
  }

  async joinFromInbox(): Promise<void> {
    const { welcome, after, groupId } = await newestWelcome(this.#client, this.clientId);
    await this.#process.call("joinFromWelcome", { client: this.#name, welcome });
    this.#seat = new Seat(this.#client, this.clientId, groupId, after.offset);
  }

  async joinFromOutside(groupId: Uint8Array): Promise<void> {
    const { groupInfo, position } = await this.#client.group.get({ groupId, include: ["groupInfo"] });
    if (groupInfo === undefined) throw new Error("the group has no GroupInfo");
    this.#seat = new Seat(this.#client, this.clientId, groupId, position.offset);
    // Its only call that wants the bare struct.
    const struct = groupInfo.slice(MLS_MESSAGE_HEADER_BYTES);
    await this.#process.call("joinExternally", { client: this.#name, groupInfo: struct });
  }

  /** As a device that lost the group: it can only come back by itself. */
  async forget(): Promise<void> {
    await this.#process.call("forget", this.#here());
  }

  async send(text: string): Promise<void> {
    const data = new TextEncoder().encode(text);
    await this.#there().send(await this.#process.call("encrypt", { ...this.#here(), data }));
  }

  async catchUp(): Promise<string[]> {
    const texts: string[] = [];
    for (const { body } of await this.#there().unread()) {
      const { message } = body as { readonly message: Uint8Array };
      const data = await this.#process.call("receive", { ...this.#here(), message });
      if (data !== undefined) texts.push(Buffer.from(data).toString());
    }
    return texts;
  }

  epoch(): Promise<bigint> {
    return this.#process.call("epoch", this.#here());
  }

  async secret(): Promise<string> {
    const secret = await this.#process.call("exportSecret", { ...this.#here(), length: EXPORTER.length });
    return Buffer.from(secret).toString("hex");
  }

  async #submit({ commit, welcome, groupInfo }: CommitBundle): Promise<void> {
    await this.#there().commit({ commit, groupInfo, ...(welcome === undefined ? {} : { welcomes: [welcome] }) });
  }

  #here(): { readonly client: string; readonly groupId: Uint8Array } {
    return { client: this.#name, groupId: this.#there().groupId };
  }

  #there(): Seat {
    if (this.#seat === undefined) throw new Error("no member yet");
    return this.#seat;
  }
}
