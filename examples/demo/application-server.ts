// The application server of the demo: holds the one connection to the back-end and carries bytes between it and the
// devices. It sees who is in which group, and never a key or a text.
import { AegisError, type AegisClient, type StreamEvent, type Subscription } from "aegis-mls/client";
import { Device, type PreparedCommit } from "./device.ts";
import { short, type Transcript } from "./transcript.ts";
import { until } from "./until.ts";

export interface Registered {
  readonly device: Device;
  readonly clientId: string;
}

/** KeyPackages claimed for clients that a commit is to add. */
export type Claimed = readonly {
  readonly clientId: string;
  readonly keyPackage: Uint8Array;
  readonly keyPackageRef: Uint8Array;
}[];

export interface Change {
  readonly add?: Claimed;
  readonly remove?: readonly Registered[];
}

const packagesEach = 5;

export class ApplicationServer {
  readonly #backEnd: AegisClient;
  readonly #transcript: Transcript;
  readonly #groupId: Uint8Array;
  readonly #registered = new Map<string, Registered>();
  /** Where each member of the group stands in its stream; who is in here gets its events. */
  readonly #members = new Map<string, number>();
  /** Texts that each device has decrypted, in order. */
  readonly #texts = new Map<string, string[]>();
  readonly #inboxes: Subscription;
  readonly #group: Subscription;

  constructor(backEnd: AegisClient, groupId: Uint8Array, transcript: Transcript) {
    this.#backEnd = backEnd;
    this.#groupId = groupId;
    this.#transcript = transcript;
    this.#inboxes = backEnd.subscribe();
    this.#group = backEnd.subscribe();
  }

  /** Carries events until `close`. */
  async run(): Promise<void> {
    await Promise.all([this.#carry(this.#inboxes), this.#carry(this.#group)]);
  }

  close(): void {
    this.#inboxes.close();
    this.#group.close();
  }

  async register(name: string, tags: readonly string[]): Promise<Registered> {
    const device = await Device.create(name);
    const { clientId } = await this.#backEnd.identity.create({ clientIdentity: device.credential, tags: [...tags] });
    const registered = { device, clientId };
    this.#registered.set(clientId, registered);
    await this.#inboxes.add([{ kind: "client", id: clientId }]);
    this.#transcript.line(name, `is client ${short(clientId)}…, tagged ${tags.join(", ")}`);
    return registered;
  }

  async fillPool({ device, clientId }: Registered): Promise<void> {
    const [lastResort, ...keyPackages] = await device.makeKeyPackages(1 + packagesEach);
    const { accepted } = await this.#backEnd.keyPool.publish({
      clientId,
      keyPackages,
      ...(lastResort && { lastResort }),
    });
    this.#transcript.line(device.name, `publishes ${accepted.length} key packages, one of them a last resort`);
  }

  async createGroup({ device, clientId }: Registered): Promise<void> {
    const created = await device.createGroup(this.#groupId);
    const { position } = await this.#backEnd.group.create({ ...created, as: clientId });
    this.#members.set(clientId, position.offset);
    await this.#group.add([{ kind: "group", id: this.#groupId, after: position }]);
    this.#transcript.line(device.name, `creates the group ${short(this.#groupId)}… at epoch 0`);
  }

  prepare({ device }: Registered, { add = [], remove = [] }: Change): Promise<PreparedCommit> {
    return device.commit({
      add: add.map((claimed) => claimed.keyPackage),
      remove: remove.map((member) => member.device.name),
    });
  }

  /** Submits a prepared commit. The back-end sees by itself who comes and goes. @returns why it was refused */
  async submit(by: Registered, { commit, welcomes, groupInfo }: PreparedCommit): Promise<AegisError | undefined> {
    const groupId = this.#groupId;
    try {
      const { epoch } = await this.#backEnd.group.commit({
        groupId,
        commit,
        welcomes: [...welcomes],
        groupInfo,
        as: by.clientId,
      });
      this.#transcript.line(by.device.name, `commits; epoch ${epoch} begins`);
      await until(`${by.device.name} is at epoch ${epoch}`, () => by.device.epoch >= epoch);
      return undefined;
    } catch (error) {
      if (error instanceof AegisError && !error.retryable) return error;
      throw error;
    }
  }

  async send(by: Registered, text: string): Promise<void> {
    const message = await by.device.encrypt(text);
    await this.#backEnd.group.send({ groupId: this.#groupId, message, as: by.clientId });
  }

  textsOf({ clientId }: Registered): readonly string[] {
    return this.#texts.get(clientId) ?? [];
  }

  isMember({ clientId }: Registered): boolean {
    return this.#members.has(clientId);
  }

  get members(): readonly Registered[] {
    return [...this.#members.keys()].map((clientId) => this.#of(clientId));
  }

  async #carry(subscription: Subscription): Promise<void> {
    for await (const item of subscription) {
      if (item.kind === "reset") throw new Error(`A stream broke: ${item.reason}`);
      if (item.stream.kind === "group") await this.#toMembers(item);
      else await this.#toInbox(this.#of(item.stream.id), item);
    }
  }

  async #toInbox(to: Registered, event: StreamEvent): Promise<void> {
    if (event.type === "welcome") {
      const { welcome, keyPackageRef, epoch, after } = event.body;
      const { ratchetTree } = await this.#backEnd.group.tree({ groupId: this.#groupId, epoch });
      await to.device.join(welcome, keyPackageRef, ratchetTree);
      this.#members.set(to.clientId, after.offset);
      this.#transcript.line(to.device.name, `finds a Welcome in its inbox and joins at epoch ${epoch}`);
    } else if (event.type === "removed") {
      this.#members.delete(to.clientId);
      this.#transcript.line(to.device.name, `finds in its inbox that it was removed with epoch ${event.body.epoch}`);
    }
    this.#inboxes.acknowledge(event);
  }

  async #toMembers(event: StreamEvent): Promise<void> {
    if (event.type !== "commit" && event.type !== "application") return;
    for (const [clientId, offset] of this.#members) {
      // A member begins behind the commit that added it.
      if (event.offset <= offset) continue;
      const received = await this.#of(clientId).device.receive(event.body.message);
      if (this.#members.has(clientId)) this.#members.set(clientId, event.offset);
      if (received.kind === "text") this.#texts.set(clientId, [...(this.#texts.get(clientId) ?? []), received.text]);
    }
  }

  #of(clientId: string): Registered {
    const registered = this.#registered.get(clientId);
    if (registered === undefined) throw new Error(`nobody here is client ${clientId}`);
    return registered;
  }
}
