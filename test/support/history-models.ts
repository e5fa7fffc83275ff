// What a group's head and an identity's record are to a caller: sequential machines small enough to be searched.
import type { Facts, Operation } from "./history.ts";
import type { SequentialModel } from "./linearizability.ts";

export interface GroupHead {
  readonly epoch: number;
  /** Of the newest entry of the log. */
  readonly offset: number;
}

/** Epochs before the current one whose messages are taken (the default of `pastEpochs`). */
const PAST_EPOCHS = 1;

export function groupModel(initial: GroupHead): SequentialModel<GroupHead> {
  return {
    initial,
    keyOf: ({ epoch, offset }) => `${epoch}/${offset}`,
    step(head, { name, input, outcome }) {
      const epoch = Number(input["epoch"]);
      if (outcome.kind === "retryable") return undefined;
      if (name === "head") return outcome.kind === "result" && isAt(head, outcome.facts) ? head : undefined;
      const isTaken = name === "commit" ? epoch === head.epoch : isRecent(epoch, head);
      if (outcome.kind === "refused") return !isTaken && isAt(head, outcome.facts) ? head : undefined;
      if (!isTaken) return undefined;
      const after = { epoch: head.epoch + (name === "commit" ? 1 : 0), offset: head.offset + 1 };
      return outcome.kind === "unknown" || isAt(after, outcome.facts) ? after : undefined;
    },
  };
}

function isRecent(epoch: number, head: GroupHead): boolean {
  return epoch <= head.epoch && epoch >= head.epoch - PAST_EPOCHS;
}

function isAt(head: GroupHead, { epoch, offset }: Facts): boolean {
  return (epoch === undefined || epoch === head.epoch) && offset === head.offset;
}

export interface IdentityRecord {
  readonly version: number;
  /** The one tag that each update puts in place of the one before. */
  readonly tag: string;
}

export function identityModel(initial: IdentityRecord): SequentialModel<IdentityRecord> {
  return {
    initial,
    keyOf: ({ version, tag }) => `${version}/${tag}`,
    step(record, { name, input, outcome }) {
      if (outcome.kind === "retryable") return undefined;
      if (name === "get") {
        if (outcome.kind !== "result") return undefined;
        return outcome.facts["version"] === record.version && outcome.facts["tag"] === record.tag ? record : undefined;
      }
      const isTaken = input["ifVersion"] === undefined || input["ifVersion"] === record.version;
      if (outcome.kind === "refused") {
        return !isTaken && outcome.facts["version"] === record.version ? record : undefined;
      }
      if (!isTaken) return undefined;
      const after = { version: record.version + 1, tag: String(input["tag"]) };
      return outcome.kind === "unknown" || outcome.facts["version"] === after.version ? after : undefined;
    },
  };
}

/** Tags that nobody has read are one and the same to the search: which of them it was makes no difference. */
export function foldUnread(operations: readonly Operation[]): Operation[] {
  const read = new Set(
    operations.map(({ name, outcome }) => (name === "get" && outcome.kind === "result" ? outcome.facts["tag"] : "")),
  );
  return operations.map((operation) => {
    const { name, input } = operation;
    return name !== "update" || read.has(input["tag"]) ? operation : { ...operation, input: { ...input, tag: "" } };
  });
}

/** The log says what became of a group's operations whose outcome nobody was told. */
export function settleByLog(
  operations: readonly Operation[],
  log: readonly { readonly id: string; readonly offset: number }[],
): Operation[] {
  const offsets = new Map(log.map(({ id, offset }) => [id, offset]));
  return operations.flatMap((operation) => {
    if (operation.outcome.kind !== "unknown") return [operation];
    const offset = offsets.get(String(operation.input["id"]));
    return offset === undefined ? [] : [{ ...operation, outcome: { kind: "result" as const, facts: { offset } } }];
  });
}
