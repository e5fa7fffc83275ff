// What can be read of groups (PROTOCOL §4): head, tree, members, and the groups of a client. Reads come from
// the store and need no owner (L3); nothing here changes a group.
import { GROUP_INFO_PART, PROPOSAL_PREFIX, type GroupContext } from "../actors/group-state.ts";
import { membershipPart } from "../actors/inbox.ts";
import { encodedTreeSize, encodeTreeSlice } from "../mls/ratchet-tree.ts";
import { decode } from "../protocol/codec.ts";
import type { Params } from "../protocol/methods.ts";
import type { GroupDirectory, GroupHead } from "./group-directory.ts";
import type { GroupFollower } from "./group-follower.ts";
import { memberName } from "./group-roster.ts";
import type { Answer } from "./request-port.ts";
import {
  done,
  makeCursor,
  nextStep,
  placeOf,
  readCursor,
  readRecords,
  refused,
  type ApplicationRequest,
  type ServicePorts,
} from "./service-ports.ts";

/** Memberships whose groups are read in one step. */
const MEMBERSHIPS_AT_ONCE = 256;
const PROPOSALS_READ_MAX = 2048;
/** Reads of one group while commits begin other epochs meanwhile. */
const READ_ATTEMPTS = 5;

export class GroupService {
  readonly #ports: ServicePorts;
  readonly #groups: GroupDirectory;
  readonly #follower: GroupFollower;

  constructor(ports: ServicePorts, groups: GroupDirectory, follower: GroupFollower) {
    this.#ports = ports;
    this.#groups = groups;
    this.#follower = follower;
  }

  async get(request: ApplicationRequest, { groupId, include }: Params<"group.get">): Promise<Answer> {
    let head = await this.#groups.headOrClosed(request.applicationId, groupId);
    for (let attempt = 1; head !== undefined; attempt += 1) {
      const { state, context } = head;
      const beside = await this.#beside(request, groupId, include);
      const position = await this.#groups.position(request.applicationId, head);
      // What is stored beside the head is of its epoch only if that still lasts: a GroupInfo is served in its own (M8).
      head = beside === undefined ? head : await this.#groups.headOrClosed(request.applicationId, groupId);
      if (head?.state !== state || head.context.epoch !== context.epoch) {
        if (attempt === READ_ATTEMPTS) return refused("STATE_MOVED");
        continue;
      }
      return done({
        groupId,
        epoch: BigInt(context.epoch),
        position,
        state,
        tracking: context.tracking,
        ciphersuite: context.ciphersuite,
        members: context.members,
        treeBytes: context.treeBytes,
        ...beside,
        settings: include.includes("settings") ? context.settings : undefined,
      });
    }
    return refused("GROUP_NOT_FOUND");
  }

