// Leaf nodes, key packages and proposals built field by field, and signed: for what no client would make.
// Suite 1; basic credentials.
import { generateKeyPairSync, randomBytes, sign, type KeyObject } from "node:crypto";
import { decodeWhole } from "../../src/mls/codec/reader.ts";
import { Writer } from "../../src/mls/codec/writer.ts";
import { encodeBasicCredential } from "../../src/mls/credential.ts";
import { writeExtensions, type Extension } from "../../src/mls/extension.ts";
import { readLeafNode, type Capabilities, type LeafNode, type LeafNodeSource } from "../../src/mls/leaf-node.ts";
import { encodeMessage } from "../../src/mls/message.ts";
import { PROPOSAL, WIRE_FORMAT } from "../../src/mls/registries.ts";
import { keyPackageRef } from "../../src/mls/suites.ts";

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
