// Proposals (RFC 9420 §12.1): bytes to values. Judging them is public-group's business.
import { malformed, type Reader } from "./codec/reader.ts";
import { checkContextExtensions, readExtensions, type Extension } from "./extension.ts";
import { readKeyPackageStruct, type KeyPackage } from "./key-package.ts";
import { readLeafNode, type LeafNode } from "./leaf-node.ts";
import { PROPOSAL } from "./registries.ts";

export type ResumptionUsage = "application" | "reinit" | "branch";

export type PreSharedKeyId =
  | { readonly type: "external"; readonly pskId: Uint8Array; readonly nonce: Uint8Array; readonly bytes: Uint8Array }
  | {
      readonly type: "resumption";
      readonly usage: ResumptionUsage;
      readonly pskGroupId: Uint8Array;
      readonly pskEpoch: bigint;
      readonly nonce: Uint8Array;
      readonly bytes: Uint8Array;
    };

export interface ReInit {
  readonly groupId: Uint8Array;
  readonly version: number;
  readonly ciphersuite: number;
  readonly extensions: readonly Extension[];
}

export type Proposal =
  | { readonly type: "add"; readonly keyPackage: KeyPackage }
  | { readonly type: "update"; readonly leafNode: LeafNode }
  | { readonly type: "remove"; readonly removed: number }
  | { readonly type: "psk"; readonly psk: PreSharedKeyId }
  | { readonly type: "reinit"; readonly reinit: ReInit }
  | { readonly type: "externalInit"; readonly kemOutput: Uint8Array }
  | { readonly type: "groupContextExtensions"; readonly extensions: readonly Extension[] }
  | { readonly type: "selfRemove" }
  | { readonly type: "custom"; readonly proposalType: number; readonly data: Uint8Array };

const USAGES: readonly ResumptionUsage[] = ["application", "reinit", "branch"];

/**
 * Reads one Proposal. A type without a definition here is read as one opaque vector: the form that
 * MLS libraries give to custom proposals, as the struct itself has no length.
 */
export function readProposal(reader: Reader): Proposal {
  const type = reader.u16();
  switch (type) {
    case 0:
      return malformed("a proposal of the reserved type");
    case PROPOSAL.add:
      return { type: "add", keyPackage: readKeyPackageStruct(reader) };
    case PROPOSAL.update:
      return { type: "update", leafNode: readLeafNode(reader) };
    case PROPOSAL.remove:
      return { type: "remove", removed: reader.u32() };
    case PROPOSAL.psk:
      return { type: "psk", psk: readPreSharedKeyId(reader) };
    case PROPOSAL.reinit:
      return { type: "reinit", reinit: readReInit(reader) };
    case PROPOSAL.externalInit:
      return { type: "externalInit", kemOutput: reader.opaque() };
    case PROPOSAL.groupContextExtensions:
      return { type: "groupContextExtensions", extensions: readContextExtensions(reader) };
    case PROPOSAL.selfRemove:
      return { type: "selfRemove" };
    default:
      return { type: "custom", proposalType: type, data: reader.opaque() };
  }
}

/** The code point of a proposal. */
export function proposalTypeOf(proposal: Proposal): number {
  return proposal.type === "custom" ? proposal.proposalType : PROPOSAL[proposal.type];
}

export function readPreSharedKeyId(reader: Reader): PreSharedKeyId {
  const start = reader.offset;
  const type = reader.u8();
  if (type === 1) {
    const pskId = reader.opaque();
    const nonce = reader.opaque();
    return { type: "external", pskId, nonce, bytes: reader.since(start) };
  }
  if (type !== 2) return malformed("a pre-shared key of an unknown type");
  const usage = USAGES[reader.u8() - 1] ?? malformed("a resumption PSK of an unknown usage");
  const pskGroupId = reader.opaque();
  const pskEpoch = reader.u64();
  const nonce = reader.opaque();
  return { type: "resumption", usage, pskGroupId, pskEpoch, nonce, bytes: reader.since(start) };
}

function readContextExtensions(reader: Reader): Extension[] {
  const extensions = readExtensions(reader);
  checkContextExtensions(extensions);
  return extensions;
}

function readReInit(reader: Reader): ReInit {
  return {
    groupId: reader.opaque(),
    version: reader.u16(),
    ciphersuite: reader.u16(),
    extensions: readExtensions(reader),
  };
}
