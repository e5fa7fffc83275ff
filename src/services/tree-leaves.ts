// Who stands at the leaves of a tree that was judged, asked one by one: of a large tree there are too many to lay them
// all out at once. Keeps what the judgement brought, and copies nothing.
import type { Holder, WholeTree } from "../mls/whole-tree.ts";

export class TreeLeaves {
  readonly #tree: WholeTree;

  constructor(tree: WholeTree) {
    this.#tree = tree;
  }

  /** In ascending order. */
  get indexes(): Uint32Array {
    return this.#tree.leaves;
  }

  get count(): number {
    return this.#tree.leaves.length;
  }

  /** True where the identity provider was asked about each. */
  get asked(): boolean {
    return this.#tree.holders !== undefined;
  }

  credential(n: number): Uint8Array {
    const { credentials, credentialEnds } = this.#tree;
    return credentials.subarray(n === 0 ? 0 : credentialEnds[n - 1], credentialEnds[n]);
  }

  /** Whom the identity provider sees in the credential; undefined where it was not asked. */
  holder(n: number): Holder | undefined {
    return this.#tree.holders?.[n];
  }
}
