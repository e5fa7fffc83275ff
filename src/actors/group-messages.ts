// Proposals and messages of a group: judged by epoch, put into the log. Pure steps of the group machine.
import { encode } from "../protocol/codec.ts";
import { refuse, type Refusal } from "../protocol/errors.ts";
import type { TurnFacts } from "./effects.ts";
import { log, refusalOfEpoch } from "./group-log.ts";
import { effective } from "./group-settings.ts";
import {
  offsetOfProposal,
  positionOf,
  PROPOSAL_PREFIX,
  proposalPart,
  type GroupContext,
  type SendMessageCommand,
  type Step,
  type SubmitProposalCommand,
} from "./group-state.ts";

/** Proposals of one epoch; and further ones by external senders, so that members can't keep out the back-end's (M6). */
export const PROPOSALS_MAX = 1024;
export const EXTERNAL_PROPOSALS_MAX = 256;

export function proposalRefusal(
  context: GroupContext,
  command: SubmitProposalCommand & TurnFacts,
): Refusal | undefined {
  const max = PROPOSALS_MAX + (command.sender?.type === "external" ? EXTERNAL_PROPOSALS_MAX : 0);
  const isFull = command.directory.count(PROPOSAL_PREFIX) >= max && standingAt(command) === undefined;
  return refusalOfEpoch(context, command) ?? (isFull ? refuse("PROPOSALS_LIMIT") : undefined);
}

/** The same bytes again answer as the first time: they stand once, under one reference. */
export function propose(context: GroupContext, command: SubmitProposalCommand & TurnFacts): Step {
  const { message, digest, proposalRef, sender } = command;
  const standing = standingAt(command);
  if (standing !== undefined) {
    return { context: {}, effects: [{ type: "reply", value: { proposalRef, offset: standing } }] };
  }
  const body = { epoch: BigInt(command.epoch), message, proposalRef, sender };
  const logged = log(context, "proposal", body, message.length, command);
  const offset = logged.window.last;
  const name = proposalPart(context.proposals, offset, digest);
  return {
    context: { window: logged.window, proposals: context.proposals + 1, ...countedExternal(context, command) },
    effects: [
      ...logged.effects,
      { type: "putPart", name, bytes: encode({ proposalRef, proposal: message, sender }) },
      { type: "reply", value: { proposalRef, offset } },
    ],
  };
}

function countedExternal(
  { externalProposals = 0 }: GroupContext,
  { sender }: SubmitProposalCommand,
): Pick<GroupContext, "externalProposals"> {
  return sender?.type === "external" ? { externalProposals: externalProposals + 1 } : {};
}

function standingAt({ directory, digest }: SubmitProposalCommand & TurnFacts): number | undefined {
  return offsetOfProposal(directory.list(PROPOSAL_PREFIX), digest);
}

export function messageRefusal(context: GroupContext, command: SendMessageCommand & TurnFacts): Refusal | undefined {
  const behind = BigInt(context.epoch) - BigInt(command.epoch);
  const details = { epoch: BigInt(context.epoch), position: positionOf(context, command.lineage) };
  if (behind < 0n) return refuse("EPOCH_AHEAD", { details });
  const { pastEpochs } = effective(command.governed, context.settings);
  return behind > BigInt(pastEpochs) ? refuse("EPOCH_STALE", { details }) : undefined;
}

export function send(context: GroupContext, command: SendMessageCommand & TurnFacts): Step {
  const body = { epoch: BigInt(command.epoch), message: command.message };
  const logged = log(context, "application", body, command.message.length, command);
  return {
    context: { window: logged.window },
    effects: [...logged.effects, { type: "reply", value: { offset: logged.window.last } }],
  };
}
