// A live group with one honest message of each kind for it, and what becomes of mutants of them: each is offered as
// it is, and once more without signatures being looked at, so that the rules behind them are reached too.
import { createHash } from "node:crypto";
import { createBasicProvider } from "../../src/mls/basic-provider.ts";
import { Writer } from "../../src/mls/codec/writer.ts";
import { readGroupMessage, type PublicGroupMessage } from "../../src/mls/framing.ts";
import { readGroupInfo } from "../../src/mls/group-info.ts";
import { checkProposal } from "../../src/mls/public-group/check-proposal.ts";
import { followCommit } from "../../src/mls/public-group/follow-commit.ts";
import { matchGroupInfo, matchWelcomes } from "../../src/mls/public-group/match-commit.ts";
import { openPublicGroup } from "../../src/mls/public-group/public-group.ts";
import { encodeRatchetTree, readRatchetTree } from "../../src/mls/ratchet-tree.ts";
import { Judge, type MlsRefusal, type Rule } from "../../src/mls/rules.ts";
import { readWelcome } from "../../src/mls/welcome.ts";
import { moderator, senders, updateOf } from "./rule-cases.ts";
import { ALL_CUSTOM, externalSender, memberSender, NEW_MEMBER, SyntheticGroup } from "./synthetic-group.ts";
import { buildKeyPackage, newMember, NOW_MS, proposals, randomKey } from "./synthetic-structs.ts";

export type Kind = "handshake" | "group info" | "welcome" | "tree";

export interface Original {
  readonly kind: Kind;
  readonly bytes: Uint8Array;
}

/** What was made of some bytes. `covered`: what a signature or hash vouches for, of bytes that were taken. */
export interface Outcome {
  readonly answer: string;
  readonly covered?: Uint8Array;
}

const UNSIGNED: readonly Rule[] = ["CONTENT_SIGNATURE", "LEAF_SIGNATURE", "ADD_SIGNATURE", "GROUP_INFO_SIGNATURE"];
const UNVOUCHED: readonly Rule[] = [...UNSIGNED, "TREE_HASH", "GROUP_INFO_CONTEXT", "GROUP_INFO_TAG"];
const all = new Judge();
const unsigned = new Judge(new Set(UNSIGNED));
const unvouched = new Judge(new Set(UNVOUCHED));

export class HostileGroup {
  readonly group: SyntheticGroup;
  readonly originals: readonly Original[];
  readonly #refs = [randomKey(), randomKey()];
  readonly #info: Uint8Array;

