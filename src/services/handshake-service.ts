// Commits, proposals and messages of groups (PROTOCOL §4, `ordering` tracking): checked against the state
// read, then ordered by the group's actor, which compares the epoch again (L4). Nothing is decrypted.
import { createHash } from "node:crypto";
import type { Applied, Refused } from "../actors/actor-port.ts";
import type { Sender, SubmitCommitCommand } from "../actors/group-state.ts";
import { proposalRef, readGroupMessage, type GroupMessage, type Sender as MlsSender } from "../mls/framing.ts";
import { equalBytes, isCiphersuite } from "../mls/suites.ts";
import { refuse, type Refusal } from "../protocol/errors.ts";
import type { Params } from "../protocol/methods.ts";
import type { Reason } from "../protocol/reasons.ts";
import { broken, checkGroupInfo, splitWelcomes, type CheckedGroupInfo } from "./group-checks.ts";
import type { GroupDirectory, GroupHead } from "./group-directory.ts";
import type { Answer } from "./request-port.ts";
import { ask, done, refused, type ApplicationRequest, type ServicePorts } from "./service-ports.ts";

type CommitParams = Params<"group.commit">;
type Recipients = {
  readonly kind: "recipients";
  readonly added: SubmitCommitCommand["added"];
  readonly undelivered: readonly { readonly keyPackageRef: Uint8Array; readonly welcome: Uint8Array }[];
};
type Committer = { readonly kind: "committer"; readonly sender: Sender | undefined; readonly joiner: string | undefined };

export class HandshakeService {
  readonly #ports: ServicePorts;
  readonly #groups: GroupDirectory;

  constructor(ports: ServicePorts, groups: GroupDirectory) {
    this.#ports = ports;
    this.#groups = groups;
  }

