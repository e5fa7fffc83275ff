// The public state of groups in `full` tracking: loaded from the newest snapshot, moved on by replaying the
// log, kept for a while. What stands in the log was judged when it came and is not judged again.
import type { GroupContext, Sender as LogSender } from "../actors/group-state.ts";
import { snapshotPart, type KeptTree } from "../actors/group-trees.ts";
import { proposalRef, readGroupMessage, type PublicCommit } from "../mls/framing.ts";
import { followCommit } from "../mls/public-group/follow-commit.ts";
import type { SentProposal } from "../mls/public-group/proposal-list.ts";
import { loadPublicGroupWork, type PublicGroup } from "../mls/public-group/public-group.ts";
import { encodedTreeSize } from "../mls/ratchet-tree.ts";
import { finishInSteps } from "../mls/work.ts";
import { Judge, RULES, type Rule } from "../mls/rules.ts";
import { isCiphersuite, type Ciphersuite } from "../mls/suites.ts";
import { TreeHasher } from "../mls/tree/tree-hasher.ts";
import { decode } from "../protocol/codec.ts";
import type { Settings } from "../protocol/schemas/application.ts";
import type { GroupDirectory } from "./group-directory.ts";
import { pause, placeOf, type ServicePorts } from "./service-ports.ts";

export interface FollowerLimits {
  /** Bytes of encoded trees of the groups kept in memory; the least recently used go first. */
  readonly followedTreeBytesMax: number;
}

/** The log or a snapshot that the head tells of is not there: the store broke a promise. */
export class JournalBroken extends Error {
  override readonly name = "JournalBroken";
}

const REPLAY_EVENTS = 256;
const REPLAY_BYTES = 4_194_304;
/** Judged when it was accepted: nothing is judged twice. */
const trusting = new Judge(new Set(Object.keys(RULES) as Rule[]));

/** A group's state, and what began its epoch, as the head says it. */
interface Followed {
  readonly group: PublicGroup;
  readonly begunBy: string | undefined;
}

interface Kept extends Followed {
  readonly bytes: number;
}

export class GroupFollower {
  readonly #ports: ServicePorts;
  readonly #groups: GroupDirectory;
  readonly #limits: FollowerLimits;
  readonly #kept = new Map<string, Kept>();
  readonly #loading = new Map<string, Promise<PublicGroup>>();
  readonly #hashers = new Map<Ciphersuite, TreeHasher>();
  #bytes = 0;

  constructor(ports: ServicePorts, groups: GroupDirectory, limits: FollowerLimits) {
    this.#ports = ports;
    this.#groups = groups;
    this.#limits = limits;
  }

  /** The group's public state at the head's epoch. */
  current(applicationId: string, context: GroupContext, settings: Settings): Promise<PublicGroup> {
    const name = nameOf(applicationId, context.id);
    const kept = this.#kept.get(name);
    if (kept !== undefined && String(kept.group.epoch) === context.epoch && kept.begunBy === context.begunBy) {
      this.#kept.delete(name);
      this.#kept.set(name, kept);
      return Promise.resolve(kept.group);
    }
    const loadingName = `${name}/${context.epoch}/${context.begunBy ?? ""}`;
    const loading =
      this.#loading.get(loadingName) ??
      this.#load(applicationId, context, settings).finally(() => this.#loading.delete(loadingName));
    this.#loading.set(loadingName, loading);
    return loading;
  }

  /** The state at an earlier epoch; undefined: it can't be replayed any more. */
  async at(
    applicationId: string,
    context: GroupContext,
    epoch: bigint,
    settings: Settings,
  ): Promise<PublicGroup | undefined> {
    if (String(epoch) === context.epoch) return this.current(applicationId, context, settings);
    if (epoch > BigInt(context.epoch)) return undefined;
    const from = context.trees.findLast((tree) => BigInt(tree.epoch) <= epoch);
    return from === undefined ? undefined : this.#replay(applicationId, context, from, epoch, settings);
  }

  /** A commit was accepted: the group stands here now. After history was lost that may be an earlier epoch. */
  moved(applicationId: string, groupActorId: string, followed: Followed): void {
    const name = nameOf(applicationId, groupActorId);
    const before = this.#kept.get(name);
    const kept = { ...followed, bytes: encodedTreeSize(followed.group.tree) };
    this.#kept.delete(name);
    this.#kept.set(name, kept);
    this.#bytes += kept.bytes - (before?.bytes ?? 0);
    for (const [oldest, { bytes }] of this.#kept) {
      if (this.#bytes <= this.#limits.followedTreeBytesMax || oldest === name) return;
      this.#kept.delete(oldest);
      this.#bytes -= bytes;
    }
  }

  async #load(applicationId: string, context: GroupContext, settings: Settings): Promise<PublicGroup> {
    const kept = this.#kept.get(nameOf(applicationId, context.id));
    const newest = context.trees.at(-1);
    if (newest === undefined) throw new JournalBroken("a followed group has no snapshot");
    const target = BigInt(context.epoch);
    const isOnTheWay = kept !== undefined && kept.group.epoch < target && kept.group.epoch >= BigInt(newest.epoch);
    const after = isOnTheWay ? await this.#standsAt(applicationId, context, kept) : undefined;
    const group =
      isOnTheWay && after !== undefined
        ? await this.#replayFrom(applicationId, context, kept.group, target, settings, after)
        : await this.#replay(applicationId, context, newest, target, settings);
    this.moved(applicationId, context.id, { group, begunBy: context.begunBy });
    return group;
  }

