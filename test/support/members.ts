// Members of groups for tests of the services: real MLS clients that go by PROTOCOL.md alone. They create, commit,
// join by their inboxes and catch up from their epoch; nothing passes between them but through the server.
import { randomBytes } from "node:crypto";
import type { AegisClient, ParamsInput, Result } from "../../src/client/client.ts";
import { eventBody } from "../../src/client/client.ts";
import type { GroupEvents, InboxEvents } from "../../src/protocol/schemas/events.ts";
import type { Device } from "./devices.ts";
import type { CommitOptions, MlsGroup, PendingCommit } from "./mls-group.ts";

export type CommitParams = ParamsInput<"group.commit">;

export interface ReadEvent<E> {
  readonly offset: number;
  readonly type: keyof E;
  readonly body: E[keyof E];
}

/** One device in one group. */
export class Member {
  readonly client: AegisClient;
  readonly device: Device;
  readonly group: MlsGroup;

  constructor(client: AegisClient, device: Device, group: MlsGroup) {
    this.client = client;
    this.device = device;
    this.group = group;
  }

  static async create(
    client: AegisClient,
    device: Device,
    params: Partial<ParamsInput<"group.create">> = {},
  ): Promise<Member> {
    const group = await device.mls.createGroup(Uint8Array.from(randomBytes(16)));
    await client.group.create({
      groupInfo: await group.groupInfo(),
      ratchetTree: group.ratchetTree(),
      tracking: "ordering",
      as: device.clientId,
      ...params,
    });
    return new Member(client, device, group);
  }

  /** Joins with the newest Welcome in the inbox and the tree that the server keeps beside it. */
  static async join(client: AegisClient, device: Device): Promise<Member> {
    const welcome = (await inboxEvents(client, device.clientId)).filter(({ type }) => type === "welcome").at(-1);
    if (welcome === undefined) throw new Error("no Welcome in the inbox");
    const { groupId, epoch, welcome: bytes } = welcome.body as InboxEvents["welcome"];
    const { ratchetTree } = await client.group.tree({ groupId, epoch });
    return new Member(client, device, await device.mls.joinFromWelcome(bytes, ratchetTree));
  }

  get groupId(): Uint8Array {
    return this.group.groupId;
  }

  /** What `group.commit` is asked for a pending commit, tree and GroupInfo included. */
  params(pending: PendingCommit, more: Partial<CommitParams> = {}): CommitParams {
    return {
      groupId: this.groupId,
      commit: pending.commit,
      groupInfo: pending.groupInfo,
      ratchetTree: pending.ratchetTree,
      as: this.device.clientId,
      ...(pending.welcome === undefined ? {} : { welcomes: [pending.welcome] }),
      ...more,
    };
  }

  /** Commits, and takes the commit in when it won. @throws AegisError when it lost or was refused */
  async commit(options: CommitOptions = {}, more: Partial<CommitParams> = {}): Promise<Result<"group.commit">> {
    const pending = await this.group.commit(options);
    const result = await this.client.group.commit(this.params(pending, more));
    pending.accept();
    return result;
  }

  /** Adds devices with packages that they made just now. */
  async add(devices: readonly Device[]): Promise<Result<"group.commit">> {
    const packages = await Promise.all(devices.map(({ mls }) => mls.createKeyPackage()));
    const added = devices.map(({ clientId }, n) => ({ clientId, keyPackageRef: packages[n]?.ref as Uint8Array }));
    return this.commit({ add: packages.map(({ message }) => message) }, { added });
  }

  /** Reads the log from its own epoch and processes what others sent; application data are given back. */
  async catchUp(): Promise<string[]> {
    const data: string[] = [];
    for (const { type, body } of await groupEvents(this.client, this.groupId, { epoch: this.group.epoch })) {
      if (type !== "commit" && type !== "proposal" && type !== "application") continue;
      const received = await this.group.receive((body as GroupEvents["commit"]).message);
      if (received.kind === "application") data.push(Buffer.from(received.data).toString());
    }
    return data;
  }
}

export async function groupEvents(
  client: AegisClient,
  id: Uint8Array,
  after: { readonly epoch: bigint } | "start" = "start",
): Promise<ReadEvent<GroupEvents>[]> {
  const { events } = await client.stream.read({ kind: "group", id, after, limit: 1000 });
  return events.map(([offset, , type, body]) => {
    return { offset, type: type as keyof GroupEvents, body: checked("group", type, body) as GroupEvents["commit"] };
  });
}

export async function inboxEvents(client: AegisClient, id: string): Promise<ReadEvent<InboxEvents>[]> {
  const { events } = await client.stream.read({ kind: "client", id, limit: 1000 });
  return events.map(([offset, , type, body]) => {
    return { offset, type: type as keyof InboxEvents, body: checked("client", type, body) as InboxEvents["welcome"] };
  });
}

/** By the event's own schema. */
function checked(kind: "client" | "group", type: string, body: unknown): unknown {
  const value = eventBody(kind, type, body);
  if (value instanceof Error) throw value;
  return value;
}
