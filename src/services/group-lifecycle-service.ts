// A group's beginning, its settings and its end (PROTOCOL §4), and the GroupInfo that joiners start from.
// Judged off the turn; decided by the group's actor.
import type { Applied, Refused } from "../actors/actor-port.ts";
import { GROUP_INFO_PART, type FirstState, type OwnedLeaf } from "../actors/group-state.ts";
import { widened } from "../actors/group-settings.ts";
import { GROUPS_LIST } from "../actors/tag-names.ts";
import { groupContextOf, readGroupInfo, type GroupInfo } from "../mls/group-info.ts";
import { encodeGroupContext } from "../mls/group-context.ts";
import { equalBytes } from "../mls/suites.ts";
import type { Params } from "../protocol/methods.ts";
import { broken, checkSignedBy } from "./group-checks.ts";
import type { FullTracking } from "./full-tracking.ts";
import type { GroupDirectory, GroupHead } from "./group-directory.ts";
import type { CheckedGroupInfo, GroupInfoChecks, TreeLeaf } from "./group-info-checks.ts";
import type { Answer } from "./request-port.ts";
import type { Successors } from "./successors.ts";
import {
  ask,
  done,
  placeOf,
  refused,
  refusedUnlessRemembered,
  settledInTime,
  type ApplicationRequest,
  type ServicePorts,
} from "./service-ports.ts";

interface FirstMembers {
  readonly kind: "members";
  readonly members: readonly string[];
  readonly full: FirstState | undefined;
  /** Who signed the GroupInfo, or says so; undefined: a stranger, or nobody that is known. */
  readonly founder: string | undefined;
}

/** What a create is admitted with. */
interface Admitted extends FirstMembers {
  readonly memberCount: number;
  readonly reservations: number;
}

/** Tries of one create while other groups reserve its id meanwhile. */
const CREATE_ATTEMPTS = 3;

export class GroupLifecycleService {
  readonly #ports: ServicePorts;
  readonly #groups: GroupDirectory;
  readonly #infos: GroupInfoChecks;
  readonly #full: FullTracking;
  readonly #successors: Successors;

  constructor(
    ports: ServicePorts,
    groups: GroupDirectory,
    successors: Successors,
    infos: GroupInfoChecks,
    full: FullTracking,
  ) {
    this.#ports = ports;
    this.#groups = groups;
    this.#infos = infos;
    this.#full = full;
    this.#successors = successors;
  }

  async create(request: ApplicationRequest, params: Params<"group.create">): Promise<Answer> {
    const { settings } = request;
    const wide = widened(settings, params.settings ?? {});
    if (wide !== undefined) return refused("SETTING_WIDENED", { details: { setting: wide } });
    const checked = await this.#infos.check(request, params.groupInfo, params.ratchetTree, params.tracking === "full");
    if (checked.kind === "refused") return checked;
    const { info } = checked;
    if (!settings.ciphersuites.includes(info.ciphersuite)) {
      return broken("GROUP_INFO_INVALID", "CIPHERSUITE", "12.4.3", "the application does not allow this ciphersuite");
    }
    if (info.groupId.length < 1 || info.groupId.length > 255) {
      return broken("GROUP_INFO_INVALID", "GROUP_ID", "PROTOCOL 4", "a group id has 1 to 255 bytes");
    }
    for (let attempt = 1; ; attempt += 1) {
      const outcome = await this.#createOnce(request, params, checked);
      if (outcome.kind === "refused") {
        if (outcome.refusal.reason === "STATE_MOVED" && attempt < CREATE_ATTEMPTS) continue;
        return outcome;
      }
      // The quota counts what stands in the index, so the next create must find this one there.
      if (settings.quotas.groups !== null) await settledInTime(outcome, request.deadline);
      return created(outcome, info);
    }
  }

