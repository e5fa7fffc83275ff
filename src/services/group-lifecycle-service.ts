// A group's beginning, its settings and its end (PROTOCOL §4), and the GroupInfo that joiners start from.
// Judged off the turn; decided by the group's actor.
import { createHash } from "node:crypto";
import type { Applied, Refused } from "../actors/actor-port.ts";
import { GROUP_INFO_PART, type JudgedEpoch } from "../actors/group-state.ts";
import { widened } from "../actors/group-settings.ts";
import { GROUPS_LIST } from "../actors/tag-names.ts";
import { readGroupInfo, type GroupInfo } from "../mls/group-info.ts";
import { equalBytes } from "../mls/suites.ts";
import { finishInSteps } from "../mls/work.ts";
import type { Params } from "../protocol/methods.ts";
import { broken, checkSignedBy } from "./group-checks.ts";
import { CreationQuota } from "./creation-quota.ts";
import { FirstMembers, type Beginning } from "./first-members.ts";
import type { FullTracking } from "./full-tracking.ts";
import { judgedEpoch, type GroupDirectory, type GroupHead } from "./group-directory.ts";
import type { CheckedGroupInfo, GroupInfoChecks } from "./group-info-checks.ts";
import { memberName } from "./group-roster.ts";
import type { Answer } from "./request-port.ts";
import { pagesWork } from "./roster-pages.ts";
import type { Successors } from "./successors.ts";
import {
  ask,
  done,
  nextStep,
  pause,
  placeOf,
  refused,
  refusedUnlessRemembered,
  settledInTime,
  type ApplicationRequest,
  type ServicePorts,
} from "./service-ports.ts";

/** What a create is admitted with. */
interface Admitted extends Beginning {
  readonly memberCount: number;
  readonly reservations: number;
}

/** Members of a group that ends, read in one step. */
const MEMBERS_AT_ONCE = 1_024;
/** Tries of one create while other groups reserve its id meanwhile. */
const CREATE_ATTEMPTS = 3;

