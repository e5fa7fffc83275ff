// Groups and commits made without secrets, for what no client would send: broken in one place and signed
// again, or of 50,000 members. Path secrets and tags are random bytes: no follower can tell.
import { createBasicProvider } from "../../src/mls/basic-provider.ts";
import { Writer } from "../../src/mls/codec/writer.ts";
import { writeExtensions, type Extension } from "../../src/mls/extension.ts";
import { proposalRef, readGroupMessage, type PublicCommit, type PublicProposal } from "../../src/mls/framing.ts";
import { encodeGroupContext, type GroupContext } from "../../src/mls/group-context.ts";
import { readGroupInfo, type GroupInfo } from "../../src/mls/group-info.ts";
import type { Capabilities } from "../../src/mls/leaf-node.ts";
import { encodeMessage } from "../../src/mls/message.ts";
import { checkProposal } from "../../src/mls/public-group/check-proposal.ts";
import { followCommit, type FollowTerms } from "../../src/mls/public-group/follow-commit.ts";
import type { SentProposal } from "../../src/mls/public-group/proposal-list.ts";
import { PublicGroup, treeStateOf } from "../../src/mls/public-group/public-group.ts";
import { WIRE_FORMAT } from "../../src/mls/registries.ts";
import { Judge } from "../../src/mls/rules.ts";
import { leafSlot } from "../../src/mls/tree/subtree.ts";
import { PublicTree } from "../../src/mls/tree/public-tree.ts";
import { TreeHasher } from "../../src/mls/tree/tree-hasher.ts";
import {
  buildLeaf,
  CAPABILITIES,
  newMember,
  NOW_MS,
  randomKey,
  signWithLabel,
  type BuiltProposal,
  type Member,
} from "./synthetic-structs.ts";
import { pathUpdate, writePath, type PathOptions } from "./synthetic-path.ts";

export interface CommitOptions {
  readonly committer?: number;
  readonly proposals?: readonly BuiltProposal[];
  /** Sent before, by `propose`; by reference. */
  readonly referred?: readonly { readonly ref: Uint8Array; readonly built: BuiltProposal }[];
  /** Default true. */
  readonly path?: boolean;
  readonly pathOptions?: PathOptions;
  readonly groupId?: Uint8Array;
  readonly epoch?: bigint;
  readonly signWith?: Member;
  /** An external commit by that member. */
  readonly joiner?: Member;
}

export interface GroupInfoChanges {
  readonly context?: Partial<GroupContext>;
  readonly tag?: Uint8Array;
  readonly signer?: number;
  readonly signWith?: Member;
  readonly ratchetTree?: Uint8Array;
}

export interface BuiltCommit {
  readonly message: Uint8Array;
  readonly decoded: PublicCommit;
}

export class SyntheticGroup {
  group: PublicGroup;
  /** By leaf index. */
  readonly members: Map<number, Member>;
  readonly #sent = new Map<string, SentProposal>();

  constructor(group: PublicGroup, members: Map<number, Member>) {
    this.group = group;
    this.members = members;
  }

  /** Members, each in the tree by an Add; then one path commit in `historyEvery` members. */
  static create(
    size: number,
    options: {
      readonly historyEvery?: number;
      readonly extensions?: readonly Extension[];
      readonly capabilities?: Partial<Capabilities>;
      readonly epoch?: bigint;
      readonly groupId?: string;
      /** Default: fresh ones. */
      readonly member?: (leaf: number) => Member;
    } = {},
  ): SyntheticGroup {
    const groupId = new TextEncoder().encode(options.groupId ?? "synthetic");
    const members = new Map<number, Member>();
    const capabilities = { ...CAPABILITIES, ...options.capabilities };
    let tree = new PublicTree(leafSlot(undefined), new TreeHasher(1));
    for (let leaf = 0; leaf < size; leaf++) {
      const member = options.member?.(leaf) ?? newMember(`member ${leaf}`);
      members.set(leaf, member);
      tree = tree.add(buildLeaf(member, { capabilities })).tree;
    }
    const every = options.historyEvery ?? 1;
    for (let leaf = 0; leaf < size; leaf += every) {
      tree = pathUpdate(tree, members.get(leaf) as Member, leaf, groupId, { capabilities });
    }
    const context: GroupContext = {
      version: 1,
      ciphersuite: 1,
      groupId,
      epoch: options.epoch ?? 5n,
      treeHash: tree.treeHash(),
      confirmedTranscriptHash: randomKey(),
      extensions: options.extensions ?? [],
    };
    return new SyntheticGroup(new PublicGroup(context, 1, randomKey(), treeStateOf(tree)), members);
  }

  member(leafIndex: number): Member {
    const member = this.members.get(leafIndex);
    if (member === undefined) throw new Error(`no member at leaf ${leafIndex}`);
    return member;
  }

  terms(changes: Partial<FollowTerms> = {}): FollowTerms {
    return {
      judge: new Judge(),
      provider: createBasicProvider(),
      nowMs: NOW_MS,
      customProposals: [],
      findProposal: (ref) => this.#sent.get(textOf(ref)),
      ...changes,
    };
  }

  /** A proposal by itself, remembered as the back-end would. */
  async propose(
    built: BuiltProposal,
    sender: Uint8Array,
    signer: Member,
  ): Promise<{ ref: Uint8Array; built: BuiltProposal }> {
    const message = this.proposalMessage(built, sender, signer);
    const outcome = await checkProposal(this.group, message, this.terms({ customProposals: ALL_CUSTOM }));
    if (outcome.kind === "refused") throw new Error(`${outcome.rule}: ${outcome.message}`);
    this.#sent.set(textOf(outcome.ref), outcome.sent);
    return { ref: outcome.ref, built };
  }

