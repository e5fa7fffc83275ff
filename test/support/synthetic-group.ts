// Groups and commits made without secrets, for what no client would send: broken in one place and signed
// again, or of 50,000 members. Path secrets and tags are random bytes: no follower can tell.
// Suite 1; basic credentials.
import { generateKeyPairSync, randomBytes, sign, type KeyObject } from "node:crypto";
import { createBasicProvider } from "../../src/mls/basic-provider.ts";
import { decodeWhole } from "../../src/mls/codec/reader.ts";
import { Writer } from "../../src/mls/codec/writer.ts";
import { encodeBasicCredential } from "../../src/mls/credential.ts";
import { writeExtensions, type Extension } from "../../src/mls/extension.ts";
import { proposalRef, readGroupMessage, type PublicCommit, type PublicProposal } from "../../src/mls/framing.ts";
import { encodeGroupContext, type GroupContext } from "../../src/mls/group-context.ts";
import { readGroupInfo, type GroupInfo } from "../../src/mls/group-info.ts";
import { readLeafNode, type Capabilities, type LeafNode, type LeafNodeSource } from "../../src/mls/leaf-node.ts";
import { encodeMessage } from "../../src/mls/message.ts";
import { checkProposal } from "../../src/mls/public-group/check-proposal.ts";
import { followCommit, type FollowTerms } from "../../src/mls/public-group/follow-commit.ts";
import type { SentProposal } from "../../src/mls/public-group/proposal-list.ts";
import { PublicGroup, treeStateOf } from "../../src/mls/public-group/public-group.ts";
import { PROPOSAL, WIRE_FORMAT } from "../../src/mls/registries.ts";
import { Judge } from "../../src/mls/rules.ts";
import { keyPackageRef } from "../../src/mls/suites.ts";
import { leafSlot } from "../../src/mls/tree/subtree.ts";
import { PublicTree } from "../../src/mls/tree/public-tree.ts";
import { TreeHasher } from "../../src/mls/tree/tree-hasher.ts";

export const NOW_MS = 1_800_000_000_000;
const DAY_SECONDS = 86_400n;
const SPKI_HEADER = 12;

export interface Member {
  readonly name: string;
  readonly signKey: KeyObject;
  readonly signatureKey: Uint8Array;
}

export interface LeafFields {
  readonly encryptionKey: Uint8Array;
  readonly signatureKey: Uint8Array;
  readonly credential: Uint8Array;
  readonly capabilities: Capabilities;
  readonly source: LeafNodeSource;
  readonly notBefore: bigint;
  readonly notAfter: bigint;
  readonly parentHash: Uint8Array;
  readonly extensions: readonly Extension[];
  /** Signed along in leaf nodes made inside a group. */
  readonly place: { readonly groupId: Uint8Array; readonly leafIndex: number } | undefined;
}

export interface KeyPackageFields {
  readonly version: number;
  readonly ciphersuite: number;
  readonly initKey: Uint8Array | undefined;
  readonly leaf: Partial<LeafFields>;
  readonly signWith: Member | undefined;
}

export interface BuiltKeyPackage {
  readonly bare: Uint8Array;
  readonly message: Uint8Array;
  readonly ref: Uint8Array;
  readonly leafNode: LeafNode;
}

export const CAPABILITIES: Capabilities = {
  versions: [1],
  ciphersuites: [1],
  extensions: [],
  proposals: [],
  credentials: [1],
};

/** Random bytes are public keys of X25519. */
export function randomKey(): Uint8Array {
  return new Uint8Array(randomBytes(32));
}

export function newMember(name: string): Member {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const spki = publicKey.export({ format: "der", type: "spki" });
  return { name, signKey: privateKey, signatureKey: new Uint8Array(spki.subarray(SPKI_HEADER)) };
}

export function credentialOf(member: Member): Uint8Array {
  return encodeBasicCredential(new TextEncoder().encode(member.name));
}

