// One ts-mls client's membership in one group. A commit does not move its sender until `accept()`: the
// back-end decides who wins the epoch.
import {
  acceptAll,
  createApplicationMessage,
  createCommit,
  createProposal,
  emptyPskIndex,
  encodeMlsMessage,
  processMessage,
  type CiphersuiteImpl,
  type ClientState,
  type Proposal,
} from "ts-mls";
import { encode } from "ts-mls/codec/tlsEncoder.js";
import { ratchetTreeEncoder } from "ts-mls/ratchetTree.js";
import { decodeMessage, encodeGroupInfo, keyPackageIn, type GroupInfoOptions } from "./mls-encoding.ts";

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
    const { newState, welcome, commit } = await createCommit(
      { state: this.#state, cipherSuite: this.#impl },
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
    const result = await processMessage(decoded, this.#state, emptyPskIndex, acceptAll, this.#impl);
    this.#state = result.newState;
    if (result.kind === "applicationMessage") return { kind: "application", data: result.message };
    return { kind: "handshake", epoch: this.epoch };
  }
}
