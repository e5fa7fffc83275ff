// UpdatePaths made without secrets: right in every public part, or broken where a test wants it.
import { Writer } from "../../src/mls/codec/writer.ts";
import type { LeafNode } from "../../src/mls/leaf-node.ts";
import type { PublicGroup } from "../../src/mls/public-group/public-group.ts";
import type { PublicTree } from "../../src/mls/tree/public-tree.ts";
import {
  buildLeaf,
  CAPABILITIES,
  credentialOf,
  randomKey,
  type BuiltProposal,
  type LeafFields,
  type Member,
} from "./synthetic-structs.ts";

export interface PathOptions {
  readonly leaf?: Partial<LeafFields>;
  readonly leafSigner?: Member;
  readonly keys?: (keys: Uint8Array[]) => Uint8Array[];
  readonly ciphertexts?: (counts: number[]) => number[];
}

/** Writes the UpdatePath of a member (or joiner) over the tree as the proposals leave it. */
export function writePath(
  writer: Writer,
  group: PublicGroup,
  member: Member,
  all: readonly BuiltProposal[],
  place: { readonly committer: number; readonly joins: boolean },
  options: PathOptions,
): void {
  const { committer, joins } = place;
  const pathOptions = options;
  const { tree: applied, added } = applyTo(group.tree, all);
  const leafIndex = joins ? applied.firstBlankLeaf() : committer;
  const tree = applied.withRoomFor(leafIndex);
  const before = joins ? undefined : tree.leaf(leafIndex);
  const steps = tree.filteredDirectPath(leafIndex);
  const keys = (pathOptions.keys ?? ((same) => same))(steps.map(() => randomKey()));
  const fields = {
    credential: before?.credential ?? credentialOf(member),
    capabilities: before?.capabilities ?? CAPABILITIES,
    source: "commit" as const,
    place: { groupId: group.groupId, leafIndex },
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

/** One member's commit with a path, applied to a tree. */
export function pathUpdate(
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