export function signWithLabel(member: Pick<Member, "signKey">, label: string, content: Uint8Array): Uint8Array {
  const labelled = new Writer().opaque(new TextEncoder().encode("MLS 1.0 " + label)).opaque(content);
  return new Uint8Array(sign(null, labelled.finish(), member.signKey));
}

export function buildLeaf(member: Member, fields: Partial<LeafFields> = {}, signer: Member = member): LeafNode {
  const leaf: LeafFields = {
    encryptionKey: randomKey(),
    signatureKey: member.signatureKey,
    credential: credentialOf(member),
    capabilities: CAPABILITIES,
    source: "keyPackage",
    notBefore: BigInt(NOW_MS / 1000) - DAY_SECONDS,
    notAfter: BigInt(NOW_MS / 1000) + DAY_SECONDS,
    parentHash: new Uint8Array(0),
    extensions: [],
    place: undefined,
    ...fields,
  };
  const writer = new Writer().opaque(leaf.encryptionKey).opaque(leaf.signatureKey).raw(leaf.credential);
  const { versions, ciphersuites, extensions, proposals, credentials } = leaf.capabilities;
  for (const list of [versions, ciphersuites, extensions, proposals, credentials]) {
    writer.length(list.length * 2);
    for (const value of list) writer.u16(value);
  }
  writer.u8({ keyPackage: 1, update: 2, commit: 3 }[leaf.source]);
  if (leaf.source === "keyPackage") writer.u64(leaf.notBefore).u64(leaf.notAfter);
  if (leaf.source === "commit") writer.opaque(leaf.parentHash);
  writeExtensions(writer, leaf.extensions);
  const signed = writer.finish();
  const toBeSigned = new Writer().raw(signed);
  if (leaf.source !== "keyPackage" && leaf.place !== undefined) {
    toBeSigned.opaque(leaf.place.groupId).u32(leaf.place.leafIndex);
  }
  const signature = signWithLabel(signer, "LeafNodeTBS", toBeSigned.finish());
  const decoded = decodeWhole(new Writer().raw(signed).opaque(signature).finish(), readLeafNode);
  if (decoded.kind === "malformed") throw new Error(decoded.why);
  return decoded.value;
}

export function buildKeyPackage(member: Member, fields: Partial<KeyPackageFields> = {}): BuiltKeyPackage {
  const leafNode = buildLeaf(member, fields.leaf ?? {});
  const toBeSigned = new Writer()
    .u16(fields.version ?? 1)
    .u16(fields.ciphersuite ?? 1)
    .opaque(fields.initKey ?? randomKey())
    .raw(leafNode.bytes)
    .length(0)
    .finish();
  const signature = signWithLabel(fields.signWith ?? member, "KeyPackageTBS", toBeSigned);
  const bare = new Writer().raw(toBeSigned).opaque(signature).finish();
  return { bare, message: encodeMessage(WIRE_FORMAT.keyPackage, bare), ref: keyPackageRef(1, bare), leafNode };
}

/** A proposal's bytes, with what it does to the tree. */
export interface BuiltProposal {
  readonly bytes: Uint8Array;
  readonly add?: LeafNode;
  readonly update?: { readonly leafIndex: number; readonly leafNode: LeafNode };
  readonly remove?: number;
  readonly contextExtensions?: readonly Extension[];
}

