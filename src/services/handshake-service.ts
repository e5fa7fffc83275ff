// Commits, proposals and messages of groups (PROTOCOL §4): judged against the state read by the group's
// tracking, then ordered by the group's actor, which compares the epoch again (L4). Nothing is decrypted.
import { createHash } from "node:crypto";
import type { Applied, Refused } from "../actors/actor-port.ts";
import { readGroupMessage, type GroupMessage } from "../mls/framing.ts";
import { equalBytes } from "../mls/suites.ts";
import { refuse, type Refusal } from "../protocol/errors.ts";
import type { Params } from "../protocol/methods.ts";
import type { Reason } from "../protocol/reasons.ts";
import { broken, malformedBytes } from "./group-checks.ts";
import { judgedEpoch, type GroupDirectory, type GroupHead } from "./group-directory.ts";
import type { Answer } from "./request-port.ts";
import {
  ask,
  done,
  refused,
  refusedUnlessRemembered,
  type ApplicationRequest,
  type ServicePorts,
} from "./service-ports.ts";
import { splitWelcomes, wholeWelcomes } from "./split-welcomes.ts";
import type { Successors } from "./successors.ts";
import type { JudgedCommit, Tracking } from "./tracking.ts";

type CommitParams = Params<"group.commit">;
type GroupCommand = { readonly type: string } & Record<string, unknown>;

export interface Trackings {
  readonly ordering: Tracking;
  readonly full: Tracking;
}

/** Turns lost to a state that was judged and is no more, before the caller is told to try again. */
const ATTEMPTS = 3;

export class HandshakeService {
  readonly #ports: ServicePorts;
  readonly #groups: GroupDirectory;
  readonly #trackings: Trackings;
  readonly #successors: Successors;

  constructor(ports: ServicePorts, groups: GroupDirectory, successors: Successors, trackings: Trackings) {
    this.#ports = ports;
    this.#groups = groups;
    this.#trackings = trackings;
    this.#successors = successors;
  }

  async commit(request: ApplicationRequest, params: CommitParams): Promise<Answer> {
    for (let attempt = 1; ; attempt += 1) {
      const answer = await this.#commitOnce(request, params);
      if (answer.kind === "done" || answer.refusal.reason !== "STATE_MOVED" || attempt === ATTEMPTS) return answer;
    }
  }

  async #commitOnce(request: ApplicationRequest, params: CommitParams): Promise<Answer> {
    const head = await this.#groups.head(request.applicationId, params.groupId);
    if (head === undefined) return this.#refusedCommit(request, params, refused("GROUP_NOT_FOUND"));
    const message = handshakeFor(head, params.groupId, params.commit, "commit", "COMMIT_INVALID");
    if (message.kind === "refused") return this.#refusedCommit(request, params, message);
    const { epoch } = message.value;
    const digest = sha256(params.commit, "base64");
    if (String(epoch) !== head.context.epoch) return this.#otherEpoch(request, params, epoch, digest, head);
    const judged = await this.#tracking(head).commit(request, params, head, message.value);
    if (judged.kind === "refused") return this.#refusedCommit(request, params, judged);
    const { reinit } = judged.command.full ?? {};
    const unreserved = reinit && (await this.#successors.reserve(request, head.context, reinit));
    if (unreserved !== undefined) return this.#refusedCommit(request, params, unreserved);
    const command = {
      type: "submitCommit",
      ...judgedEpoch(head.context),
      message: params.commit,
      digest,
      ...(judged.sender === undefined ? {} : { committer: judged.sender }),
      ...judged.command,
      undelivered: judged.undelivered.map(({ keyPackageRef }) => keyPackageRef),
      governed: request.settings,
    };
    const outcome = await this.#ask(request, params.groupId, command);
    if (outcome.kind === "applied") return this.#committed(outcome, judged, digest);
    if (outcome.refusal.reason !== "EPOCH_CONFLICT") return outcome;
    return this.#conflict(request, params, epoch, digest, outcome.refusal);
  }

  async propose(request: ApplicationRequest, params: Params<"group.propose">): Promise<Answer> {
    const outcome = await this.#askUnlessRefused(request, params.groupId, await this.#proposal(request, params));
    if (outcome.kind === "refused") return outcome;
    const { proposalRef, offset } = outcome.value as { proposalRef?: Uint8Array; offset: number };
    return done({ proposalRef, position: { lineage: outcome.lineage, offset } });
  }