  /** The offset of the commit that began a kept state; undefined: the log does not say, or has another. */
  async #standsAt(applicationId: string, context: GroupContext, { group, begunBy }: Kept): Promise<number | undefined> {
    const groupId = Buffer.from(context.groupId, "base64");
    const beginning = await this.#groups.beginning(applicationId, groupId, group.epoch);
    return beginning?.digest === begunBy ? beginning?.offset : undefined;
  }

  async #replay(
    applicationId: string,
    context: GroupContext,
    snapshot: KeptTree,
    target: bigint,
    settings: Settings,
  ): Promise<PublicGroup> {
    const groupId = Buffer.from(context.groupId, "base64");
    const { shard, actor } = placeOf(this.#ports.store, this.#groups.address(applicationId, groupId));
    const [state] = await this.#ports.store.readParts(shard, actor, [snapshotPart(snapshot.epoch)]);
    const ratchetTree = await this.#groups.treeSlice(applicationId, groupId, snapshot, 0, snapshot.bytes);
    if (state === undefined || ratchetTree === undefined) throw new JournalBroken("a group's snapshot is gone");
    const { groupContext, confirmationTag } = decode(state) as {
      groupContext: Uint8Array;
      confirmationTag: Uint8Array;
    };
    const kept = { groupContext, confirmationTag, ratchetTree };
    const loaded = await finishInSteps(loadPublicGroupWork(kept, this.#hasherOf(context.ciphersuite)), pause);
    if (loaded.kind !== "ok") throw new JournalBroken("a group's snapshot can't be read");
    return this.#replayFrom(applicationId, context, loaded.value, target, settings, snapshot.offset);
  }

  /** One for all groups of a suite: what it remembers of blank subtrees is the same in each. */
  #hasherOf(ciphersuite: number): TreeHasher | undefined {
    if (!isCiphersuite(ciphersuite)) return undefined;
    const hasher = this.#hashers.get(ciphersuite) ?? new TreeHasher(ciphersuite);
    this.#hashers.set(ciphersuite, hasher);
    return hasher;
  }

  /** Takes the log's commits from `group`'s epoch to the target's. */
  async #replayFrom(
    applicationId: string,
    context: GroupContext,
    group: PublicGroup,
    target: bigint,
    settings: Settings,
    offset = 0,
  ): Promise<PublicGroup> {
    const groupId = Buffer.from(context.groupId, "base64");
    const { shard, actor } = placeOf(this.#ports.store, this.#groups.address(applicationId, groupId));
    let after = offset;
    let proposals = new Map<string, SentProposal>();
    let followed = group;
    while (followed.epoch < target) {
      const query = { after, limit: REPLAY_EVENTS, bytesMax: REPLAY_BYTES };
      const { entries } = await this.#ports.store.readStream(shard, actor, query);
      if (entries.length === 0) throw new JournalBroken("a group's log ends before its epoch");
      for (const { offset: at, type, body, time } of entries) {
        after = at;
        if (type === "proposal") rememberProposal(proposals, body, group.ciphersuite);
        if (type !== "commit") continue;
        followed = await this.#replayCommit(followed, body, proposals, settings, time);
        proposals = new Map();
        if (followed.epoch === target) break;
      }
    }
    return followed;
  }

  async #replayCommit(
    group: PublicGroup,
    body: Uint8Array,
    proposals: ReadonlyMap<string, SentProposal>,
    settings: Settings,
    nowMs: number,
  ): Promise<PublicGroup> {
    const message = readGroupMessage((decode(body) as { message: Uint8Array }).message);
    if (message.kind !== "ok") throw new JournalBroken("a logged commit can't be read");
    const outcome = await followCommit(group, message.value as PublicCommit, {
      judge: trusting,
      provider: this.#ports.identityProviders.of(settings),
      nowMs,
      customProposals: settings.proposalTypes,
      findProposal: (ref) => proposals.get(Buffer.from(ref).toString("hex")),
    });
    if (outcome.kind !== "followed") throw new JournalBroken("a logged commit does not follow");
    return outcome.group;
  }
}

function rememberProposal(
  proposals: Map<string, SentProposal>,
  body: Uint8Array,
  ciphersuite: PublicGroup["ciphersuite"],
): void {
  const message = readGroupMessage((decode(body) as { message: Uint8Array; sender?: LogSender }).message);
  if (message.kind !== "ok" || message.value.wireFormat !== "public" || message.value.contentType !== "proposal")
    return;
  const { proposal, sender } = message.value;
  const ref = proposalRef(message.value, ciphersuite);
  proposals.set(Buffer.from(ref).toString("hex"), { proposal, sender });
}

function nameOf(applicationId: string, groupActorId: string): string {
  return `${applicationId}/${groupActorId}`;
}