export const proposals = {
  add: (keyPackage: BuiltKeyPackage): BuiltProposal => ({
    bytes: new Writer().u16(PROPOSAL.add).raw(keyPackage.bare).finish(),
    add: keyPackage.leafNode,
  }),
  update: (leafIndex: number, leafNode: LeafNode): BuiltProposal => ({
    bytes: new Writer().u16(PROPOSAL.update).raw(leafNode.bytes).finish(),
    update: { leafIndex, leafNode },
  }),
  remove: (leafIndex: number): BuiltProposal => ({
    bytes: new Writer().u16(PROPOSAL.remove).u32(leafIndex).finish(),
    remove: leafIndex,
  }),
  externalPsk: (id: string, nonceLength = 32): BuiltProposal => ({
    bytes: new Writer()
      .u16(PROPOSAL.psk)
      .u8(1)
      .opaque(new TextEncoder().encode(id))
      .opaque(new Uint8Array(nonceLength))
      .finish(),
  }),
  resumptionPsk: (usage: 1 | 2 | 3): BuiltProposal => ({
    bytes: new Writer()
      .u16(PROPOSAL.psk)
      .u8(2)
      .u8(usage)
      .opaque(Uint8Array.of(1))
      .u64(0n)
      .opaque(new Uint8Array(32))
      .finish(),
  }),
  reinit: (version = 1): BuiltProposal => ({
    bytes: new Writer().u16(PROPOSAL.reinit).opaque(Uint8Array.of(9)).u16(version).u16(1).length(0).finish(),
  }),
  externalInit: (): BuiltProposal => ({
    bytes: new Writer().u16(PROPOSAL.externalInit).opaque(randomKey()).finish(),
  }),
  contextExtensions: (extensions: readonly Extension[]): BuiltProposal => {
    const writer = new Writer().u16(PROPOSAL.groupContextExtensions);
    writeExtensions(writer, extensions);
    return { bytes: writer.finish(), contextExtensions: extensions };
  },
  selfRemove: (leafIndex: number): BuiltProposal => ({
    bytes: new Writer().u16(PROPOSAL.selfRemove).finish(),
    remove: leafIndex,
  }),
  custom: (type: number): BuiltProposal => ({ bytes: new Writer().u16(type).opaque(Uint8Array.of(1, 2)).finish() }),
};

/** The data of a required_capabilities extension. */
export function requiredCapabilities(
  extensionTypes: readonly number[],
  proposalTypes: readonly number[] = [],
  credentialTypes: readonly number[] = [],
): Extension {
  const writer = new Writer();
  for (const list of [extensionTypes, proposalTypes, credentialTypes]) {
    writer.length(list.length * 2);
    for (const type of list) writer.u16(type);
  }
  return { type: 3, data: writer.finish() };
}

