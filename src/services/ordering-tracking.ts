// `ordering` tracking: the application tells who is added and removed; handshakes may be PrivateMessages.
// Checks shape, sender as far as it can be seen, GroupInfo and tree when given (PROTOCOL §4).
import type { Refused } from "../actors/actor-port.ts";
import type { Sender } from "../actors/group-state.ts";
import { proposalRef, type GroupMessage, type PublicGroupMessage, type Sender as MlsSender } from "../mls/framing.ts";
import type { LeafNode } from "../mls/leaf-node.ts";
import { equalBytes, isCiphersuite } from "../mls/suites.ts";
import type { Params } from "../protocol/methods.ts";
import { broken } from "./group-checks.ts";
import type { GroupDirectory, GroupHead } from "./group-directory.ts";
import type { CheckedGroupInfo, GroupInfoChecks } from "./group-info-checks.ts";
import { refused, type ApplicationRequest } from "./service-ports.ts";
import {
  splitWelcomes,
  welcomesToInboxes,
  wholeWelcomes,
  type AddressedWelcome,
  type WelcomesToInboxes,
} from "./split-welcomes.ts";
import type { JudgedCommit, JudgedProposal, Tracking } from "./tracking.ts";

type CommitParams = Params<"group.commit">;

interface Recipients extends WelcomesToInboxes {
  readonly kind: "recipients";
  readonly undelivered: JudgedCommit["undelivered"];
}

interface Originator {
  readonly kind: "originator";
  readonly sender: Sender | undefined;
  /** The client that joins by an external commit. */
  readonly joiner: string | undefined;
}

export class OrderingTracking implements Tracking {
  readonly #groups: GroupDirectory;
  readonly #infos: GroupInfoChecks;

  constructor(groups: GroupDirectory, infos: GroupInfoChecks) {
    this.#groups = groups;
    this.#infos = infos;
  }

  async commit(
    request: ApplicationRequest,
    params: CommitParams,
    head: GroupHead,
    message: GroupMessage,
  ): Promise<JudgedCommit | Refused> {
    const recipients = await this.#recipients(request, params, head);
    if (recipients.kind === "refused") return recipients;
    const info = await this.#nextGroupInfo(request, params, head, message);
    if (info?.kind === "refused") return info;
    const originator = await this.#originator(request, params.as, head, message);
    if (originator.kind === "refused") return originator;
    const { joiner, sender } = originator;
    const { applicationId } = request;
    const removed = (params.removed ?? []).filter((clientId) => clientId !== joiner);
    const command = {
      external: sender?.type === "newMember",
      resync: joiner !== undefined && (await this.#groups.isMember(applicationId, head.context, joiner)),
      added: joiner === undefined ? recipients.added : [...recipients.added, { clientId: joiner }],
      sharedWelcomes: recipients.sharedWelcomes,
      removed: await this.#leaving(applicationId, head, removed),
      ...(params.groupInfo === undefined ? {} : { groupInfo: params.groupInfo }),
      ...(info?.tree === undefined ? {} : { tree: info.tree.stored }),
    };
    return { kind: "judged", sender, command, undelivered: recipients.undelivered, accepted: () => undefined };
  }

  async propose(
    request: ApplicationRequest,
    params: Params<"group.propose">,
    head: GroupHead,
    message: GroupMessage,
  ): Promise<JudgedProposal | Refused> {
    const originator = await this.#originator(request, params.as, head, message);
    if (originator.kind === "refused") return originator;
    return { kind: "judged", sender: originator.sender, proposalRef: refOf(message, head.context.ciphersuite) };
  }

  async send(request: ApplicationRequest, { as }: Params<"group.send">, head: GroupHead): Promise<Refused | undefined> {
    if (as === undefined || (await this.#mayBeMember(request, head, as))) return undefined;
    return refused("AS_MISMATCH");
  }

  /** The GroupInfo of the epoch to come: same group and suite, the commit's own tag where it can be seen. */
  async #nextGroupInfo(
    request: ApplicationRequest,
    params: CommitParams,
    { context }: GroupHead,
    message: GroupMessage,
  ): Promise<CheckedGroupInfo | Refused | undefined> {
    if (params.groupInfo === undefined) {
      return params.ratchetTree === undefined
        ? undefined
        : refused("GROUP_INFO_REQUIRED", { message: "a tree is checked against its GroupInfo" });
    }
    const checked = await this.#infos.check(request, params.groupInfo, params.ratchetTree, false);
    if (checked.kind === "refused") return checked;
    const { info } = checked;
    const invalid = (rule: string, message: string): Refused => broken("GROUP_INFO_INVALID", rule, "12.4.3", message);
    if (!equalBytes(info.groupId, params.groupId)) return invalid("GROUP_INFO_CONTEXT", "it is another group's");
    if (info.epoch !== BigInt(context.epoch) + 1n) {
      return invalid("GROUP_INFO_CONTEXT", "it is not of the epoch that the commit begins");
    }
    if (info.ciphersuite !== context.ciphersuite) return invalid("GROUP_INFO_CONTEXT", "it is of another ciphersuite");
    if (message.wireFormat === "public" && message.contentType === "commit") {
      if (!equalBytes(info.confirmationTag, message.confirmationTag)) {
        return invalid("GROUP_INFO_TAG", "its confirmation tag is not the commit's");
      }
      if (message.sender.type === "member" && info.signer !== message.sender.leaf) {
        return invalid("GROUP_INFO_SIGNER", "it is not signed by the committer");
      }
    }
    return checked;
  }

  /** Who gets which Welcome: `added` says whose each key package is (M4). */
  async #recipients(
    request: ApplicationRequest,
    params: CommitParams,
    { context }: GroupHead,
  ): Promise<Recipients | Refused> {
    const welcomes = splitWelcomes(params.welcomes, context.ciphersuite);
    if (welcomes.kind === "refused") return welcomes;
    const left = new Map(welcomes.byRef);
    const recipients: { clientId: string; addressed: AddressedWelcome }[] = [];
    const named = params.added ?? [];
    const known = await this.#groups.identities(
      request.applicationId,
      named.map(({ clientId }) => clientId),
    );
    for (const [n, { clientId, keyPackageRef }] of named.entries()) {
      if (known[n] === undefined) return refused("CLIENT_NOT_FOUND", { details: { clientId } });
      const ref = Buffer.from(keyPackageRef).toString("hex");
      const addressed = left.get(ref);
      if (addressed === undefined) {
        return broken("WELCOME_MISMATCH", "WELCOME_MISSING", "12.4.1", "no Welcome addresses an added key package");
      }
      left.delete(ref);
      recipients.push({ clientId, addressed });
    }
    const undelivered = wholeWelcomes(welcomes, [...left.values()]);
    if (undelivered.kind === "refused") return undelivered;
    const toInboxes = welcomesToInboxes(welcomes, recipients);
    return { kind: "recipients", ...toInboxes, undelivered: undelivered.welcomes };
  }

