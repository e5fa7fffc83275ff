// A small real MLS client on ts-mls 1.6.4, for tests and the demo: everything goes in and out as bytes.
// A commit does not move its sender until `accept()`: the back-end decides who wins the epoch.
import {
  acceptAll,
  createApplicationMessage,
  createCommit,
  createGroup,
  createGroupInfoWithExternalPub,
  createGroupInfoWithExternalPubAndRatchetTree,
  createProposal,
  decodeMlsMessage,
  defaultCryptoProvider,
  emptyPskIndex,
  encodeMlsMessage,
  generateKeyPackageWithKey,
  getCiphersuiteFromName,
  getCiphersuiteImpl,
  joinGroup,
  joinGroupExternal,
  processMessage,
  type Capabilities,
  type CiphersuiteImpl,
  type CiphersuiteName,
  type ClientState,
  type Credential,
  type Extension,
  type KeyPackage,
  type MLSMessage,
  type PrivateKeyPackage,
  type Proposal,
  type RatchetTree,
} from "ts-mls";
import { encode } from "ts-mls/codec/tlsEncoder.js";
import { createGroupInfo } from "ts-mls/createCommit.js";
import { credentialEncoder } from "ts-mls/credential.js";
import { makeKeyPackageRef } from "ts-mls/keyPackage.js";
import { decodeRatchetTree, ratchetTreeEncoder } from "ts-mls/ratchetTree.js";
import { nodeCryptoProvider } from "./node-crypto-provider.ts";

export const CLIENT_CIPHERSUITES = {
  1: "MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519",
  2: "MLS_128_DHKEMP256_AES128GCM_SHA256_P256",
  3: "MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519",
  4: "MLS_256_DHKEMX448_AES256GCM_SHA512_Ed448",
  5: "MLS_256_DHKEMP521_AES256GCM_SHA512_P521",
  6: "MLS_256_DHKEMX448_CHACHA20POLY1305_SHA512_Ed448",
  7: "MLS_256_DHKEMP384_AES256GCM_SHA384_P384",
} as const satisfies Record<number, CiphersuiteName>;
export type ClientCiphersuite = keyof typeof CLIENT_CIPHERSUITES;

export const LAST_RESORT_EXTENSION = 0x000a;

export interface MlsClientOptions {
  readonly identity: string;
  readonly ciphersuite?: ClientCiphersuite;
  /** Default "node": node:crypto, all suites. "ts-mls": its own, without 3, 4 and 6. */
  readonly crypto?: "node" | "ts-mls";
  /** DER certificates, the end entity first: an x509 credential instead of a basic one. */
  readonly certificates?: readonly Uint8Array[];
  readonly signatureKeyPair?: { readonly signKey: Uint8Array; readonly publicKey: Uint8Array };
}

export interface KeyPackageOptions {
  readonly nowMs?: number;
  readonly lifetimeMs?: number;
  /** Adds the last_resort extension (0x000A). */
  readonly lastResort?: boolean;
  readonly capabilities?: Partial<Capabilities>;
  readonly extensions?: readonly Extension[];
  readonly leafNodeExtensions?: readonly Extension[];
}

export interface PublishedKeyPackage {
  /** A whole MLSMessage. */
  readonly message: Uint8Array;
  readonly ref: Uint8Array;
}

interface OwnKeyPackage {
  readonly publicPackage: KeyPackage;
  readonly privatePackage: PrivateKeyPackage;
}

/** One device: an identity, a signature key for each key package, and the packages' private halves. */
export class MlsClient {
  readonly identity: string;
  readonly ciphersuite: ClientCiphersuite;
  readonly impl: CiphersuiteImpl;
  readonly #credential: Credential;
  readonly #signatureKeyPair: { readonly signKey: Uint8Array; readonly publicKey: Uint8Array };
  readonly #keyPackages = new Map<string, OwnKeyPackage>();

  private constructor(
    options: MlsClientOptions,
    impl: CiphersuiteImpl,
    signatureKeyPair: { readonly signKey: Uint8Array; readonly publicKey: Uint8Array },
  ) {
    this.identity = options.identity;
    this.ciphersuite = options.ciphersuite ?? 1;
    this.impl = impl;
    this.#signatureKeyPair = signatureKeyPair;
    this.#credential =
      options.certificates === undefined
        ? { credentialType: "basic", identity: new TextEncoder().encode(options.identity) }
        : { credentialType: "x509", certificates: [...options.certificates] };
  }

