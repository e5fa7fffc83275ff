// One MLS client: a person's device with its keys and its view of the one group. Speaks MLS only: it never meets
// the back-end, the application server carries its bytes.
import {
  acceptAll,
  createApplicationMessage,
  createCommit,
  createGroup,
  createGroupInfoWithExternalPub,
  decodeMlsMessage,
  emptyPskIndex,
  encodeMlsMessage,
  generateKeyPackage,
  getCiphersuiteFromName,
  getCiphersuiteImpl,
  joinGroup,
  processMessage,
  type Capabilities,
  type CiphersuiteImpl,
  type ClientState,
  type Credential,
  type KeyPackage,
  type MLSMessage,
  type PrivateKeyPackage,
  type Proposal,
} from "ts-mls";
import { makeKeyPackageRef } from "ts-mls/keyPackage.js";
import { decodeRatchetTree, encodeRatchetTree } from "ts-mls/ratchetTree.js";
import { breakPath } from "./broken-commit.ts";

const suiteName = "MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519";
const capabilities: Capabilities = {
  versions: ["mls10"],
  ciphersuites: [suiteName],
  extensions: [],
  proposals: [],
  credentials: ["basic"],
};
const hourSeconds = 3600n;
const lifetimeSeconds = 30n * 24n * hourSeconds;

/** A commit that nobody has accepted yet, with all that the back-end wants beside it. */
export interface PreparedCommit {
  readonly commit: Uint8Array;
  readonly welcomes: readonly Uint8Array[];
  readonly groupInfo: Uint8Array;
  /** Of use in ordering tracking alone: in full tracking the back-end keeps the tree itself. */
  readonly ratchetTree: Uint8Array;
}

export type Received =
  | { readonly kind: "own" }
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "epoch"; readonly epoch: bigint };

interface OwnKeyPackage {
  readonly publicPackage: KeyPackage;
  readonly privatePackage: PrivateKeyPackage;
}

export class Device {
  readonly name: string;
  readonly #suite: CiphersuiteImpl;
  readonly #credential: Credential;
  /** By the hex of their reference, until a Welcome uses them. */
  readonly #keyPackages = new Map<string, OwnKeyPackage>();
  /** Hex of messages that were sent and have not come back yet. */
  readonly #sent = new Set<string>();
  #state: ClientState | undefined;
  #pending: { readonly commit: string; readonly state: ClientState } | undefined;
  /** MLS state changes with every step, so steps follow one another. */
  #lastStep: Promise<unknown> = Promise.resolve();

  private constructor(name: string, suite: CiphersuiteImpl) {
    this.name = name;
    this.#suite = suite;
    this.#credential = { credentialType: "basic", identity: new TextEncoder().encode(name) };
  }

  static async create(name: string): Promise<Device> {
    return new Device(name, await getCiphersuiteImpl(getCiphersuiteFromName(suiteName)));
  }

  /** The `Credential` struct: its type, and the identity behind its length (RFC 9420 §5.3). */
  get credential(): Uint8Array {
    const identity = new TextEncoder().encode(this.name);
    if (identity.length > 63) throw new Error("A longer name needs a longer length header");
    return Uint8Array.of(0, 1, identity.length, ...identity);
  }

  /** Makes KeyPackages, keeps their private halves, and returns what may be published. */
  async makeKeyPackages(count: number, lifetime = lifetimeSeconds): Promise<Uint8Array[]> {
    const messages: Uint8Array[] = [];
    for (let made = 0; made < count; made += 1) {
      const own = await this.#makeKeyPackage(lifetime);
      this.#keyPackages.set(hex(await makeKeyPackageRef(own.publicPackage, this.#suite.hash)), own);
      messages.push(
        encodeMlsMessage({ version: "mls10", wireformat: "mls_key_package", keyPackage: own.publicPackage }),
      );
    }
    return messages;
  }