  constructor(size: number) {
    this.group = SyntheticGroup.create(size, {
      historyEvery: 3,
      extensions: [senders],
      capabilities: { proposals: [0x0a, ALL_CUSTOM[0]?.type as number] },
    });
    this.#info = this.group.groupInfoMessage();
    this.originals = [
      ...this.#handshakes().map((bytes) => ({ kind: "handshake" as const, bytes })),
      { kind: "group info", bytes: this.#info },
      { kind: "group info", bytes: this.group.groupInfoMessage({ ratchetTree: this.#tree() }) },
      { kind: "welcome", bytes: welcomeFor(this.#refs) },
      { kind: "tree", bytes: this.#tree() },
    ];
  }

  /** All that a follower keeps of a group, encoded and counted anew rather than remembered. */
  digest(): string {
    const { group } = this.group;
    const { counters, keys } = group.state;
    const hash = createHash("sha256").update(group.groupContext).update(group.confirmationTag).update(this.#tree());
    // Their order tells which version was read last, and nothing else.
    const sorted = [keys, counters].map((map) => map.entries().sort());
    hash.update(JSON.stringify(sorted));
    return hash.digest("hex");
  }

  /** As the back-end judges it. */
  offer({ kind, bytes }: Original): Promise<Outcome> {
    return this.#offer(kind, bytes, all);
  }

  /** Past the signatures (and, where `hashes`, past what hashes vouch for). */
  async offerUnsigned({ kind, bytes }: Original): Promise<Outcome> {
    return this.#offer(kind, bytes, kind === "handshake" ? unsigned : unvouched);
  }

  #offer(kind: Kind, bytes: Uint8Array, judge: Judge): Promise<Outcome> {
    switch (kind) {
      case "handshake":
        return this.#handshake(bytes, judge);
      case "group info":
        return this.#groupInfo(bytes, judge);
      case "welcome":
        return Promise.resolve(this.#welcome(bytes, judge));
      case "tree":
        return this.#openWith(bytes, judge);
    }
  }

  async #handshake(bytes: Uint8Array, judge: Judge): Promise<Outcome> {
    const decoded = readGroupMessage(bytes);
    if (decoded.kind === "malformed") return { answer: decoded.rule };
    const message = decoded.value as PublicGroupMessage;
    if (message.wireFormat !== "public") return { answer: "private" };
    const terms = this.group.terms({ judge, customProposals: ALL_CUSTOM });
    const outcome =
      message.contentType === "commit"
        ? await followCommit(this.group.group, message, terms)
        : await checkProposal(this.group.group, message, terms);
    if (outcome.kind === "refused") return { answer: outcome.rule };
    // Signature and tags are not what the signature covers.
    return outcome.kind === "proposalsMissing"
      ? { answer: outcome.kind }
      : { answer: outcome.kind, covered: message.content };
  }

  async #groupInfo(bytes: Uint8Array, judge: Judge): Promise<Outcome> {
    const decoded = readGroupInfo(bytes);
    if (decoded.kind === "malformed") return { answer: decoded.rule };
    return taken(await matchGroupInfo(this.group.group, decoded.value, undefined, judge), decoded.value.tbs);
  }

  #welcome(bytes: Uint8Array, judge: Judge): Outcome {
    const decoded = readWelcome(bytes);
    if (decoded.kind === "malformed") return { answer: decoded.rule };
    // Whom it addresses is all that is public of a Welcome.
    const refs = decoded.value.secrets.map(({ keyPackageRef }) => keyPackageRef);
    return taken(matchWelcomes([decoded.value], this.#refs, 1, judge), Buffer.concat(refs));
  }

  async #openWith(bytes: Uint8Array, judge: Judge): Promise<Outcome> {
    const tree = readRatchetTree(bytes, 1);
    if (tree.kind === "malformed") return { answer: tree.rule };
    const info = readGroupInfo(this.#info);
    if (info.kind === "malformed") throw new Error(info.why);
    const terms = { judge, provider: createBasicProvider(), nowMs: NOW_MS };
    const outcome = await openPublicGroup(info.value, tree.value, terms);
    if (outcome.kind === "refused") return { answer: outcome.rule };
    return { answer: "opened", covered: encodeRatchetTree(outcome.group.tree) };
  }

  #tree(): Uint8Array {
    return encodeRatchetTree(this.group.group.tree);
  }

  #handshakes(): Uint8Array[] {
    const { group } = this;
    const add = proposals.add(buildKeyPackage(newMember("new")));
    const joining = newMember("joining");
    const custom = proposals.custom(ALL_CUSTOM[0]?.type as number);
    const several = [
      add,
      proposals.remove(1),
      proposals.externalPsk("k"),
      proposals.contextExtensions([senders]),
      custom,
    ];
    const by = (built: typeof add) => group.proposalBytes(built, memberSender(0), group.member(0));
    const resync = [proposals.externalInit(), proposals.remove(1)];
    return [
      group.commit({ committer: 0, proposals: several }).message,
      group.commit({ committer: 1 }).message,
      group.commit({ committer: 1, proposals: [add], path: false }).message,
      group.commit({ committer: 1, proposals: [proposals.reinit()], path: false }).message,
      group.commit({ joiner: newMember("joiner"), proposals: [proposals.externalInit()] }).message,
      group.commit({ joiner: newMember("again"), proposals: resync }).message,
      ...[add, proposals.remove(1), proposals.contextExtensions([senders]), custom].map(by),
      by(updateOf(group, 0, { capabilities: group.group.tree.leaf(0)?.capabilities as never })),
      group.proposalBytes(proposals.remove(1), externalSender(0), moderator),
      group.proposalBytes(proposals.add(buildKeyPackage(joining)), NEW_MEMBER, joining),
    ];
  }
}

function taken(refusal: MlsRefusal | undefined, covered: Uint8Array): Outcome {
  return refusal === undefined ? { answer: "matched", covered } : { answer: refusal.rule };
}

function welcomeFor(refs: readonly Uint8Array[]): Uint8Array {
  const secrets = new Writer();
  for (const ref of refs) secrets.opaque(ref).opaque(randomKey()).opaque(randomKey());
  return new Writer().u16(1).u16(3).u16(1).opaque(secrets.finish()).opaque(randomKey()).finish();
}
