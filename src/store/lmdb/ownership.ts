// Claims, checks and lineages of the embedded store's shards. Every function runs inside one
// transaction; must not write before it has decided.
import { randomBytes } from "node:crypto";
import { fenceHolds, judgeSequence } from "../batch-judgement.ts";
import { NO_SABOTAGE, type SabotageSwitches } from "../sabotage.ts";
import type { Claimant, ClaimOutcome, CommitOutcome, Fence, Operation, OwnerRecord, Receipt, Shard } from "../store.ts";
import { applyBatch, flawAgainstStore } from "./batch.ts";
import type { Database } from "./database.ts";
import { ownerKey, ownersRange } from "./keys.ts";
import { destroyOnceParts } from "./maintenance.ts";
import { decodeOwner, encodeOwner, type StoredOwner } from "./records.ts";

export interface Batch {
  readonly fence: Fence;
  readonly sequence: number;
  readonly digest: string;
  readonly operations: readonly Operation[];
}

export function readOwner(database: Database, shard: Shard): StoredOwner | undefined {
  const bytes = database.get(ownerKey(shard));
  return bytes === undefined ? undefined : decodeOwner(bytes);
}

export function claimShard(
  database: Database,
  shard: Shard,
  seen: Fence | undefined,
  claimant: Claimant,
): ClaimOutcome {
  const stored = readOwner(database, shard);
  if (stored?.record.fence.nonce === claimant.nonce) return { kind: "claimed", ...stored };
  if (stored === undefined ? seen !== undefined : !isSeen(stored.record, seen)) {
    return { kind: "lost", record: stored?.record };
  }
  const { nonce, owner, address } = claimant;
  const record: OwnerRecord = {
    lineage: stored?.record.lineage ?? claimant.freshLineage,
    sequence: stored?.record.sequence ?? 0,
    digest: stored?.record.digest ?? "",
    fence: { number: (stored?.record.fence.number ?? 0) + 1, nonce },
    owner,
    address,
  };
  // No record but parts: their history is lost, and what was handed out of them can't be known (P11).
  if (stored === undefined) destroyOnceParts(database, shard);
  const claimed = { record, receipt: stored?.receipt };
  database.put(ownerKey(shard), encodeOwner(claimed));
  return { kind: "claimed", ...claimed };
}

function isSeen(record: OwnerRecord, seen: Fence | undefined): boolean {
  return seen !== undefined && fenceHolds(record, seen, NO_SABOTAGE);
}

export function commitBatch(database: Database, shard: Shard, batch: Batch, sabotage: SabotageSwitches): CommitOutcome {
  const stored = readOwner(database, shard);
  if (stored === undefined || !fenceHolds(stored.record, batch.fence, sabotage)) return { kind: "fenced" };
  const answer = judgeSequence(stored.record, stored.receipt, batch, sabotage);
  if (answer !== undefined) return answer;
  const flaw = flawAgainstStore(database, shard, batch.operations);
  if (flaw !== undefined) return { kind: "invalid", reason: flaw };
  const { sequence, digest } = batch;
  const receipt: Receipt = { sequence, taken: applyBatch(database, shard, batch.operations) };
  const remembered = sabotage.has("receiptsNotStored") ? { sequence, taken: [] } : receipt;
  database.put(ownerKey(shard), encodeOwner({ record: { ...stored.record, sequence, digest }, receipt: remembered }));
  return { kind: "applied", receipt, repeated: false };
}

/** The new lineage and the fence under it, or undefined when the fence does not hold. */
export function renewLineage(
  database: Database,
  shard: Shard,
  { fence, beyond }: { readonly fence: Fence; readonly beyond: number },
  sabotage: SabotageSwitches,
): { readonly lineage: string; readonly fence: Fence } | undefined {
  const stored = readOwner(database, shard);
  if (stored === undefined || !fenceHolds(stored.record, fence, sabotage)) return undefined;
  return writeLineage(database, shard, stored, beyond);
}

/** After a restore: every shard, whoever owned it. */
export function renewAllLineages(database: Database): void {
  for (const { key, value } of [...database.entries(ownersRange())]) {
    writeLineage(database, key.readUInt16BE(1), decodeOwner(value), 0);
  }
}

function writeLineage(
  database: Database,
  shard: Shard,
  stored: StoredOwner,
  beyond: number,
): { readonly lineage: string; readonly fence: Fence } {
  const lineage = randomBytes(16).toString("hex");
  const { number, nonce } = stored.record.fence;
  const fence = { number: Math.max(number, beyond + 1), nonce };
  destroyOnceParts(database, shard);
  database.put(ownerKey(shard), encodeOwner({ ...stored, record: { ...stored.record, lineage, fence } }));
  return { lineage, fence };
}