  /** Each once; where every member is known, nobody who is none. */
  async #leaving(applicationId: string, { context }: GroupHead, removed: readonly string[]): Promise<string[]> {
    const named = [...new Set(removed)];
    if (context.everyMemberKnown !== true) return named;
    const place = this.#groups.place(applicationId, context);
    const standing = await this.#groups.roster.standing(place, context, named);
    return named.filter((_, n) => standing[n] !== undefined);
  }

  /** The sender as far as it can be known, and that `as` owns its leaf. */
  async #originator(
    request: ApplicationRequest,
    as: string | undefined,
    head: GroupHead,
    message: GroupMessage,
  ): Promise<Originator | Refused> {
    const sender = message.wireFormat === "public" ? message.sender : undefined;
    const owner = await this.#owner(request, head, message);
    if (sender?.type === "newMemberCommit" && owner === undefined && !request.settings.strangers) {
      return broken("COMMIT_INVALID", "LEAF_CLIENT", "PROTOCOL M5", "the joining leaf belongs to no registered client");
    }
    if (as !== undefined && owner !== as) {
      const unseen = owner === undefined && (sender === undefined || sender.type === "member");
      if (!unseen || !(await this.#mayBeMember(request, head, as))) return refused("AS_MISMATCH");
    }
    const clientId = owner ?? as;
    const joiner = sender?.type === "newMemberCommit" ? clientId : undefined;
    return { kind: "originator", sender: nameSender(sender, clientId), joiner };
  }

  /** A registered client; a member, where every member is known. */
  async #mayBeMember({ applicationId }: ApplicationRequest, { context }: GroupHead, as: string): Promise<boolean> {
    const [client] = await this.#groups.identities(applicationId, [as]);
    if (client === undefined || context.everyMemberKnown !== true) return client !== undefined;
    return this.#groups.isMember(applicationId, context, as);
  }

  /** Whose the sender's leaf is; undefined: it can't be seen, or is no client's current identity. */
  async #owner(request: ApplicationRequest, head: GroupHead, message: GroupMessage): Promise<string | undefined> {
    if (message.wireFormat !== "public") return undefined;
    const { sender } = message;
    const leaf =
      sender.type === "member"
        ? (await this.#groups.currentTree(request.applicationId, head))?.leaf(sender.leaf)
        : newMemberLeaf(message);
    return leaf === undefined ? undefined : (await this.#groups.clientsOf(request, [leaf.credential]))[0];
  }
}

/** The leaf that a sender from outside brings along. */
function newMemberLeaf(message: PublicGroupMessage): LeafNode | undefined {
  const { type } = message.sender;
  if (message.contentType === "commit") return type === "newMemberCommit" ? message.commit.path?.leafNode : undefined;
  const { proposal } = message;
  return type === "newMemberProposal" && proposal.type === "add" ? proposal.keyPackage.leafNode : undefined;
}

function nameSender(sender: MlsSender | undefined, clientId: string | undefined): Sender | undefined {
  const client = clientId === undefined ? {} : { clientId };
  switch (sender?.type) {
    case "member":
      return { type: "member", leaf: sender.leaf, ...client };
    case "external":
      return { type: "external" };
    case "newMemberProposal":
    case "newMemberCommit":
      return { type: "newMember", ...client };
    case undefined:
      return clientId === undefined ? undefined : { type: "member", clientId };
  }
}

function refOf(message: GroupMessage, ciphersuite: number): Uint8Array | undefined {
  if (message.wireFormat !== "public" || message.contentType !== "proposal") return undefined;
  return isCiphersuite(ciphersuite) ? proposalRef(message, ciphersuite) : undefined;
}
