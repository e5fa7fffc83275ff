// One ts-mls client's membership in one group. A commit does not move its sender until `accept()`: the
// back-end decides who wins the epoch.
import {
  acceptAll,
  bytesToBase64,
  createApplicationMessage,
  createCommit,
  createProposal,
  encodeMlsMessage,
  makePskIndex,
  processMessage,
  type CiphersuiteImpl,
  type ClientState,
  type Extension,
  type GroupContext,
  type MLSMessage,
  type Proposal,
} from "ts-mls";
import { encode } from "ts-mls/codec/tlsEncoder.js";
import { decodeVarLenData, varLenDataEncoder } from "ts-mls/codec/variableLength.js";
import { signWithLabel } from "ts-mls/crypto/signature.js";
import { decodeGroupContext, groupContextEncoder } from "ts-mls/groupContext.js";
import { leafNodeTBSEncoder } from "ts-mls/leafNode.js";
import { updateLeafKey } from "ts-mls/privateKeyPath.js";
import { ratchetTreeEncoder } from "ts-mls/ratchetTree.js";
import { decodeMessage, encodeGroupInfo, keyPackageIn, type GroupInfoOptions } from "./mls-encoding.ts";

/** Secrets by the base64 of their id. */
export type ExternalPsks = Readonly<Record<string, Uint8Array>>;

export interface CommitOptions {
  /** KeyPackages, as MLSMessages. */
  readonly add?: readonly Uint8Array[];
  /** Leaf indices. */
  readonly remove?: readonly number[];
  readonly proposals?: readonly Proposal[];
  /** Default: the group itself. For a successor's first commit: the group that a ReInit ended. */
  readonly reinitOf?: MlsGroup;
  /** Default true: a back-end in full tracking takes nothing else. */
  readonly asPublicMessage?: boolean;
  /** Default false: the tree travels by `group.tree`. */
  readonly ratchetTreeInWelcome?: boolean;
  /** Default: external_pub, no tree. */
  readonly groupInfo?: GroupInfoOptions;
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
  readonly #impl: CiphersuiteImpl;
  #state: ClientState;
  #externalPsks: ExternalPsks = {};
  /** Of an Update that nobody has committed yet: its ref and its leaf's private key. */
  #update: { readonly ref: string; readonly key: Uint8Array } | undefined;