  createGroup(groupId: Uint8Array): Promise<{ groupInfo: Uint8Array; ratchetTree: Uint8Array }> {
    return this.#step(async () => {
      const own = await this.#makeKeyPackage();
      this.#state = await createGroup(groupId, own.publicPackage, own.privatePackage, [], this.#suite);
      return await this.#published(this.#state);
    });
  }

  /** Joins with the KeyPackage that the Welcome was made for; the tree comes beside it. */
  join(welcome: Uint8Array, keyPackageRef: Uint8Array, ratchetTree: Uint8Array): Promise<void> {
    return this.#step(async () => {
      const message = decode(welcome);
      const own = this.#keyPackages.get(hex(keyPackageRef));
      if (message.wireformat !== "mls_welcome" || own === undefined) {
        throw new Error(`${this.name} can't use this Welcome`);
      }
      const tree = decodeRatchetTree(ratchetTree, 0)?.[0];
      const { publicPackage, privatePackage } = own;
      this.#state = await joinGroup(message.welcome, publicPackage, privatePackage, emptyPskIndex, this.#suite, tree);
      this.#keyPackages.delete(hex(keyPackageRef));
    });
  }

  /** Commits to an update of the own path and to the changes given. Its epoch begins when it comes back (`receive`). */
  commit(changes: { add?: readonly Uint8Array[]; remove?: readonly string[] } = {}): Promise<PreparedCommit> {
    return this.#step(async () => {
      const adds = (changes.add ?? []).map((bytes): Proposal => {
        const message = decode(bytes);
        if (message.wireformat !== "mls_key_package") throw new Error("Not a KeyPackage");
        return { proposalType: "add", add: { keyPackage: message.keyPackage } };
      });
      const removes = (changes.remove ?? []).map((name): Proposal => ({
        proposalType: "remove",
        remove: { removed: this.#leafOf(name) },
      }));
      const context = { state: this.state, cipherSuite: this.#suite };
      // A PublicMessage, so that the back-end can follow the group and refuse what members would choke on.
      const made = await createCommit(context, { extraProposals: [...adds, ...removes], wireAsPublicMessage: true });
      const commit = encodeMlsMessage(made.commit);
      this.#pending = { commit: hex(commit), state: made.newState };
      const { welcome } = made;
      return {
        commit,
        welcomes: welcome ? [encodeMlsMessage({ version: "mls10", wireformat: "mls_welcome", welcome })] : [],
        ...(await this.#published(made.newState)),
      };
    });
  }

  /** What the back-end must refuse: see broken-commit. This device's own state stays as it is. */
  async brokenCommit(): Promise<PreparedCommit> {
    const prepared = await this.commit();
    return this.#step(async () => {
      this.#pending = undefined;
      return { ...prepared, commit: await breakPath(prepared.commit, this.state, this.#suite) };
    });
  }

  encrypt(text: string): Promise<Uint8Array> {
    return this.#step(async () => {
      const made = await createApplicationMessage(this.state, new TextEncoder().encode(text), this.#suite);
      this.#state = made.newState;
      const { privateMessage } = made;
      const bytes = encodeMlsMessage({ version: "mls10", wireformat: "mls_private_message", privateMessage });
      this.#sent.add(hex(bytes));
      return bytes;
    });
  }

  /** Takes in the group's next message, whoever sent it: a member can't decrypt its own, but knows its bytes. */
  receive(bytes: Uint8Array): Promise<Received> {
    return this.#step(async () => {
      if (this.#sent.delete(hex(bytes))) return { kind: "own" };
      if (this.#pending?.commit === hex(bytes)) {
        this.#state = this.#pending.state;
        this.#pending = undefined;
        return { kind: "epoch", epoch: this.epoch };
      }
      const message = decode(bytes);
      if (message.wireformat !== "mls_private_message" && message.wireformat !== "mls_public_message") {
        throw new Error("Not a message to a group");
      }
      const done = await processMessage(message, this.state, emptyPskIndex, acceptAll, this.#suite);
      this.#state = done.newState;
      if (done.kind === "applicationMessage") return { kind: "text", text: new TextDecoder().decode(done.message) };
      // Somebody else's commit won this epoch: the own one is void.
      this.#pending = undefined;
      return { kind: "epoch", epoch: this.epoch };
    });
  }

  private get state(): ClientState {
    if (this.#state === undefined) throw new Error(`${this.name} is in no group`);
    return this.#state;
  }

  get epoch(): bigint {
    return this.state.groupContext.epoch;
  }

  /** Equal for all members of an epoch, and for nobody else (RFC 9420 §8.7). */
  get epochAuthenticator(): string {
    return hex(this.state.keySchedule.epochAuthenticator);
  }

  #step<T>(work: () => Promise<T>): Promise<T> {
    const step = this.#lastStep.then(work);
    this.#lastStep = step.catch(() => undefined); // its caller hears of it; the next step goes on all the same
    return step;
  }

  async #makeKeyPackage(seconds = lifetimeSeconds): Promise<OwnKeyPackage> {
    const now = BigInt(Math.floor(Date.now() / 1000));
    const lifetime = { notBefore: now - hourSeconds, notAfter: now + seconds };
    return await generateKeyPackage(this.#credential, capabilities, lifetime, [], this.#suite);
  }

  async #published(state: ClientState): Promise<{ groupInfo: Uint8Array; ratchetTree: Uint8Array }> {
    const groupInfo = await createGroupInfoWithExternalPub(state, [], this.#suite);
    return {
      groupInfo: encodeMlsMessage({ version: "mls10", wireformat: "mls_group_info", groupInfo }),
      ratchetTree: encodeRatchetTree(state.ratchetTree),
    };
  }

  #leafOf(name: string): number {
    const identity = hex(new TextEncoder().encode(name));
    const node = this.state.ratchetTree.findIndex(
      (one) =>
        one?.nodeType === "leaf" &&
        one.leaf.credential.credentialType === "basic" &&
        hex(one.leaf.credential.identity) === identity,
    );
    if (node < 0) throw new Error(`${name} is not in the group`);
    return node / 2;
  }
}

function decode(bytes: Uint8Array): MLSMessage {
  const decoded = decodeMlsMessage(bytes, 0);
  if (decoded === undefined || decoded[1] !== bytes.length) throw new Error("Not one whole MLSMessage");
  return decoded[0];
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