  static async create(options: MlsClientOptions): Promise<MlsClient> {
    const suite = getCiphersuiteFromName(CLIENT_CIPHERSUITES[options.ciphersuite ?? 1]);
    const provider = options.crypto === "ts-mls" ? defaultCryptoProvider : nodeCryptoProvider;
    const impl = await getCiphersuiteImpl(suite, provider);
    return new MlsClient(options, impl, options.signatureKeyPair ?? (await impl.signature.keygen()));
  }

  /** The Credential struct: what `identity.create` takes as `clientIdentity`. */
  get credential(): Uint8Array {
    return encode(credentialEncoder)(this.#credential);
  }

  get signatureKey(): Uint8Array {
    return this.#signatureKeyPair.publicKey;
  }

  get signaturePrivateKey(): Uint8Array {
    return this.#signatureKeyPair.signKey;
  }

  /** A fresh KeyPackage with a finite lifetime (28 days); its private half is kept. */
  async createKeyPackage(options: KeyPackageOptions = {}): Promise<PublishedKeyPackage> {
    const nowSeconds = BigInt(Math.floor((options.nowMs ?? Date.now()) / 1000));
    const lifetimeSeconds = BigInt(Math.floor((options.lifetimeMs ?? 28 * 24 * 3_600_000) / 1000));
    const mark = { extensionType: LAST_RESORT_EXTENSION, extensionData: new Uint8Array(0) };
    const own = await generateKeyPackageWithKey(
      this.#credential,
      { ...this.#defaultCapabilities(), ...options.capabilities },
      { notBefore: nowSeconds - 60n, notAfter: nowSeconds - 60n + lifetimeSeconds },
      [...(options.extensions ?? []), ...(options.lastResort === true ? [mark] : [])],
      this.#signatureKeyPair,
      this.impl,
      [...(options.leafNodeExtensions ?? [])],
    );
    const ref = await makeKeyPackageRef(own.publicPackage, this.impl.hash);
    this.#keyPackages.set(hexOf(ref), own);
    const message = encodeMlsMessage({
      version: "mls10",
      wireformat: "mls_key_package",
      keyPackage: own.publicPackage,
    });
    return { message, ref };
  }

  async createGroup(groupId: Uint8Array, extensions: readonly Extension[] = []): Promise<MlsGroup> {
    const { ref } = await this.createKeyPackage();
    const own = this.#ownKeyPackage(ref);
    const state = await createGroup(groupId, own.publicPackage, own.privatePackage, [...extensions], this.impl);
    return new MlsGroup(this, state);
  }

  /** Joins with whichever own key package the Welcome addresses; the tree may come beside it (`group.tree`). */
  async joinFromWelcome(welcomeMessage: Uint8Array, ratchetTree?: Uint8Array): Promise<MlsGroup> {
    const message = decodeMessage(welcomeMessage);
    if (message.wireformat !== "mls_welcome") throw new Error("not a Welcome");
    const { welcome } = message;
    const own = welcome.secrets.map(({ newMember }) => this.#keyPackages.get(hexOf(newMember))).find(Boolean);
    if (own === undefined) throw new Error("the Welcome addresses none of this client's key packages");
    const tree = ratchetTree && decodeTree(ratchetTree);
    const { publicPackage, privatePackage } = own;
    const state = await joinGroup(welcome, publicPackage, privatePackage, emptyPskIndex, this.impl, tree);
    return new MlsGroup(this, state);
  }

  /** An external commit; the caller submits `commit` and uses `group` once it is accepted. */
  async joinExternally(
    groupInfoMessage: Uint8Array,
    options: { readonly ratchetTree?: Uint8Array; readonly resync?: boolean } = {},
  ): Promise<{ readonly commit: Uint8Array; readonly group: MlsGroup; readonly groupInfo: Uint8Array }> {
    const message = decodeMessage(groupInfoMessage);
    if (message.wireformat !== "mls_group_info") throw new Error("not a GroupInfo");
    const own = this.#ownKeyPackage((await this.createKeyPackage()).ref);
    const { publicMessage, newState } = await joinGroupExternal(
      message.groupInfo,
      own.publicPackage,
      own.privatePackage,
      options.resync ?? false,
      this.impl,
      options.ratchetTree && decodeTree(options.ratchetTree),
    );
    const commit = encodeMlsMessage({ version: "mls10", wireformat: "mls_public_message", publicMessage });
    const group = new MlsGroup(this, newState);
    return { commit, group, groupInfo: await group.groupInfo() };
  }

  #ownKeyPackage(ref: Uint8Array): OwnKeyPackage {
    const own = this.#keyPackages.get(hexOf(ref));
    if (own === undefined) throw new Error("no such key package");
    return own;
  }

  #defaultCapabilities(): Capabilities {
    return {
      versions: ["mls10"],
      ciphersuites: Object.values(CLIENT_CIPHERSUITES),
      extensions: [],
      proposals: [],
      credentials: ["basic", "x509"],
    };
  }
}

export interface CommitOptions {
  /** KeyPackages, as MLSMessages. */
  readonly add?: readonly Uint8Array[];
  /** Leaf indices. */
  readonly remove?: readonly number[];
  readonly proposals?: readonly Proposal[];
  /** Default true: a back-end in full tracking takes nothing else. */
  readonly asPublicMessage?: boolean;
  /** Default false: the tree travels by `group.tree`. */
  readonly ratchetTreeInWelcome?: boolean;
  /** Default: external_pub, no tree. */
  readonly groupInfo?: GroupInfoOptions;
}

export interface GroupInfoOptions {
  readonly ratchetTree?: boolean;
  /** Default true, in ts-mls' own form (no inner length). */
  readonly externalPub?: boolean;
}

export interface PendingCommit {
  readonly commit: Uint8Array;
  readonly welcome: Uint8Array | undefined;
  /** Of the epoch that the commit begins. */
  readonly groupInfo: Uint8Array;
  readonly ratchetTree: Uint8Array;
  /** The commit won: this member moves to the new epoch. */
  accept(): void;
}

export type Received =
  { readonly kind: "application"; readonly data: Uint8Array } | { readonly kind: "handshake"; readonly epoch: bigint };

/** One client's membership in one group. */
export class MlsGroup {
  readonly client: MlsClient;
  #state: ClientState;