  async commit(request: ApplicationRequest, params: CommitParams): Promise<Answer> {
    const head = await this.#groups.head(request.applicationId, params.groupId);
    if (head === undefined) return refused("GROUP_NOT_FOUND");
    const message = readFor(head, params.groupId, params.commit, "commit", "COMMIT_INVALID");
    if (message.kind === "refused") return message;
    const { epoch } = message.value;
    const digest = createHash("sha256").update(params.commit).digest("base64");
    const recipients = await this.#recipients(request, params, head);
    if (recipients.kind === "refused") return recipients;
    if (String(epoch) !== head.context.epoch) {
      return this.#conflict(request, params, epoch, digest, recipients, conflictOf(head));
    }
    const info = await this.#groupInfo(params, head, message.value);
    if (info?.kind === "refused") return info;
    const committer = await this.#committer(request, params.as, head, message.value);
    if (committer.kind === "refused") return committer;
    const command = await this.#command(request, params, head, digest, committer, recipients.added, info);
    const outcome = await ask(this.#ports, request, this.#groups.address(request.applicationId, params.groupId), command, true);
    if (outcome.kind === "applied") return committed(outcome, recipients);
    if (outcome.refusal.reason !== "EPOCH_CONFLICT") return outcome;
    return this.#conflict(request, params, epoch, digest, recipients, outcome.refusal);
  }

  async propose(request: ApplicationRequest, params: Params<"group.propose">): Promise<Answer> {
    const head = await this.#groups.head(request.applicationId, params.groupId);
    if (head === undefined) return refused("GROUP_NOT_FOUND");
    const message = readFor(head, params.groupId, params.proposal, "proposal", "PROPOSAL_INVALID");
    if (message.kind === "refused") return message;
    const committer = await this.#committer(request, params.as, head, message.value);
    if (committer.kind === "refused") return committer;
    const command = {
      type: "submitProposal",
      epoch: String(message.value.epoch),
      message: params.proposal,
      proposalRef: refOf(message.value, head.context.ciphersuite),
      sender: committer.sender,
      governed: request.settings,
    };
    const outcome = await ask(this.#ports, request, this.#groups.address(request.applicationId, params.groupId), command, true);
    if (outcome.kind === "refused") return outcome;
    const { proposalRef: ref, offset } = outcome.value as { proposalRef?: Uint8Array; offset: number };
    return done({ proposalRef: ref, position: { lineage: outcome.lineage, offset } });
  }

  async send(request: ApplicationRequest, params: Params<"group.send">): Promise<Answer> {
    const head = await this.#groups.head(request.applicationId, params.groupId);
    if (head === undefined) return refused("GROUP_NOT_FOUND");
    const message = readFor(head, params.groupId, params.message, "application", "MESSAGE_INVALID");
    if (message.kind === "refused") return message;
    const committer = await this.#committer(request, params.as, head, message.value);
    if (committer.kind === "refused") return committer;
    const command = {
      type: "sendMessage",
      epoch: String(message.value.epoch),
      message: params.message,
      governed: request.settings,
    };
    const outcome = await ask(this.#ports, request, this.#groups.address(request.applicationId, params.groupId), command, true);
    if (outcome.kind === "refused") return outcome;
    const { offset } = outcome.value as { offset: number };
    return done({ position: { lineage: outcome.lineage, offset } });
  }

  /** A commit for another epoch: the very one that began the next epoch answers as the first time (G3). */
  async #conflict(
    request: ApplicationRequest,
    params: CommitParams,
    epoch: bigint,
    digest: string,
    recipients: Recipients,
    refusal: Refusal,
  ): Promise<Answer> {
    const beginning = await this.#groups.beginning(request.applicationId, params.groupId, epoch + 1n);
    if (beginning === undefined) return { kind: "refused", refusal };
    const { position } = refusal.details as { position: { lineage: string } };
    if (beginning.digest === digest) {
      const { lineage } = position;
      return done({ epoch: epoch + 1n, position: { lineage, offset: beginning.offset }, ...undelivered(recipients) });
    }
    // The loser learns who won, so that it can tell its own lost reply from a real race. (G1)
    const winner = { committer: beginning.committer, digest: Buffer.from(beginning.digest, "base64") };
    return { kind: "refused", refusal: { ...refusal, details: { ...refusal.details, winner } } };
  }

  /** The GroupInfo of the epoch to come: same group and suite, the commit's own tag where it can be seen. */
  async #groupInfo(
    params: CommitParams,
    { context }: GroupHead,
    message: GroupMessage,
  ): Promise<CheckedGroupInfo | Refused | undefined> {
    if (params.groupInfo === undefined) {
      return params.ratchetTree === undefined
        ? undefined
        : refused("GROUP_INFO_REQUIRED", { message: "a tree is checked against its GroupInfo" });
    }
    const checked = await checkGroupInfo(params.groupInfo, params.ratchetTree);
    if (checked.kind === "refused") return checked;
    const { info } = checked;
    const next = BigInt(context.epoch) + 1n;
    if (!equalBytes(info.groupId, params.groupId)) return broken("GROUP_INFO_INVALID", "group_id", "12.4.3", "it is another group's");
    if (info.epoch !== next) return broken("GROUP_INFO_INVALID", "epoch", "12.4.3", "it is not of the epoch that the commit begins");
    if (info.ciphersuite !== context.ciphersuite) {
      return broken("GROUP_INFO_INVALID", "ciphersuite", "12.4.3", "it is of another ciphersuite");
    }
    if (message.wireFormat === "public" && message.contentType === "commit") {
      if (!equalBytes(info.confirmationTag, message.confirmationTag)) {
        return broken("GROUP_INFO_INVALID", "confirmation_tag", "12.4.3", "its confirmation tag is not the commit's");
      }
    }
    return checked;
  }

  /** Who gets which Welcome: `added` says whose each key package is (M4). */
  async #recipients(request: ApplicationRequest, params: CommitParams, { context }: GroupHead): Promise<Recipients | Refused> {
    const welcomes = splitWelcomes(params.welcomes, context.ciphersuite);
    if (welcomes.kind === "refused") return welcomes;
    const left = new Map(welcomes.byRef);
    const added: SubmitCommitCommand["added"][number][] = [];
    const known = await this.#groups.identities(request.applicationId, (params.added ?? []).map(({ clientId }) => clientId));
    for (const [n, { clientId, keyPackageRef }] of (params.added ?? []).entries()) {
      if (known[n] === undefined) return refused("CLIENT_NOT_FOUND", { details: { clientId } });
      const ref = Buffer.from(keyPackageRef).toString("hex");
      const addressed = left.get(ref);
      if (addressed === undefined) {
        return broken("WELCOME_MISMATCH", "added_without_welcome", "12.4.3.1", "no Welcome addresses an added key package");
      }
      left.delete(ref);
      added.push({ clientId, keyPackageRef, welcome: addressed.welcome });
    }
    return { kind: "recipients", added, undelivered: [...left.values()] };
  }

