// The fence and sequence rules of a batch (P2, P3) for drivers that run in this process. Pure.
import type { CommitOutcome, Fence, Hold, OwnerRecord, Receipt } from "./store.ts";
import type { SabotageSwitches } from "./sabotage.ts";

export function fenceHolds(record: OwnerRecord | undefined, fence: Fence, sabotage: SabotageSwitches): boolean {
  if (record === undefined) return false;
  if (sabotage.has("fenceOff")) return true;
  if (sabotage.has("fenceGreaterOrEqual")) return fence.number >= record.fence.number;
  return record.fence.number === fence.number && record.fence.nonce === fence.nonce;
}

/** @returns false too when the record is of a history that lacks what the holder knows applied (P12) */
export function holdStands(record: OwnerRecord | undefined, hold: Hold, sabotage: SabotageSwitches): boolean {
  if (!fenceHolds(record, hold, sabotage)) return false;
  return (record?.sequence ?? 0) >= (hold.sequence ?? 0) || sabotage.has("sequenceOff");
}

/** The answer that needs no writing, or undefined when the batch is the next one. */
export function judgeSequence(
  record: OwnerRecord,
  receipt: Receipt | undefined,
  batch: { readonly sequence: number; readonly digest: string },
  sabotage: SabotageSwitches,
): CommitOutcome | undefined {
  if (sabotage.has("sequenceOff") || batch.sequence === record.sequence + 1) return undefined;
  const repeated = batch.sequence === record.sequence && batch.digest === record.digest;
  return repeated && receipt !== undefined
    ? { kind: "applied", receipt, repeated: true }
    : { kind: "gap", last: record.sequence };
}
