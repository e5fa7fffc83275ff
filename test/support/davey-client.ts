// A member on @snazzah/davey: Discord's DAVE profile of MLS on OpenMLS, suite 2 alone. It commits nothing of its own
// accord: proposals come to it, and it answers with a commit. Whole MLSMessages go in and out here.
import { DAVESession, type ProposalsOperationType } from "@snazzah/davey";
import type { AegisClient } from "../../src/client/client.ts";
import { basicCredential } from "./app-world.ts";
import { vector } from "./mls-encoding.ts";
import { mlsMessage } from "./participant.ts";

const PROTOCOL_VERSION = 1;
/** Of the two kinds of its proposals message: add these to what is pending. */
// eslint-disable-next-line @typescript-eslint/no-unsafe-enum-assignment -- a const enum can't be read here
const APPEND = 0 as ProposalsOperationType;
const WIRE_FORMAT = { welcome: 3, keyPackage: 5 } as const;
const MLS_MESSAGE_HEADER_BYTES = 4;

export class DaveyClient {
  readonly clientId: string;
  readonly #client: AegisClient;
  readonly #session: DAVESession;

  private constructor(client: AegisClient, clientId: string, session: DAVESession) {
    this.#client = client;
    this.clientId = clientId;
    this.#session = session;
  }

  /** @param externalSender the only one that it lets a group have */
  static async register(
    client: AegisClient,
    ids: { readonly user: bigint; readonly channel: bigint },
    externalSender: Uint8Array,
  ): Promise<DaveyClient> {
    const { clientId } = await client.identity.create({ clientIdentity: basicCredential(eightBytes(ids.user)) });
    const session = new DAVESession(PROTOCOL_VERSION, String(ids.user), String(ids.channel));
    session.setExternalSender(Buffer.from(externalSender));
    return new DaveyClient(client, clientId, session);
  }

  get epoch(): bigint | null {
    return this.#session.epoch;
  }

  get epochAuthenticator(): string | undefined {
    return this.#session.getEpochAuthenticator()?.toString("hex");
  }

  /** Of the users that it sees in the group. */
  get userIds(): bigint[] {
    return this.#session.getUserIds().map(BigInt);
  }

  keyPackage(): Uint8Array {
    return mlsMessage(WIRE_FORMAT.keyPackage, this.#session.getSerializedKeyPackage());
  }

  joinFromWelcome(welcome: Uint8Array): void {
    this.#session.processWelcome(Buffer.from(welcome.slice(MLS_MESSAGE_HEADER_BYTES)));
  }

  /** Takes proposals in, commits them at the back-end and goes on to the new epoch. @throws AegisError when refused */
  async commit(groupId: Uint8Array, proposals: readonly Uint8Array[]): Promise<void> {
    const { commit, welcome } = this.#session.processProposals(
      APPEND,
      Buffer.from(vector(Uint8Array.from(Buffer.concat(proposals)))),
    );
    if (commit === undefined) throw new Error("nothing to commit");
    const welcomes = welcome === undefined ? [] : [mlsMessage(WIRE_FORMAT.welcome, welcome)];
    await this.#client.group.commit({ groupId, commit, welcomes, as: this.clientId });
    this.processCommit(commit);
  }

  processCommit(commit: Uint8Array): void {
    this.#session.processCommit(Buffer.from(commit));
  }
}

/** User and channel ids as DAVE writes them into credentials and group ids. */
export function eightBytes(id: bigint): Uint8Array<ArrayBuffer> {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(id);
  return Uint8Array.from(bytes);
}
