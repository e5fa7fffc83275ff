// A member on ts-mls 1.6.4 that meets other implementations: it sends the tree with Welcome and GroupInfo for those
// that take it from nowhere else, and itself takes it from `group.tree`.
import { randomBytes } from "node:crypto";
import { mlsExporter } from "ts-mls";
import type { AegisClient } from "../../src/client/client.ts";
import type { GroupEvents } from "../../src/protocol/schemas/events.ts";
import { createDevice, type Device } from "./devices.ts";
import type { ClientCiphersuite } from "./mls-client.ts";
import { keyPackageIn, vector, withoutLength } from "./mls-encoding.ts";
import type { CommitOptions, MlsGroup } from "./mls-group.ts";
import { claimPackages, EXPORTER, newestWelcome, publishPackages, Seat, type Participant } from "./participant.ts";

const FOR_OTHERS = { ratchetTree: true, externalPub: "rfc" } as const;

export class TsMlsParticipant implements Participant {
  readonly clientId: string;
  readonly identity: Uint8Array;
  readonly #client: AegisClient;
  readonly #device: Device;
  #group: MlsGroup | undefined;
  #seat: Seat | undefined;

  private constructor(client: AegisClient, device: Device) {
    this.#client = client;
    this.#device = device;
    this.clientId = device.clientId;
    this.identity = new TextEncoder().encode(device.mls.identity);
  }

  static async register(
    client: AegisClient,
    identity: string,
    ciphersuite: ClientCiphersuite,
  ): Promise<TsMlsParticipant> {
    return new TsMlsParticipant(client, await createDevice(client, identity, { ciphersuite }));
  }

  get group(): MlsGroup {
    if (this.#group === undefined) throw new Error("no member yet");
    return this.#group;
  }

  async publish(): Promise<void> {
    const { message } = await this.#device.mls.createKeyPackage();
    await publishPackages(this.#client, this.clientId, [message]);
  }

  async found(externalSender?: Uint8Array, groupId = Uint8Array.from(randomBytes(16))): Promise<Uint8Array> {
    const group = await this.#device.mls.createGroup(groupId);
    // At epoch 0 nothing depends on the context yet. ts-mls' own check would ask for its own form.
    if (externalSender !== undefined) {
      const extensionData = vector(externalSender);
      group.state.groupContext.extensions.push({ extensionType: "external_senders", extensionData });
    }
    const groupInfo = await group.groupInfo(FOR_OTHERS);
    const { position } = await this.#client.group.create({ groupInfo, as: this.clientId });
    this.#group = group;
    this.#seat = new Seat(this.#client, this.clientId, groupId, position.offset);
    return groupId;
  }

  async add(others: readonly Participant[]): Promise<void> {
    await this.addClients(others.map(({ clientId }) => clientId));
  }

  async addClients(clientIds: readonly string[]): Promise<void> {
    await this.#commit({ add: await claimPackages(this.#client, this.#device.mls.ciphersuite, clientIds) });
  }

  /** Leaves the commit to somebody else. */
  async proposeAdd(keyPackage: Uint8Array): Promise<void> {
    const proposal = await this.group.propose({ proposalType: "add", add: keyPackageIn(keyPackage) });
    await this.#there().propose(proposal);
  }

  async remove(other: Participant): Promise<void> {
    const leaf = this.group.leafOf(new TextDecoder().decode(other.identity));
    if (leaf === undefined) throw new Error("no member");
    await this.#commit({ remove: [leaf] });
  }

  async update(): Promise<void> {
    await this.#commit({});
  }

  async commitPending(): Promise<void> {
    await this.#commit({});
  }

  async joinFromInbox(): Promise<void> {
    const { welcome, after, groupId, epoch } = await newestWelcome(this.#client, this.clientId);
    const { ratchetTree } = await this.#client.group.tree({ groupId, epoch });
    this.#group = await this.#device.mls.joinFromWelcome(welcome, ratchetTree);
    this.#seat = new Seat(this.#client, this.clientId, groupId, after.offset);
  }

  async joinFromOutside(groupId: Uint8Array): Promise<void> {
    const { groupInfo, position } = await this.#client.group.get({ groupId, include: ["groupInfo"] });
    if (groupInfo === undefined) throw new Error("the group has no GroupInfo");
    const { ratchetTree } = await this.#client.group.tree({ groupId });
    const joined = await this.#device.mls.joinExternally(groupInfo, { ratchetTree });
    const seat = new Seat(this.#client, this.clientId, groupId, position.offset);
    await seat.commit({ commit: joined.commit, groupInfo: await joined.group.groupInfo(FOR_OTHERS) });
    this.#group = joined.group;
    this.#seat = seat;
  }

  async send(text: string): Promise<void> {
    await this.#there().send(await this.group.send(new TextEncoder().encode(text)));
  }

  async catchUp(): Promise<string[]> {
    const texts: string[] = [];
    for (const { body } of await this.#there().unread()) {
      const { message, ...rest } = body as GroupEvents["proposal"];
      const bySender = rest.sender?.type === "external" ? readingOneSender(this.group) : undefined;
      const received = await this.group.receive(message).finally(bySender);
      if (received.kind === "application") texts.push(Buffer.from(received.data).toString());
    }
    return texts;
  }

  epoch(): Promise<bigint> {
    return Promise.resolve(this.group.epoch);
  }

  async secret(): Promise<string> {
    const { exporterSecret } = this.group.state.keySchedule;
    const { label, length } = EXPORTER;
    const secret = await mlsExporter(exporterSecret, label, new Uint8Array(0), length, this.#device.mls.impl);
    return Buffer.from(secret).toString("hex");
  }

  async #commit(options: CommitOptions): Promise<void> {
    const pending = await this.group.commit({ ...options, ratchetTreeInWelcome: true, groupInfo: FOR_OTHERS });
    const { commit, groupInfo, welcome } = pending;
    await this.#there().commit({ commit, groupInfo, ...(welcome === undefined ? {} : { welcomes: [welcome] }) });
    pending.accept();
  }

  #there(): Seat {
    if (this.#seat === undefined) throw new Error("no member yet");
    return this.#seat;
  }
}

/**
 * ts-mls 1.6.4 reads external_senders as one struct where RFC 9420 §12.1.8.1 has a vector: it is shown the first one
 * while it looks for a proposal's sender, whose signature does not cover the context. @returns what undoes that
 */
function readingOneSender(group: MlsGroup): () => void {
  const { extensions } = group.state.groupContext;
  const extension = extensions.find(({ extensionType }) => extensionType === "external_senders");
  if (extension === undefined) throw new Error("the group has no external sender");
  const whole = extension.extensionData;
  extension.extensionData = withoutLength(whole);
  return () => {
    extension.extensionData = whole;
  };
}