  async send(request: ApplicationRequest, params: Params<"group.send">): Promise<Answer> {
    const outcome = await this.#askUnlessRefused(request, params.groupId, await this.#message(request, params));
    if (outcome.kind === "refused") return outcome;
    const { offset } = outcome.value as { offset: number };
    return done({ position: { lineage: outcome.lineage, offset } });
  }

  async #proposal(request: ApplicationRequest, params: Params<"group.propose">): Promise<GroupCommand | Refused> {
    const head = await this.#groups.head(request.applicationId, params.groupId);
    if (head === undefined) return refused("GROUP_NOT_FOUND");
    const read = handshakeFor(head, params.groupId, params.proposal, "proposal", "PROPOSAL_INVALID");
    if (read.kind === "refused") return read;
    if (String(read.value.epoch) !== head.context.epoch)
      return { kind: "refused", refusal: await this.#conflictWith(request, head) };
    const judged = await this.#tracking(head).propose(request, params, head, read.value);
    if (judged.kind === "refused") return judged;
    const { proposalRef, sender } = judged;
    const message = params.proposal;
    const command = { message, digest: sha256(message, "base64url"), proposalRef, sender, governed: request.settings };
    return { type: "submitProposal", ...judgedEpoch(head.context), ...command };
  }

  /** Whether the group is there its actor says; it is read before only where that tells what is wrong, or who sends. */
  async #message(request: ApplicationRequest, params: Params<"group.send">): Promise<GroupCommand | Refused> {
    const message = readFor(params.groupId, params.message, "application", "MESSAGE_INVALID");
    if (message.kind === "refused" || params.as !== undefined) {
      const head = await this.#groups.head(request.applicationId, params.groupId);
      if (head === undefined) return refused("GROUP_NOT_FOUND");
      if (message.kind === "refused") return message;
      const stranger = await this.#tracking(head).send(request, params, head);
      if (stranger !== undefined) return stranger;
    }
    const epoch = String(message.value.epoch);
    return { type: "sendMessage", epoch, message: params.message, governed: request.settings };
  }

  async #conflictWith(request: ApplicationRequest, head: GroupHead): Promise<Refusal> {
    const position = await this.#groups.position(request.applicationId, head);
    return refuse("EPOCH_CONFLICT", { details: { epoch: BigInt(head.context.epoch), position } });
  }

  /** A retry of what was applied is answered although the group has gone on since (E4). */
  #askUnlessRefused(
    request: ApplicationRequest,
    groupId: Uint8Array,
    command: GroupCommand | Refused,
  ): Promise<Applied | Refused> {
    if ("type" in command) return this.#ask(request, groupId, command);
    const { reason, ...extra } = command.refusal;
    const to = this.#groups.address(request.applicationId, groupId);
    return refusedUnlessRemembered(this.#ports, request, to, reason, extra);
  }

  #tracking({ context }: GroupHead): Tracking {
    return this.#trackings[context.tracking];
  }

  #ask(request: ApplicationRequest, groupId: Uint8Array, command: GroupCommand) {
    return ask(this.#ports, request, this.#groups.address(request.applicationId, groupId), command, true);
  }

  #committed(outcome: Applied, judged: JudgedCommit, digest: string): Answer {
    if (!outcome.repeated) judged.accepted(digest);
    const { undelivered } = judged;
    return done({ ...epochBegun(outcome), ...(undelivered.length === 0 ? {} : { undelivered }) });
  }

  /** What the group was not asked: its key may say what came of the very same request before (E4). */
  async #refusedCommit(request: ApplicationRequest, params: CommitParams, refused: Refused): Promise<Answer> {
    const outcome = await this.#askUnlessRefused(request, params.groupId, refused);
    return outcome.kind === "refused" ? outcome : this.#asFirst(request, params, outcome);
  }

  async #asFirst(request: ApplicationRequest, params: CommitParams, outcome: Applied): Promise<Answer> {
    const { undelivered = [] } = outcome.value as { undelivered?: readonly Uint8Array[] };
    return done({ ...epochBegun(outcome), ...(await this.#undeliveredThen(request, params, undelivered)) });
  }

  async #otherEpoch(
    request: ApplicationRequest,
    params: CommitParams,
    epoch: bigint,
    digest: string,
    head: GroupHead,
  ): Promise<Answer> {
    const refusal = await this.#conflictWith(request, head);
    const outcome = await this.#askUnlessRefused(request, params.groupId, { kind: "refused", refusal });
    if (outcome.kind === "refused" && outcome.refusal.reason !== "EPOCH_CONFLICT") return outcome;
    const answer = await this.#conflict(request, params, epoch, digest, refusal);
    // The group's log may have forgotten a commit that the key still remembers.
    return answer.kind === "refused" && outcome.kind === "applied" ? this.#asFirst(request, params, outcome) : answer;
  }

  /** A commit for another epoch: the very one that began the next epoch answers as the first time (G3). */
  async #conflict(
    request: ApplicationRequest,
    params: CommitParams,
    epoch: bigint,
    digest: string,
    refusal: Refusal,
  ): Promise<Answer> {
    const { position, epoch: present } = refusal.details as { position: { lineage: string }; epoch: bigint | number };
    if (epoch >= present) return { kind: "refused", refusal };
    const beginning = await this.#groups.beginning(request.applicationId, params.groupId, epoch + 1n);
    if (beginning === undefined) return { kind: "refused", refusal };
    if (beginning.digest === digest) {
      const { lineage } = position;
      const answer = { epoch: epoch + 1n, position: { lineage, offset: beginning.offset } };
      return done({ ...answer, ...(await this.#undeliveredThen(request, params, beginning.undelivered)) });
    }
    // The loser learns who won, so that it can tell its own lost reply from a real race. (G1)
    const winner = { committer: beginning.committer, digest: Buffer.from(beginning.digest, "base64") };
    return { kind: "refused", refusal: { ...refusal, details: { ...refusal.details, winner } } };
  }

  /** The Welcomes that went back to the caller the first time, from the same request's bytes. */
  async #undeliveredThen(
    request: ApplicationRequest,
    params: CommitParams,
    refs: readonly Uint8Array[],
  ): Promise<{ readonly undelivered?: readonly object[] }> {
    const head = await this.#groups.headOrClosed(request.applicationId, params.groupId);
    const welcomes = splitWelcomes(params.welcomes, head?.context.ciphersuite ?? 0);
    if (refs.length === 0 || welcomes.kind === "refused") return {};
    const addressed = refs.flatMap((ref) => welcomes.byRef.get(Buffer.from(ref).toString("hex")) ?? []);
    const undelivered = wholeWelcomes(welcomes, addressed);
    return undelivered.kind === "refused" || addressed.length === 0 ? {} : { undelivered: undelivered.welcomes };
  }
}

function sha256(message: Uint8Array, encoding: "base64" | "base64url"): string {
  return createHash("sha256").update(message).digest(encoding);
}

/** The epoch that a commit began, and where. */
function epochBegun({ value, lineage }: Applied): { readonly epoch: bigint | number; readonly position: object } {
  const { epoch, offset } = value as { epoch: bigint | number; offset: number };
  return { epoch, position: { lineage, offset } };
}

type Read = { readonly kind: "message"; readonly value: GroupMessage } | Refused;

/** A commit or proposal in a form that the group's tracking takes. */
function handshakeFor(
  { context }: GroupHead,
  groupId: Uint8Array,
  bytes: Uint8Array,
  contentType: "commit" | "proposal",
  reason: Reason,
): Read {
  const read = readFor(groupId, bytes, contentType, reason);
  if (read.kind === "refused") return read;
  if (context.tracking === "full" && read.value.wireFormat !== "public") {
    return broken(reason, "WIRE_FORMAT", "6", "full tracking follows PublicMessages only");
  }
  return read;
}

/** Decodes a message and holds it against the group and the kind that is wanted. */
function readFor(
  groupId: Uint8Array,
  bytes: Uint8Array,
  contentType: GroupMessage["contentType"],
  reason: Reason,
): Read {
  const decoded = readGroupMessage(bytes);
  if (decoded.kind === "malformed") return malformedBytes(reason, decoded);
  const message = decoded.value;
  if (message.contentType !== contentType) {
    const article = message.contentType === "application" ? "an" : "a";
    return broken(reason, "CONTENT_TYPE", "6", `it holds ${article} ${message.contentType}`);
  }
  if (!equalBytes(message.groupId, groupId)) return broken(reason, "MESSAGE_GROUP", "6.1", "it is another group's");
  if (contentType === "application" && message.wireFormat !== "private") {
    return broken(reason, "WIRE_FORMAT", "6", "application data travel in PrivateMessages only");
  }
  return { kind: "message", value: message };
}