  constructor(client: MlsClient, state: ClientState) {
    this.client = client;
    this.#state = state;
  }

  get state(): ClientState {
    return this.#state;
  }

  get groupId(): Uint8Array {
    return this.#state.groupContext.groupId;
  }

  get epoch(): bigint {
    return this.#state.groupContext.epoch;
  }

  get leafIndex(): number {
    return this.#state.privatePath.leafIndex;
  }

  /** Equal among all members of an epoch, and among nobody else. */
  get epochAuthenticator(): Uint8Array {
    return this.#state.keySchedule.epochAuthenticator;
  }

  get treeHash(): Uint8Array {
    return this.#state.groupContext.treeHash;
  }

  /** False once this member processed its own removal. */
  get active(): boolean {
    return this.#state.groupActiveState.kind === "active";
  }

  /** Leaf indices that are not blank. */
  get leaves(): number[] {
    return this.#state.ratchetTree.flatMap((node, at) => (node?.nodeType === "leaf" ? [at / 2] : []));
  }

  leafOf(identity: string): number | undefined {
    const wanted = new TextEncoder().encode(identity);
    return this.leaves.find((leaf) => {
      const node = this.#state.ratchetTree[2 * leaf];
      if (node?.nodeType !== "leaf" || node.leaf.credential.credentialType !== "basic") return false;
      return Buffer.compare((node.leaf.credential as { identity: Uint8Array }).identity, wanted) === 0;
    });
  }

