// A member of a group whatever library it runs on: registers, publishes, commits, joins and reads, and nothing
// passes between two of them but through the server. Each library has a file of its own.
import { setTimeout as delay } from "node:timers/promises";
import type { AegisClient, ParamsInput, Result } from "../../src/client/client.ts";
import type { GroupEvents, InboxEvents } from "../../src/protocol/schemas/events.ts";
import { groupEvents, inboxEvents, type ReadEvent } from "./members.ts";

type Commit = Omit<ParamsInput<"group.commit">, "groupId" | "as">;

export interface Participant {
  readonly clientId: string;
  /** As in its basic credential. */
  readonly identity: Uint8Array;
  /** Publishes one package. */
  publish(): Promise<void>;
  /** Creates a group at the back-end, perhaps with an ExternalSender of `application.get`. @returns its id */
  found(externalSender?: Uint8Array): Promise<Uint8Array>;
  /** With packages that the back-end hands out. */
  add(others: readonly Participant[]): Promise<void>;
  remove(other: Participant): Promise<void>;
  update(): Promise<void>;
  /** Commits the proposals that it has received. */
  commitPending(): Promise<void>;
  /** By the newest Welcome in its inbox. */
  joinFromInbox(): Promise<void>;
  joinFromOutside(groupId: Uint8Array): Promise<void>;
  send(text: string): Promise<void>;
  /** Processes what others have sent since. @returns the application data */
  catchUp(): Promise<string[]>;
  epoch(): Promise<bigint>;
  /** What the group's key schedule exports under the label "exporter": equal among its members, and nobody else. */
  secret(): Promise<string>;
}

const WELCOME_WITHIN_MS = 20_000;

export const EXPORTER = { label: "exporter", length: 32 } as const;

/** One client's place in one group's log, and its calls about that group. */
export class Seat {
  readonly groupId: Uint8Array;
  readonly #client: AegisClient;
  readonly #clientId: string;
  readonly #own = new Set<string>();
  #seen: number;

  /** @param seen the offset after which it is a member */
  constructor(client: AegisClient, clientId: string, groupId: Uint8Array, seen: number) {
    this.#client = client;
    this.#clientId = clientId;
    this.groupId = groupId;
    this.#seen = seen;
  }

  async commit(commit: Commit): Promise<Result<"group.commit">> {
    const as = this.#clientId;
    const accepted = await this.#client.group.commit({ ...commit, groupId: this.groupId, as });
    this.#own.add(keyOf(commit.commit));
    return accepted;
  }

  async propose(proposal: Uint8Array): Promise<void> {
    await this.#client.group.propose({ groupId: this.groupId, proposal, as: this.#clientId });
    this.#own.add(keyOf(proposal));
  }

  async send(message: Uint8Array): Promise<void> {
    await this.#client.group.send({ groupId: this.groupId, message, as: this.#clientId });
    this.#own.add(keyOf(message));
  }

  /** Handshakes and messages of others that were not given out before. */
  async unread(): Promise<ReadEvent<GroupEvents>[]> {
    const events = (await groupEvents(this.#client, this.groupId)).filter(({ offset }) => offset > this.#seen);
    this.#seen = events.at(-1)?.offset ?? this.#seen;
    return events.filter(({ body }) => "message" in body && !this.#own.has(keyOf(body.message)));
  }
}

/** Packages of clients, one each, as MLSMessages. @throws Error when the back-end has none of somebody */
export async function claimPackages(
  client: AegisClient,
  ciphersuite: number,
  clientIds: readonly string[],
): Promise<Uint8Array[]> {
  const targets = clientIds.map((clientId) => ({ clientId }));
  const { claimed, failed } = await client.keyPool.claim({ targets, ciphersuites: [ciphersuite] });
  if (failed.length > 0) throw new Error(`not claimed: ${failed.map(({ reason }) => reason).join()}`);
  return claimed.map(({ keyPackage }) => keyPackage);
}

export async function publishPackages(client: AegisClient, clientId: string, packages: Uint8Array[]): Promise<void> {
  const { rejected } = await client.keyPool.publish({ clientId, keyPackages: packages });
  if (rejected.length > 0) throw new Error(`not published: ${rejected.map(({ reason }) => reason).join()}`);
}

export async function newestWelcome(client: AegisClient, clientId: string): Promise<InboxEvents["welcome"]> {
  const until = performance.now() + WELCOME_WITHIN_MS;
  for (;;) {
    const events = await inboxEvents(client, clientId);
    const welcome = events.filter(({ type }) => type === "welcome").at(-1);
    if (welcome !== undefined) return welcome.body as InboxEvents["welcome"];
    if (performance.now() > until) throw new Error(`no Welcome within ${WELCOME_WITHIN_MS} ms`);
    await delay(20);
  }
}

/** §6: the version and the wire format, then the struct. */
export function mlsMessage(wireFormat: number, struct: Uint8Array): Uint8Array {
  return Uint8Array.from([0, 1, 0, wireFormat, ...struct]);
}

function keyOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64");
}
