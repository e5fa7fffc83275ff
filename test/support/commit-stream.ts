// A large group made without secrets, and one commit of each kind after the other, each followed before the next is
// made: what following costs is measured on groups that live. The group keeps its size.
import { randomBytes } from "node:crypto";
import { Writer } from "../../src/mls/codec/writer.ts";
import { readGroupMessage } from "../../src/mls/framing.ts";
import { encodeMessage } from "../../src/mls/message.ts";
import { followCommit, type Followed } from "../../src/mls/public-group/follow-commit.ts";
import { WIRE_FORMAT } from "../../src/mls/registries.ts";
import { SyntheticGroup } from "./synthetic-group.ts";
import { buildKeyPackage, newMember, proposals } from "./synthetic-structs.ts";

export const COMMIT_KINDS = ["add", "update", "remove", "external join"] as const;
export type CommitKind = (typeof COMMIT_KINDS)[number];

export interface MadeCommit {
  readonly kind: CommitKind;
  readonly message: Uint8Array;
  readonly welcomes: readonly Uint8Array[];
  /** Of the epoch that the commit begins, without the tree, as its committer would sign it. */
  readonly groupInfo: Uint8Array;
  /** Processor time of decoding and following it, signatures on the thread pool included. */
  readonly followMicros: number;
  /** Path secrets encrypted, on the whole path. */
  readonly ciphertexts: number;
}

/** Bytes of a GroupInfo without tree, encrypted. */
const ENCRYPTED_GROUP_INFO_BYTES = 400;

export class CommitStream {
  readonly group: SyntheticGroup;
  readonly #size: number;
  #made = 0;
  #newest = 0;

  constructor(size: number) {
    this.group = SyntheticGroup.create(size, { historyEvery: 2 });
    this.#size = size;
  }

  /** One commit of each kind, and one more that takes the last joiner out again. */
  async *round(): AsyncGenerator<MadeCommit> {
    for (const kind of COMMIT_KINDS) yield this.next(kind);
    yield this.next("remove");
  }

  async next(kind: CommitKind): Promise<MadeCommit> {
    this.#made += 1;
    const newcomer = newMember(`newcomer ${String(this.#made)}`);
    const added = kind === "add" ? buildKeyPackage(newcomer) : undefined;
    const { message } = this.group.commit({
      committer: kind === "update" ? (this.#made * 7) % this.#size : 0,
      ...(kind === "external join" ? { joiner: newcomer, proposals: [proposals.externalInit()] } : {}),
      ...(added === undefined ? {} : { proposals: [proposals.add(added)] }),
      ...(kind === "remove" ? { proposals: [proposals.remove(this.#newest)] } : {}),
    });
    const before = process.cpuUsage();
    const { outcome, ciphertexts } = await this.#follow(message);
    const { user, system } = process.cpuUsage(before);
    this.group.group = outcome.group;
    for (const { leafIndex } of outcome.facts.entered) {
      this.group.members.set(leafIndex, newcomer);
      this.#newest = leafIndex;
    }
    return {
      kind,
      message,
      welcomes: added === undefined ? [] : [welcomeFor([added.ref])],
      groupInfo: this.group.groupInfoMessage({ signer: outcome.facts.committer }),
      followMicros: user + system,
      ciphertexts,
    };
  }

  async #follow(bytes: Uint8Array): Promise<{ readonly outcome: Followed; readonly ciphertexts: number }> {
    const message = readGroupMessage(bytes);
    if (message.kind === "malformed" || message.value.contentType !== "commit") throw new Error("not a commit");
    if (message.value.wireFormat !== "public") throw new Error("not a PublicMessage");
    const outcome = await followCommit(this.group.group, message.value, this.group.terms());
    if (outcome.kind !== "followed") throw new Error(JSON.stringify(outcome));
    const ciphertexts = (message.value.commit.path?.nodes ?? []).reduce((sum, node) => sum + node.ciphertextCount, 0);
    return { outcome, ciphertexts };
  }
}

/** A Welcome of suite 1 of the right shape; its secrets are random bytes. */
export function welcomeFor(
  refs: readonly Uint8Array[],
  encryptedGroupInfo: Uint8Array = new Uint8Array(randomBytes(ENCRYPTED_GROUP_INFO_BYTES)),
): Uint8Array {
  const secrets = new Writer();
  for (const ref of refs) secrets.opaque(ref).opaque(randomBytes(32)).opaque(randomBytes(100));
  const body = new Writer().u16(1).opaque(secrets.finish()).opaque(encryptedGroupInfo);
  return encodeMessage(WIRE_FORMAT.welcome, body.finish());
}