export interface PathOptions {
  readonly leaf?: Partial<LeafFields>;
  readonly leafSigner?: Member;
  readonly keys?: (keys: Uint8Array[]) => Uint8Array[];
  readonly ciphertexts?: (counts: number[]) => number[];
}

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

  /** Fresh members, each in the tree by an Add; then one path commit in `historyEvery` members. */
  static create(
    size: number,
    options: {
      readonly historyEvery?: number;
      readonly extensions?: readonly Extension[];
      readonly capabilities?: Partial<Capabilities>;
      readonly epoch?: bigint;
    } = {},
  ): SyntheticGroup {
    const groupId = new TextEncoder().encode("synthetic");
    const members = new Map<number, Member>();
    const capabilities = { ...CAPABILITIES, ...options.capabilities };
    let tree = new PublicTree(leafSlot(undefined), new TreeHasher(1));
    for (let leaf = 0; leaf < size; leaf++) {
      const member = newMember(`member ${leaf}`);
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

  proposalMessage(
    built: BuiltProposal,
    sender: Uint8Array,
    signer: Member,
    framing: { readonly groupId?: Uint8Array; readonly epoch?: bigint } = {},
  ): PublicProposal {
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
    const decoded = readGroupMessage(encodeMessage(WIRE_FORMAT.publicMessage, writer.finish()));
    if (decoded.kind === "malformed") throw new Error(decoded.why);
    return decoded.value as PublicProposal;
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
    else this.#writePath(body.u8(1), all, committer, options);
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
  groupInfo(
    changes: {
      readonly context?: Partial<GroupContext>;
      readonly tag?: Uint8Array;
      readonly signer?: number;
      readonly signWith?: Member;
      readonly ratchetTree?: Uint8Array;
    } = {},
  ): GroupInfo {
    const signer = changes.signer ?? 0;
    const writer = new Writer().raw(encodeGroupContext({ ...this.group.context, ...changes.context }));
    writeExtensions(writer, changes.ratchetTree === undefined ? [] : [{ type: 2, data: changes.ratchetTree }]);
    const tbs = writer
      .opaque(changes.tag ?? this.group.confirmationTag)
      .u32(signer)
      .finish();
    const signature = signWithLabel(changes.signWith ?? this.member(signer), "GroupInfoTBS", tbs);
    const body = new Writer().raw(tbs).opaque(signature).finish();
    const decoded = readGroupInfo(encodeMessage(WIRE_FORMAT.groupInfo, body));
    if (decoded.kind === "malformed") throw new Error(decoded.why);
    return decoded.value;
  }

  #framedTbs(content: Uint8Array, inContext: boolean): Uint8Array {
    const writer = new Writer().u16(1).u16(WIRE_FORMAT.publicMessage).raw(content);
    return (inContext ? writer.raw(this.group.groupContext) : writer).finish();
  }

  #writePath(writer: Writer, all: readonly BuiltProposal[], committer: number, options: CommitOptions): void {
    const { joiner, pathOptions = {} } = options;
    const { tree: applied, added } = applyTo(this.group.tree, all);
    const leafIndex = joiner === undefined ? committer : applied.firstBlankLeaf();
    const tree = applied.withRoomFor(leafIndex);
    const member = joiner ?? this.member(committer);
    const before = joiner === undefined ? tree.leaf(leafIndex) : undefined;
    const steps = tree.filteredDirectPath(leafIndex);
    const keys = (pathOptions.keys ?? ((same) => same))(steps.map(() => randomKey()));
    const fields = {
      credential: before?.credential ?? credentialOf(member),
      capabilities: before?.capabilities ?? CAPABILITIES,
      source: "commit" as const,
      place: { groupId: this.group.groupId, leafIndex },
    };
    const parentKeys = steps.map((_, at) => keys[at] ?? randomKey());
    const { leafParentHash } = tree.mergePath(leafIndex, buildLeaf(member, fields), parentKeys);
    const leaf = { ...fields, parentHash: leafParentHash, ...pathOptions.leaf };
    const leafNode = buildLeaf(member, leaf, pathOptions.leafSigner ?? member);
    const counts = steps.map(({ copath, copathFirstLeaf }) => {
      const end = copathFirstLeaf + 2 ** copath.level;
      return copath.resolutionSize - added.filter((at) => at >= copathFirstLeaf && at < end).length;
    });
    const ciphertexts = (pathOptions.ciphertexts ?? ((same) => same))(counts);
    const nodes = new Writer();
    keys.forEach((key, at) => {
      const sealed = new Writer();
      for (let n = 0; n < (ciphertexts[at] ?? 0); n++) sealed.opaque(randomKey()).opaque(new Uint8Array(48));
      nodes.opaque(key).opaque(sealed.finish());
    });
    writer.raw(leafNode.bytes).opaque(nodes.finish());
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

function applyTo(before: PublicTree, all: readonly BuiltProposal[]): { tree: PublicTree; added: number[] } {
  let tree = before;
  const added: number[] = [];
  for (const { update } of all) if (update !== undefined) tree = tree.replace(update.leafIndex, update.leafNode);
  for (const { remove } of all) if (remove !== undefined) tree = tree.replace(remove, undefined);
  tree = tree.truncated();
  for (const { add } of all) {
    if (add === undefined) continue;
    const { tree: grown, leafIndex } = tree.add(add);
    tree = grown;
    added.push(leafIndex);
  }
  return { tree, added };
}

function pathUpdate(
  tree: PublicTree,
  member: Member,
  leafIndex: number,
  groupId: Uint8Array,
  fields: Partial<LeafFields>,
): PublicTree {
  const keys = tree.filteredDirectPath(leafIndex).map(() => randomKey());
  const placeholder = tree.leaf(leafIndex) as LeafNode;
  const { leafParentHash } = tree.mergePath(leafIndex, placeholder, keys);
  const place = { groupId, leafIndex };
  const leaf = buildLeaf(member, { ...fields, source: "commit", parentHash: leafParentHash, place });
  return tree.mergePath(leafIndex, leaf, keys).tree;
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("latin1");
}