  /** undefined: nothing of it is asked for. */
  async #beside(
    { applicationId }: ApplicationRequest,
    groupId: Uint8Array,
    include: Params<"group.get">["include"],
  ): Promise<{ readonly groupInfo?: Uint8Array; readonly proposals?: unknown[] } | undefined> {
    const { store } = this.#ports;
    const { shard, actor } = placeOf(store, this.#groups.address(applicationId, groupId));
    const wantsInfo = include.includes("groupInfo");
    if (!wantsInfo && !include.includes("proposals")) return undefined;
    const [groupInfo] = wantsInfo ? await store.readParts(shard, actor, [GROUP_INFO_PART]) : [];
    const proposals = include.includes("proposals")
      ? await store.listParts(shard, actor, { prefix: PROPOSAL_PREFIX, limit: PROPOSALS_READ_MAX })
      : undefined;
    return {
      ...(groupInfo === undefined ? {} : { groupInfo }),
      ...(proposals === undefined ? {} : { proposals: proposals.map(({ bytes }) => decode(bytes)) }),
    };
  }

  async tree(request: ApplicationRequest, params: Params<"group.tree">): Promise<Answer> {
    for (let attempt = 1; ; attempt += 1) {
      const head = await this.#groups.head(request.applicationId, params.groupId);
      if (head === undefined) return refused("GROUP_NOT_FOUND");
      const slice = await this.#treeOf(request, params, head);
      if (slice !== undefined) return done(slice);
      if (params.epoch !== undefined) return refused("EPOCH_PRUNED");
      // The present epoch's tree goes when the next one begins: read after that, there is another.
      const now = await this.#groups.head(request.applicationId, params.groupId);
      if (now?.context.epoch === head.context.epoch) return refused("EPOCH_PRUNED");
      if (attempt === READ_ATTEMPTS) return refused("STATE_MOVED");
    }
  }

  /** undefined: that epoch's tree is not there. */
  async #treeOf(
    request: ApplicationRequest,
    params: Params<"group.tree">,
    { context }: GroupHead,
  ): Promise<object | undefined> {
    const { groupId, from, bytesMax } = params;
    const epoch = params.epoch ?? BigInt(context.epoch);
    const share = Math.min(bytesMax, TREE_ANSWER_BYTES_MAX);
    if (context.tracking === "full") {
      const group = await this.#follower.at(request.applicationId, context, epoch, request.settings);
      if (group === undefined) return undefined;
      const { treeHash } = group.context;
      const total = encodedTreeSize(group.tree);
      return { ratchetTree: encodeTreeSlice(group.tree, from, share), total, epoch, treeHash };
    }
    const kept = await this.#groups.keptTree(request.applicationId, context, epoch);
    if (kept === undefined) return undefined;
    const ratchetTree = await this.#groups.treeSlice(request.applicationId, groupId, kept, from, share);
    if (ratchetTree === undefined) return undefined;
    return { ratchetTree, total: kept.bytes, epoch, treeHash: Buffer.from(kept.treeHash, "base64") };
  }

  async members(request: ApplicationRequest, params: Params<"group.members">): Promise<Answer> {
    const { groupId, limit } = params;
    const head = await this.#groups.head(request.applicationId, groupId);
    if (head === undefined) return refused("GROUP_NOT_FOUND");
    const after = readCursor("members", params.cursor);
    if (after === undefined) return refused("CURSOR_INVALID");
    // One more than asked for tells whether there are others.
    const place = this.#groups.place(request.applicationId, head.context);
    const found = await this.#groups.roster.members(place, head.context, after, limit + 1);
    const listed = found.slice(0, limit);
    const identities = await this.#groups.identities(
      request.applicationId,
      listed.map(({ clientId }) => clientId ?? ""),
    );
    const members = listed.map((member, n) => {
      const identity = identities[n]?.identity;
      return { ...member, handle: identity?.handle, notAfter: identity?.notAfter };
    });
    const last = listed.at(-1);
    const cursor = found.length > limit && last !== undefined ? memberName(last) : undefined;
    return done({ members, ...(cursor === undefined ? {} : { cursor: makeCursor("members", cursor) }) });
  }

  async list(request: ApplicationRequest, { clientId }: Params<"group.list">): Promise<Answer> {
    const { applicationId } = request;
    const [identity] = await this.#groups.identities(applicationId, [clientId]);
    if (identity === undefined) return refused("CLIENT_NOT_FOUND");
    const { store } = this.#ports;
    const { shard, actor } = placeOf(store, { applicationId, kind: "identity", id: clientId });
    const query = { prefix: membershipPart(""), limit: MEMBERSHIPS_AT_ONCE };
    const groups: object[] = [];
    for (let after = {}; ;) {
      const parts = await store.listParts(shard, actor, { ...query, ...after });
      groups.push(...(await this.#standing(applicationId, parts)));
      const last = parts.at(-1);
      if (last === undefined || parts.length < MEMBERSHIPS_AT_ONCE) return done({ groups });
      after = { after: last.name };
      const unwanted = await nextStep(this.#ports, request);
      if (unwanted !== undefined) return unwanted;
    }
  }

  /** Who joined a group while it was being deleted, or has not been told of its end yet, still has the membership. */
  async #standing(applicationId: string, memberships: readonly { readonly bytes: Uint8Array }[]): Promise<object[]> {
    const addresses = memberships.map(({ bytes }) => this.#groups.address(applicationId, bytes));
    const records = await readRecords<GroupContext>(this.#ports.store, addresses);
    const standing = records.filter(
      (record) => record?.state === "active" || record?.state === "reinit",
    ) as GroupHead[];
    const positions = await Promise.all(standing.map((head) => this.#groups.position(applicationId, head)));
    return standing.map(({ context: { groupId, epoch } }, n) => {
      return { groupId: Buffer.from(groupId, "base64"), epoch: BigInt(epoch), position: positions[n] };
    });
  }
}

/** One answer's share of a tree. */
const TREE_ANSWER_BYTES_MAX = 2_097_152;