  async #createOnce(
    request: ApplicationRequest,
    params: Params<"group.create">,
    checked: CheckedGroupInfo,
  ): Promise<Applied | Refused> {
    const { info, tree } = checked;
    const first = await this.#admit(request, params, checked);
    if (first.kind === "refused") return this.#unlessRemembered(request, info.groupId, first);
    const command = {
      type: "create",
      groupId: Buffer.from(info.groupId).toString("base64"),
      tracking: params.tracking,
      ciphersuite: info.ciphersuite,
      epoch: String(info.epoch),
      settings: params.settings ?? {},
      groupInfo: params.groupInfo,
      ...(params.tracking === "full" ? { full: first.full } : { tree: tree?.stored }),
      members: first.members,
      memberCount: first.memberCount,
      reservations: first.reservations,
      governed: request.settings,
    };
    return ask(this.#ports, request, this.#groups.address(request.applicationId, info.groupId), command, true);
  }

  async putGroupInfo(request: ApplicationRequest, params: Params<"group.putGroupInfo">): Promise<Answer> {
    const head = await this.#groups.head(request.applicationId, params.groupId);
    if (head === undefined) return refused("GROUP_NOT_FOUND");
    const checked = await this.#infos.check(request, params.groupInfo, undefined, false);
    if (checked.kind === "refused") return checked;
    const to = this.#groups.address(request.applicationId, params.groupId);
    const differs = await this.#differsFromStored(request, params.groupId, head, checked);
    const command = { type: "putGroupInfo", epoch: String(checked.info.epoch), groupInfo: params.groupInfo };
    const outcome =
      differs === undefined
        ? await ask(this.#ports, request, to, command, true)
        : await this.#unlessRemembered(request, params.groupId, differs);
    return outcome.kind === "refused" ? outcome : done({});
  }

  async update(request: ApplicationRequest, { groupId, settings }: Params<"group.update">): Promise<Answer> {
    const wide = widened(request.settings, settings);
    const to = this.#groups.address(request.applicationId, groupId);
    const command = { type: "update", settings, governed: request.settings };
    const outcome =
      wide === undefined
        ? await ask(this.#ports, request, to, command, true)
        : await this.#unlessRemembered(request, groupId, refused("SETTING_WIDENED", { details: { setting: wide } }));
    return outcome.kind === "refused" ? outcome : done(outcome.value as object);
  }

  async delete(request: ApplicationRequest, { groupId }: Params<"group.delete">): Promise<Answer> {
    const command = { type: "delete", governed: request.settings };
    const outcome = await ask(
      this.#ports,
      request,
      this.#groups.address(request.applicationId, groupId),
      command,
      true,
    );
    if (outcome.kind === "refused") return outcome;
    if (request.settings.quotas.groups !== null) await settledInTime(outcome, request.deadline);
    return done({});
  }

  /** A retry of what was applied is answered although the group or its application has gone on since (E4). */
  #unlessRemembered(
    request: ApplicationRequest,
    groupId: Uint8Array,
    { refusal }: Refused,
  ): Promise<Applied | Refused> {
    const { reason, ...extra } = refusal;
    const to = this.#groups.address(request.applicationId, groupId);
    return refusedUnlessRemembered(this.#ports, request, to, reason, extra);
  }

  /** Who the members are at the beginning, and that the application has room for them. */
  async #admit(
    request: ApplicationRequest,
    { as, tracking }: Params<"group.create">,
    checked: CheckedGroupInfo,
  ): Promise<Admitted | Refused> {
    const first = await this.#firstMembers(request, as, checked, tracking);
    if (first.kind === "refused") return first;
    const { settings, applicationId } = request;
    const memberCount = checked.tree?.stored.members ?? first.members.length;
    if (memberCount > settings.groupMembersMax) return refused("MEMBERS_LIMIT");
    const { groups } = settings.quotas;
    if (groups !== null && (await this.#ports.store.countTag(applicationId, GROUPS_LIST)) >= groups) {
      return refused("QUOTA", { details: { quota: "groups" } });
    }
    const successor = await this.#successors.admit(request, checked.info, first.founder);
    if (successor.kind === "refused") return successor;
    return { ...first, memberCount, reservations: successor.reservations };
  }

  /** The clients that are members at the beginning: the tree's leaves, or who says `as`. */
  async #firstMembers(
    request: ApplicationRequest,
    as: string | undefined,
    { info, tree }: CheckedGroupInfo,
    tracking: Params<"group.create">["tracking"],
  ): Promise<FirstMembers | Refused> {
    if (as !== undefined) {
      const [client] = await this.#groups.identities(request.applicationId, [as]);
      if (client === undefined) return refused("AS_MISMATCH");
    }
    if (tree === undefined) {
      if (tracking === "full")
        return broken("TREE_INVALID", "TREE_MISSING", "12.4.3.3", "full tracking begins with the tree");
      return { kind: "members", members: as === undefined ? [] : [as], full: undefined, founder: as };
    }
    const leaves = await this.#ownedLeaves(request, tree.leaves);
    const members = leaves.flatMap(({ clientId }) => clientId ?? []);
    const founder = leaves.find(({ leaf }) => leaf === info.signer)?.clientId;
    if (as !== undefined && founder !== as) return refused("AS_MISMATCH");
    if (tracking === "ordering") return { kind: "members", members: [...new Set(members)], full: undefined, founder };
    if (members.length < leaves.length && !request.settings.strangers) {
      return broken("TREE_INVALID", "LEAF_CLIENT", "PROTOCOL M5", "a leaf is no client's current identity");
    }
    if (new Set(members).size !== members.length) {
      return broken("TREE_INVALID", "ONE_LEAF_A_CLIENT", "PROTOCOL M5", "a client has two leaves");
    }
    const snapshot = {
      ...tree.stored,
      groupContext: encodeGroupContext(groupContextOf(info)),
      confirmationTag: info.confirmationTag,
    };
    return { kind: "members", members, full: { snapshot, leaves }, founder };
  }

  async #ownedLeaves(request: ApplicationRequest, leaves: readonly TreeLeaf[]): Promise<OwnedLeaf[]> {
    const credentials = leaves.map(({ credential }) => credential);
    // Where the tree was judged as a joiner would, the provider has been asked about each of them.
    const asked = leaves.every(({ holder }) => holder !== undefined);
    const clients = asked
      ? await this.#groups.clientsHolding(
          request.applicationId,
          leaves.map(({ holder }) => holder),
          credentials,
        )
      : await this.#groups.clientsOf(request, credentials);
    return leaves.map(({ leaf }, n) => ({ leaf, ...(clients[n] === undefined ? {} : { clientId: clients[n] }) }));
  }

  /** Another member's GroupInfo for the same epoch: equal in context and confirmation tag. */
  async #differsFromStored(
    request: ApplicationRequest,
    groupId: Uint8Array,
    head: GroupHead,
    { info }: CheckedGroupInfo,
  ): Promise<Refused | undefined> {
    if (!equalBytes(info.groupId, groupId))
      return broken("GROUP_INFO_INVALID", "GROUP_INFO_CONTEXT", "12.4.3", "it is another group's");
    if (String(info.epoch) !== head.context.epoch)
      return broken("GROUP_INFO_INVALID", "GROUP_INFO_CONTEXT", "12.4.3", "it is not of the current epoch");
    if (head.context.tracking === "full") return this.#full.matchGroupInfo(request, head, info);
    const tree = await this.#groups.currentTree(request.applicationId, head);
    const signature = tree === undefined ? undefined : await checkSignedBy(info, tree);
    if (signature !== undefined) return signature;
    const { shard, actor } = placeOf(this.#ports.store, this.#groups.address(request.applicationId, groupId));
    const [bytes] = await this.#ports.store.readParts(shard, actor, [GROUP_INFO_PART]);
    const stored = bytes === undefined ? undefined : readGroupInfo(bytes);
    if (stored?.kind !== "ok" || stored.value.epoch !== info.epoch) return undefined;
    if (!equalBytes(stored.value.groupContext, info.groupContext)) {
      return broken("GROUP_INFO_INVALID", "GROUP_INFO_CONTEXT", "12.4.3", "its context is not the epoch's");
    }
    if (!equalBytes(stored.value.confirmationTag, info.confirmationTag)) {
      return broken("GROUP_INFO_INVALID", "GROUP_INFO_TAG", "12.4.3", "its confirmation tag is not the epoch's");
    }
    return undefined;
  }
}

function created(outcome: Applied, { groupId, epoch }: GroupInfo): Answer {
  const { offset } = outcome.value as { offset: number };
  return done({ groupId, epoch, position: { lineage: outcome.lineage, offset } });
}