  constructor(impl: CiphersuiteImpl, state: ClientState) {
    this.#impl = impl;
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
    return encodeGroupInfo(this.#state, this.#impl, options);
  }

  /** Commits all proposals received (and own ones) by reference, and the given ones by value. */
  async commit(options: CommitOptions = {}): Promise<PendingCommit> {
    const pskIndex = makePskIndex(options.reinitOf?.state ?? this.#state, { ...this.#externalPsks });
    const { newState, welcome, commit } = await createCommit(
      { state: this.#state, cipherSuite: sealingInNewContext(this.#impl, this.#contextExtensions(options)), pskIndex },
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
      groupInfo: await encodeGroupInfo(newState, this.#impl, options.groupInfo ?? {}),
      ratchetTree: encode(ratchetTreeEncoder)(newState.ratchetTree),
      accept: () => {
        this.#state = newState;
      },
    };
  }

  /** A proposal by itself; it stays among this member's own until an epoch takes or drops it. */
  async propose(proposal: Proposal, options: { readonly asPublicMessage?: boolean } = {}): Promise<Uint8Array> {
    const asPublicMessage = options.asPublicMessage ?? true;
    const { newState, message } = await createProposal(this.#state, asPublicMessage, proposal, this.#impl);
    this.#state = newState;
    return encodeMlsMessage(message);
  }

  /** An Update of the own leaf: another encryption key, taken in when somebody commits it. */
  async proposeUpdate(): Promise<Uint8Array> {
    const { groupId, leafIndex } = this;
    const node = this.#state.ratchetTree[2 * leafIndex];
    if (node?.nodeType !== "leaf") throw new Error("the own leaf is blank");
    const { signaturePublicKey, credential, capabilities, extensions } = node.leaf;
    const pair = await this.#impl.hpke.generateKeyPair();
    const hpkePublicKey = await this.#impl.hpke.exportPublicKey(pair.publicKey);
    const tbs = { hpkePublicKey, signaturePublicKey, credential, capabilities, extensions, groupId, leafIndex };
    const info = { ...tbs, leafNodeSource: "update" as const };
    const key = this.#state.signaturePrivateKey;
    const signature = await signWithLabel(key, "LeafNodeTBS", encode(leafNodeTBSEncoder)(info), this.#impl.signature);
    const leafNode = { ...info, signature };
    const before = new Set(Object.keys(this.#state.unappliedProposals));
    const message = await this.propose({ proposalType: "update", update: { leafNode } });
    const ref = Object.keys(this.#state.unappliedProposals).find((other) => !before.has(other));
    if (ref === undefined) throw new Error("the Update is not among the proposals");
    this.#update = { ref, key: await this.#impl.hpke.exportPrivateKey(pair.privateKey) };
    return message;
  }

  /** Learns a pre-shared key that travelled elsewhere. */
  learn(externalPsks: ExternalPsks): void {
    this.#externalPsks = { ...this.#externalPsks, ...externalPsks };
  }

  async send(data: Uint8Array): Promise<Uint8Array> {
    const { newState, privateMessage } = await createApplicationMessage(this.#state, data, this.#impl);
    this.#state = newState;
    return encodeMlsMessage({ version: "mls10", wireformat: "mls_private_message", privateMessage });
  }

  /** Processes another member's (or outsider's) message. Own commits are taken in by `accept`. */
  async receive(message: Uint8Array): Promise<Received> {
    const decoded = decodeMessage(message);
    if (decoded.wireformat !== "mls_private_message" && decoded.wireformat !== "mls_public_message") {
      throw new Error(`${decoded.wireformat} is no group message`);
    }
    const { epoch } = this;
    const pskIndex = makePskIndex(this.#state, { ...this.#externalPsks });
    const result = await processMessage(decoded, this.#withUpdate(decoded), pskIndex, acceptAll, this.#impl);
    this.#state = result.newState;
    if (this.epoch !== epoch) this.#update = undefined;
    if (result.kind === "applicationMessage") return { kind: "application", data: result.message };
    return { kind: "handshake", epoch: this.epoch };
  }

  /** ts-mls leaves it to its user to put the key of a committed Update where the commit is decrypted with it. */
  #withUpdate(message: MLSMessage): ClientState {
    if (message.wireformat !== "mls_public_message" || this.#update === undefined) return this.#state;
    const { content } = message.publicMessage;
    if (content.contentType !== "commit") return this.#state;
    const { ref, key } = this.#update;
    const taken = content.commit.proposals.some(
      (entry) => entry.proposalOrRefType === "reference" && bytesToBase64(entry.reference) === ref,
    );
    return taken ? { ...this.#state, privatePath: updateLeafKey(this.#state.privatePath, key) } : this.#state;
  }

  /** The extensions that a commit gives the group, where it changes them. */
  #contextExtensions({ proposals = [] }: CommitOptions): readonly Extension[] | undefined {
    const sent = Object.values(this.#state.unappliedProposals).map(({ proposal }) => proposal);
    for (const proposal of [...sent, ...proposals]) {
      if (proposal.proposalType === "group_context_extensions") return proposal.groupContextExtensions.extensions;
    }
    return undefined;
  }
}

/**
 * ts-mls 1.6.4 seals a path's secrets in the context of the old extensions and opens them in that of the new ones.
 * RFC 9420 §12.4.1 means the new ones: so they are put where they belong.
 */
function sealingInNewContext(impl: CiphersuiteImpl, extensions: readonly Extension[] | undefined): CiphersuiteImpl {
  if (extensions === undefined) return impl;
  const { hpke } = impl;
  const inNewContext = (info: Uint8Array): Uint8Array => {
    const [label, length] = decodeVarLenData(info, 0) as [Uint8Array, number];
    if (new TextDecoder().decode(label) !== "MLS 1.0 UpdatePathNode") return info;
    const [bytes] = decodeVarLenData(info, length) as [Uint8Array, number];
    const [context] = decodeGroupContext(bytes, 0) as [GroupContext, number];
    const encoded = encode(groupContextEncoder)({ ...context, extensions: [...extensions] });
    return Uint8Array.from([...info.subarray(0, length), ...encode(varLenDataEncoder)(encoded)]);
  };
  return {
    ...impl,
    hpke: { ...hpke, seal: (key, plaintext, info, aad) => hpke.seal(key, plaintext, inNewContext(info), aad) },
  };
}
