// What one case of the store's conformance suite is given, and the small things that most cases need.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import type {
  ActorKey,
  Claimant,
  CommitOutcome,
  Fence,
  Operation,
  OwnerRecord,
  Receipt,
  Shard,
  Store,
} from "../../src/store/store.ts";

export interface CaseContext {
  readonly store: Store;
  /** A shard that no other case uses. */
  readonly shard: Shard;
  readonly applicationId: string;
  /** Closes the store and opens it again. */
  reopen(): Promise<Store>;
}

export interface StoreCase {
  /** Opens with the rule's id: `[P2] …`. */
  readonly name: string;
  run(context: CaseContext): Promise<void>;
}

export const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text));
export const text = (value: Uint8Array | undefined): string | undefined =>
  value === undefined ? undefined : Buffer.from(value).toString();

/** Every byte value, NUL and invalid UTF-8 included. */
export const ALL_BYTES = Uint8Array.from({ length: 256 }, (_, index) => index);

export function claimant(owner = "node-a"): Claimant {
  return { nonce: randomUUID(), owner, address: "127.0.0.1:1", freshLineage: randomUUID() };
}

/** Claims whatever the shard's state is. */
export async function takeShard(store: Store, shard: Shard, by: Claimant = claimant()): Promise<OwnerRecord> {
  const seen = (await store.readOwner(shard))?.fence;
  const outcome = await store.claim(shard, seen, by);
  assert.ok(outcome.kind === "claimed");
  return outcome.record;
}

export function applied(outcome: CommitOutcome): Receipt & { readonly repeated: boolean } {
  assert.ok(outcome.kind === "applied", JSON.stringify(outcome));
  return { ...outcome.receipt, repeated: outcome.repeated };
}

/** Owns one shard and counts its batches. */
export class Owner {
  sequence: number;
  fence: Fence;
  readonly store: Store;
  readonly shard: Shard;

  private constructor(store: Store, shard: Shard, record: OwnerRecord) {
    this.store = store;
    this.shard = shard;
    this.fence = record.fence;
    this.sequence = record.sequence;
  }

  static async of(store: Store, shard: Shard): Promise<Owner> {
    return new Owner(store, shard, await takeShard(store, shard));
  }

  commit(...operations: Operation[]): Promise<CommitOutcome> {
    return this.store.commit(this.shard, this.fence, this.sequence + 1, operations);
  }

  async apply(...operations: Operation[]): Promise<Receipt> {
    const receipt = applied(await this.commit(...operations));
    this.sequence += 1;
    return receipt;
  }
}

export function actorOf(context: CaseContext, id = "1"): ActorKey {
  return `${context.applicationId}/group/${id}`;
}

export function entry(offset: number, body: Uint8Array = bytes(`body-${offset}`)) {
  return { offset, time: 1_700_000_000_000 + offset, type: "commit", body };
}

export function inARow(actor: ActorKey, from: number, to: number): Operation[] {
  return Array.from({ length: to - from + 1 }, (_, index) => ({ op: "append", actor, entry: entry(from + index) }));
}