  /** The ratchet_tree extension's data. */
  ratchetTree(): Uint8Array {
    return encode(ratchetTreeEncoder)(this.#state.ratchetTree);
  }

  groupInfo(options: GroupInfoOptions = {}): Promise<Uint8Array> {
    return encodeGroupInfo(this.#state, this.client.impl, options);
  }

  /** Commits all proposals received (and own ones) by reference, and the given ones by value. */
  async commit(options: CommitOptions = {}): Promise<PendingCommit> {
    const { newState, welcome, commit } = await createCommit(
      { state: this.#state, cipherSuite: this.client.impl },
      {
        wireAsPublicMessage: options.asPublicMessage ?? true,
        ratchetTreeExtension: options.ratchetTreeInWelcome ?? false,
        extraProposals: [
          ...(options.remove ?? []).map((removed): Proposal => ({ proposalType: "remove", remove: { removed } })),
          ...(options.add ?? []).map((message): Proposal => ({ proposalType: "add", add: keyPackageIn(message) })),
          ...(options.proposals ?? []),
        ],
      },
    );
    return {
      commit: encodeMlsMessage(commit),
      welcome: welcome && encodeMlsMessage({ version: "mls10", wireformat: "mls_welcome", welcome }),
      groupInfo: await encodeGroupInfo(newState, this.client.impl, options.groupInfo ?? {}),
      ratchetTree: encode(ratchetTreeEncoder)(newState.ratchetTree),
      accept: () => {
        this.#state = newState;
      },
    };
  }

  /** A proposal by itself; it stays among this member's own until an epoch takes or drops it. */
  async propose(proposal: Proposal, options: { readonly asPublicMessage?: boolean } = {}): Promise<Uint8Array> {
    const asPublicMessage = options.asPublicMessage ?? true;
    const { newState, message } = await createProposal(this.#state, asPublicMessage, proposal, this.client.impl);
    this.#state = newState;
    return encodeMlsMessage(message);
  }

  async send(data: Uint8Array): Promise<Uint8Array> {
    const { newState, privateMessage } = await createApplicationMessage(this.#state, data, this.client.impl);
    this.#state = newState;
    return encodeMlsMessage({ version: "mls10", wireformat: "mls_private_message", privateMessage });
  }

  /** Processes another member's (or outsider's) message. Own commits are taken in by `accept`. */
  async receive(message: Uint8Array): Promise<Received> {
    const decoded = decodeMessage(message);
    if (decoded.wireformat !== "mls_private_message" && decoded.wireformat !== "mls_public_message") {
      throw new Error(`${decoded.wireformat} is no group message`);
    }
    const result = await processMessage(decoded, this.#state, emptyPskIndex, acceptAll, this.client.impl);
    this.#state = result.newState;
    if (result.kind === "applicationMessage") return { kind: "application", data: result.message };
    return { kind: "handshake", epoch: this.epoch };
  }
}

async function encodeGroupInfo(
  state: ClientState,
  impl: CiphersuiteImpl,
  options: GroupInfoOptions,
): Promise<Uint8Array> {
  const { ratchetTree = false, externalPub = true } = options;
  const tree = { extensionType: "ratchet_tree" as const, extensionData: encode(ratchetTreeEncoder)(state.ratchetTree) };
  const groupInfo = externalPub
    ? ratchetTree
      ? await createGroupInfoWithExternalPubAndRatchetTree(state, [], impl)
      : await createGroupInfoWithExternalPub(state, [], impl)
    : await createGroupInfo(state.groupContext, state.confirmationTag, state, ratchetTree ? [tree] : [], impl);
  return encodeMlsMessage({ version: "mls10", wireformat: "mls_group_info", groupInfo });
}

function keyPackageIn(mlsMessage: Uint8Array): { keyPackage: KeyPackage } {
  const message = decodeMessage(mlsMessage);
  if (message.wireformat !== "mls_key_package") throw new Error("not a KeyPackage");
  return { keyPackage: message.keyPackage };
}

function decodeMessage(bytes: Uint8Array): MLSMessage {
  // ts-mls keeps views on what it decodes: give it bytes of its own.
  const decoded = decodeMlsMessage(Uint8Array.from(bytes), 0);
  if (decoded?.[1] !== bytes.length) throw new Error("not one whole MLSMessage");
  return decoded[0];
}

function decodeTree(bytes: Uint8Array): RatchetTree {
  const decoded = decodeRatchetTree(Uint8Array.from(bytes), 0);
  if (decoded?.[1] !== bytes.length) throw new Error("not one whole ratchet tree");
  return decoded[0];
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