  /** The sender as far as it can be known, and that `as` owns its leaf. */
  async #committer(
    request: ApplicationRequest,
    as: string | undefined,
    head: GroupHead,
    message: GroupMessage,
  ): Promise<Committer | Refused> {
    if (as !== undefined) {
      const [client] = await this.#groups.identities(request.applicationId, [as]);
      if (client === undefined) return refused("AS_MISMATCH");
    }
    const sender = message.wireFormat === "public" ? message.sender : undefined;
    const owner = await this.#owner(request, head, message, sender);
    if (owner !== undefined && as !== undefined && owner !== as) return refused("AS_MISMATCH");
    const clientId = owner ?? as;
    if (sender?.type === "newMemberCommit" && clientId === undefined && !request.settings.strangers) {
      return broken("COMMIT_INVALID", "joiner_unknown", "12.4.3.2", "the joining leaf belongs to no registered client");
    }
    const named = nameSender(sender, clientId);
    return { kind: "committer", sender: named, joiner: sender?.type === "newMemberCommit" ? clientId : undefined };
  }

  async #owner(
    request: ApplicationRequest,
    head: GroupHead,
    message: GroupMessage,
    sender: MlsSender | undefined,
  ): Promise<string | undefined> {
    if (sender?.type === "member") {
      const leaf = (await this.#groups.currentTree(request.applicationId, head))?.leaf(sender.leaf);
      return leaf === undefined ? undefined : (await this.#groups.clientsOf(request, [leaf.credential]))[0];
    }
    if (sender?.type !== "newMemberCommit" || message.wireFormat !== "public" || message.contentType !== "commit") {
      return undefined;
    }
    const leaf = message.commit.path?.leafNode;
    return leaf === undefined ? undefined : (await this.#groups.clientsOf(request, [leaf.credential]))[0];
  }

  async #command(
    request: ApplicationRequest,
    params: CommitParams,
    head: GroupHead,
    digest: string,
    { sender, joiner }: Committer,
    added: SubmitCommitCommand["added"],
    info: CheckedGroupInfo | undefined,
  ): Promise<SubmitCommitCommand & Record<string, unknown>> {
    const external = sender?.type === "newMember";
    const resync = joiner !== undefined && (await this.#groups.isMember(request.applicationId, params.groupId, joiner));
    return {
      type: "submitCommit",
      epoch: head.context.epoch,
      message: params.commit,
      digest,
      ...(sender === undefined ? {} : { committer: sender }),
      external,
      resync,
      added: joiner === undefined ? added : [...added, { clientId: joiner }],
      removed: params.removed ?? [],
      ...(params.groupInfo === undefined ? {} : { groupInfo: params.groupInfo }),
      ...(info?.tree === undefined ? {} : { tree: info.tree.stored }),
      governed: request.settings,
    };
  }
}

/** Decodes a message and holds it against the group and the kind that is wanted. */
function readFor(
  { context }: GroupHead,
  groupId: Uint8Array,
  bytes: Uint8Array,
  contentType: GroupMessage["contentType"],
  reason: Reason,
): { readonly kind: "message"; readonly value: GroupMessage } | Refused {
  const decoded = readGroupMessage(bytes);
  if (decoded.kind === "malformed") return broken(reason, "malformed", "6", decoded.why);
  const message = decoded.value;
  if (message.contentType !== contentType) {
    return broken(reason, "content_type", "6", `it holds ${message.contentType === "application" ? "an" : "a"} ${message.contentType}`);
  }
  if (!equalBytes(message.groupId, groupId)) return broken(reason, "group_id", "6.1", "it is another group's");
  if (contentType === "application" && message.wireFormat !== "private") {
    return broken(reason, "wire_format", "6", "application data travel in PrivateMessages only");
  }
  if (context.tracking === "full" && contentType !== "application" && message.wireFormat !== "public") {
    return broken(reason, "wire_format", "6", "full tracking follows PublicMessages only");
  }
  return { kind: "message", value: message };
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
  if (message.wireFormat !== "public" || message.contentType !== "proposal" || !isCiphersuite(ciphersuite)) return undefined;
  return proposalRef(message, ciphersuite);
}

function conflictOf({ context, lineage }: GroupHead): Refusal {
  const position = { lineage, offset: context.window.last };
  return refuse("EPOCH_CONFLICT", { details: { epoch: BigInt(context.epoch), position } });
}

function committed(outcome: Applied, recipients: Recipients): Answer {
  const { epoch, offset } = outcome.value as { epoch: bigint | number; offset: number };
  return done({ epoch, position: { lineage: outcome.lineage, offset }, ...undelivered(recipients) });
}

function undelivered({ undelivered: left }: Recipients): object {
  return left.length === 0 ? {} : { undelivered: left };
}