  /** Remembered without being judged. */
  proposeUnjudged(built: BuiltProposal, sender: Uint8Array, signer: Member): { ref: Uint8Array; built: BuiltProposal } {
    const message = this.proposalMessage(built, sender, signer);
    const ref = proposalRef(message, 1);
    this.#sent.set(textOf(ref), { proposal: message.proposal, sender: message.sender });
    return { ref, built };
  }

  proposalMessage(...parts: Parameters<SyntheticGroup["proposalBytes"]>): PublicProposal {
    const decoded = readGroupMessage(this.proposalBytes(...parts));
    if (decoded.kind === "malformed") throw new Error(decoded.why);
    return decoded.value as PublicProposal;
  }

  proposalBytes(
    built: BuiltProposal,
    sender: Uint8Array,
    signer: Member,
    framing: { readonly groupId?: Uint8Array; readonly epoch?: bigint } = {},
  ): Uint8Array {
    const content = new Writer()
      .opaque(framing.groupId ?? this.group.groupId)
      .u64(framing.epoch ?? this.group.epoch)
      .raw(sender)
      .opaque(new Uint8Array(0))
      .u8(2)
      .raw(built.bytes)
      .finish();
    const inContext = sender[0] === 1;
    const signature = signWithLabel(signer, "FramedContentTBS", this.#framedTbs(content, inContext));
    const writer = new Writer().raw(content).opaque(signature);
    if (sender[0] === 1) writer.opaque(randomKey());
    return encodeMessage(WIRE_FORMAT.publicMessage, writer.finish());
  }

  commit(options: CommitOptions = {}): BuiltCommit {
    const committer = options.committer ?? 0;
    const all = [...(options.referred ?? []).map(({ built }) => built), ...(options.proposals ?? [])];
    const signer = options.signWith ?? options.joiner ?? this.member(committer);
    const body = new Writer();
    const list = new Writer();
    for (const { ref } of options.referred ?? []) list.u8(2).opaque(ref);
    for (const { bytes } of options.proposals ?? []) list.u8(1).raw(bytes);
    body.opaque(list.finish());
    if (options.path === false) body.u8(0);
    else {
      const member = options.joiner ?? this.member(committer);
      const place = { committer, joins: options.joiner !== undefined };
      writePath(body.u8(1), this.group, member, all, place, options.pathOptions ?? {});
    }
    const sender = options.joiner === undefined ? memberSender(committer) : Uint8Array.of(4);
    const content = new Writer()
      .opaque(options.groupId ?? this.group.groupId)
      .u64(options.epoch ?? this.group.epoch)
      .raw(sender)
      .opaque(new Uint8Array(0))
      .u8(3)
      .raw(body.finish())
      .finish();
    const signature = signWithLabel(signer, "FramedContentTBS", this.#framedTbs(content, true));
    const writer = new Writer().raw(content).opaque(signature).opaque(randomKey());
    if (options.joiner === undefined) writer.opaque(randomKey());
    const message = encodeMessage(WIRE_FORMAT.publicMessage, writer.finish());
    const decoded = readGroupMessage(message);
    if (decoded.kind === "malformed") throw new Error(decoded.why);
    return { message, decoded: decoded.value as PublicCommit };
  }

  follow(commit: BuiltCommit, changes: Partial<FollowTerms> = {}): ReturnType<typeof followCommit> {
    return followCommit(this.group, commit.decoded, this.terms(changes));
  }

  /** A GroupInfo of the group as it is, but for the changes. */
  groupInfo(changes: GroupInfoChanges = {}): GroupInfo {
    const decoded = readGroupInfo(this.groupInfoMessage(changes));
    if (decoded.kind === "malformed") throw new Error(decoded.why);
    return decoded.value;
  }

  groupInfoMessage(changes: GroupInfoChanges = {}): Uint8Array {
    const signer = changes.signer ?? 0;
    const writer = new Writer().raw(encodeGroupContext({ ...this.group.context, ...changes.context }));
    writeExtensions(writer, changes.ratchetTree === undefined ? [] : [{ type: 2, data: changes.ratchetTree }]);
    const tbs = writer
      .opaque(changes.tag ?? this.group.confirmationTag)
      .u32(signer)
      .finish();
    const signature = signWithLabel(changes.signWith ?? this.member(signer), "GroupInfoTBS", tbs);
    const body = new Writer().raw(tbs).opaque(signature).finish();
    return encodeMessage(WIRE_FORMAT.groupInfo, body);
  }

  #framedTbs(content: Uint8Array, inContext: boolean): Uint8Array {
    const writer = new Writer().u16(1).u16(WIRE_FORMAT.publicMessage).raw(content);
    return (inContext ? writer.raw(this.group.groupContext) : writer).finish();
  }
}

export const ALL_CUSTOM = [{ type: 0xf000, pathRequired: false, external: true }];

export function memberSender(leafIndex: number): Uint8Array {
  return new Writer().u8(1).u32(leafIndex).finish();
}

export function externalSender(index: number): Uint8Array {
  return new Writer().u8(2).u32(index).finish();
}

export const NEW_MEMBER = Uint8Array.of(3);

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("latin1");
}