export class GroupLifecycleService {
  readonly #ports: ServicePorts;
  readonly #groups: GroupDirectory;
  readonly #infos: GroupInfoChecks;
  readonly #full: FullTracking;
  readonly #successors: Successors;
  readonly #quota: CreationQuota;
  readonly #first: FirstMembers;

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
    this.#quota = new CreationQuota(ports.store, GROUPS_LIST);
    this.#first = new FirstMembers(groups);
  }

  async create(request: ApplicationRequest, params: Params<"group.create">): Promise<Answer> {
    const checked = await this.#checked(request, params);
    if (checked.kind === "refused") return this.#refusedCreate(request, params, checked);
    const { info } = checked;
    const made = await this.#quota.within(request.applicationId, request.settings.quotas.groups, () =>
      this.#createIndexed(request, params, checked),
    );
    const full = refused("QUOTA", { details: { quota: "groups" } });
    const outcome = made ?? (await this.#unlessRemembered(request, info.groupId, full));
    return outcome.kind === "refused" ? outcome : created(outcome, info);
  }

  /** What the application allows, of a group that is whole in itself. */
  async #checked(request: ApplicationRequest, params: Params<"group.create">): Promise<CheckedGroupInfo | Refused> {
    const { settings } = request;
    const wide = widened(settings, params.settings ?? {});
    if (wide !== undefined) return refused("SETTING_WIDENED", { details: { setting: wide } });
    const checked = await this.#infos.check(request, params.groupInfo, params.ratchetTree, params.tracking === "full");
    if (checked.kind === "refused") return checked;
    if (!settings.ciphersuites.includes(checked.info.ciphersuite)) {
      return broken("GROUP_INFO_INVALID", "CIPHERSUITE", "12.4.3", "the application does not allow this ciphersuite");
    }
    if (!isGroupId(checked.info.groupId)) {
      return broken("GROUP_INFO_INVALID", "GROUP_ID", "PROTOCOL 4", "a group id has 1 to 255 bytes");
    }
    return checked;
  }

  /** The group that the create names may have been made by the very same request, when more was allowed (E4). */
  async #refusedCreate(
    request: ApplicationRequest,
    { groupInfo }: Params<"group.create">,
    refused: Refused,
  ): Promise<Answer> {
    const decoded = request.key === undefined ? undefined : readGroupInfo(groupInfo);
    if (decoded?.kind !== "ok" || !isGroupId(decoded.value.groupId)) return refused;
    const outcome = await this.#unlessRemembered(request, decoded.value.groupId, refused);
    return outcome.kind === "refused" ? outcome : created(outcome, decoded.value);
  }

  async #createIndexed(
    request: ApplicationRequest,
    params: Params<"group.create">,
    checked: CheckedGroupInfo,
  ): Promise<Applied | Refused> {
    for (let attempt = 1; ; attempt += 1) {
      const outcome = await this.#createOnce(request, params, checked);
      if (outcome.kind === "refused") {
        if (outcome.refusal.reason === "STATE_MOVED" && attempt < CREATE_ATTEMPTS) continue;
        return outcome;
      }
      // The quota counts what stands in the index, so the next create must find this one there.
      if (request.settings.quotas.groups !== null) await settledInTime(outcome, request.deadline);
      return outcome;
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
      digest: createHash("sha256").update(params.groupInfo).digest("base64"),
      ...(params.tracking === "full"
        ? { full: first.full }
        : { tree: tree?.stored, everyMemberKnown: first.everyMember }),
      members: first.members,
      memberCount: first.memberCount,
      reservations: first.reservations,
      governed: request.settings,
    };
    return ask(this.#ports, request, this.#groups.address(request.applicationId, info.groupId), command, true);
  }

  async putGroupInfo(request: ApplicationRequest, params: Params<"group.putGroupInfo">): Promise<Answer> {
    const { groupId, groupInfo } = params;
    const judged = await this.#judgedForPresent(request, params);
    if (judged.kind === "refused") {
      const outcome = await this.#unlessRemembered(request, groupId, judged);
      return outcome.kind === "refused" ? outcome : done({});
    }
    const to = this.#groups.address(request.applicationId, groupId);
    const command = { type: "putGroupInfo", ...judged.epoch, groupInfo };
    const outcome = await ask(this.#ports, request, to, command, true);
    return outcome.kind === "refused" ? outcome : done({});
  }

  async #judgedForPresent(
    request: ApplicationRequest,
    { groupId, groupInfo }: Params<"group.putGroupInfo">,
  ): Promise<{ readonly kind: "judged"; readonly epoch: JudgedEpoch } | Refused> {
    const head = await this.#groups.head(request.applicationId, groupId);
    if (head === undefined) return refused("GROUP_NOT_FOUND");
    const checked = await this.#infos.check(request, groupInfo, undefined, false);
    if (checked.kind === "refused") return checked;
    const refusal = await this.#differsFromStored(request, groupId, head, checked);
    return refusal ?? { kind: "judged", epoch: judgedEpoch(head.context) };
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
    const members = await this.#membersOf(request, groupId);
    if ("kind" in members) return members;
    const command = { type: "delete", members, governed: request.settings };
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

  /** The clients that are members now, in pages. */
  async #membersOf(request: ApplicationRequest, groupId: Uint8Array): Promise<readonly Uint8Array[] | Refused> {
    const { applicationId } = request;
    const head = await this.#groups.head(applicationId, groupId);
    if (head === undefined) return [];
    const place = this.#groups.place(applicationId, head.context);
    const clients: string[] = [];
    for (let after = ""; ;) {
      const some = await this.#groups.roster.members(place, head.context, after, MEMBERS_AT_ONCE);
      for (const { clientId } of some) if (clientId !== undefined) clients.push(clientId);
      const last = some.at(-1);
      if (last === undefined || some.length < MEMBERS_AT_ONCE) return finishInSteps(pagesWork(clients), pause);
      after = memberName(last);
      const unwanted = await nextStep(this.#ports, request);
      if (unwanted !== undefined) return unwanted;
    }
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
    const first = await this.#first.find(request, as, checked, tracking);
    if (first.kind === "refused") return first;
    const { settings } = request;
    const memberCount = checked.tree?.stored.members ?? first.count;
    if (memberCount > settings.groupMembersMax) return refused("MEMBERS_LIMIT");
    const successor = await this.#successors.admit(request, checked.info, first.founder);
    if (successor.kind === "refused") return successor;
    return { ...first, memberCount, reservations: successor.reservations };
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

function isGroupId({ length }: Uint8Array): boolean {
  return length >= 1 && length <= 255;
}

function created(outcome: Applied, { groupId, epoch }: GroupInfo): Answer {
  const { offset } = outcome.value as { offset: number };
  return done({ groupId, epoch, position: { lineage: outcome.lineage, offset } });
}
