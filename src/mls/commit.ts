// Commit and UpdatePath (RFC 9420 §12.4, §7.6): bytes to values.
import { malformed, readVector, type Reader } from "./codec/reader.ts";
import { readLeafNode, type LeafNode } from "./leaf-node.ts";
import { readProposal, type Proposal } from "./proposal.ts";
import { HASH_LENGTHS } from "./suites.ts";

export type ProposalOrRef =
  { readonly kind: "proposal"; readonly proposal: Proposal } | { readonly kind: "reference"; readonly ref: Uint8Array };

export interface UpdatePathNode {
  readonly encryptionKey: Uint8Array;
  /** How many members of the copath's resolution the path secret is encrypted to. */
  readonly ciphertextCount: number;
}

export interface UpdatePath {
  readonly leafNode: LeafNode;
  readonly nodes: readonly UpdatePathNode[];
}

export interface Commit {
  readonly proposals: readonly ProposalOrRef[];
  readonly path: UpdatePath | undefined;
}

/** More could only come from a group far beyond any limit; each costs more memory than bytes. */
const PROPOSALS_MAX = 65_536;
/** Deeper than any tree whose leaves have 32-bit indices. */
const PATH_NODES_MAX = 32;

export function readCommit(reader: Reader): Commit {
  const proposals = readVector(reader, PROPOSALS_MAX, readProposalOrRef);
  const path = reader.present() ? readUpdatePath(reader) : undefined;
  return { proposals, path };
}

export function readUpdatePath(reader: Reader): UpdatePath {
  return { leafNode: readLeafNode(reader), nodes: readVector(reader, PATH_NODES_MAX, readUpdatePathNode) };
}

function readProposalOrRef(reader: Reader): ProposalOrRef {
  const kind = reader.u8();
  if (kind === 1) return { kind: "proposal", proposal: readProposal(reader) };
  if (kind !== 2) return malformed("neither a proposal nor a reference to one");
  const ref = reader.opaque();
  if (!HASH_LENGTHS.includes(ref.length)) malformed("a proposal reference of no hash's length");
  return { kind: "reference", ref };
}

function readUpdatePathNode(reader: Reader): UpdatePathNode {
  const encryptionKey = reader.opaque();
  const ciphertexts = reader.vector();
  let ciphertextCount = 0;
  while (!ciphertexts.done) {
    ciphertexts.skipOpaque();
    ciphertexts.skipOpaque();
    ciphertextCount++;
  }
  return { encryptionKey, ciphertextCount };
}
