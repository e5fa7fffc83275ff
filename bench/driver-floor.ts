// The store's driver by itself: batches made up beforehand, one after another on every shard. What an actor host is held
// against.
import { randomBytes } from "node:crypto";
import type { Fence, Operation, Store } from "../src/store/store.ts";
import { measured, type Rate } from "./rates.ts";

/** What a message of 129 bytes leaves: its log entry, the group's head, its remembered result, and their names. */
const BODY_BYTES = 147;
const HEAD_BYTES = 530;
const RESULT_BYTES = 120;
const ACTOR = "11111111-1111-4111-8111-111111111111/group/";
const GROUP_LETTERS = 72;
const RESULT_LETTERS = 56;
export const RESULT_TTL_MS = 600_000;

/** All shards of a store of one's own. */
export async function claimAll(store: Store): Promise<Fence[]> {
  const claimant = { nonce: "floor", owner: "floor", address: "floor", freshLineage: "floor" };
  const claims = Array.from({ length: store.shardCount }, async (_, shard) => {
    const claimed = await store.claim(shard, undefined, claimant);
    if (claimed.kind !== "claimed") throw new Error("the floor's own prefix is taken");
    return claimed.record.fence;
  });
  return Promise.all(claims);
}

/** The driver without a host: one batch after another on every shard. */
export class Straight {
  readonly #store: Store;
  readonly #fences: readonly Fence[];
  readonly #sequences: number[];
  /** Messages sent to each group so far. */
  readonly #offsets = new Map<string, number>();

  private constructor(store: Store, fences: readonly Fence[]) {
    this.#store = store;
    this.#fences = fences;
    this.#sequences = fences.map(() => 0);
  }

  static async claim(store: Store): Promise<Straight> {
    return new Straight(store, await claimAll(store));
  }

  /** Batches of that mean size, on as many shards at once as keep that many messages waiting. */
  send(inFlight: number, messagesABatch: number, forMs: number): Promise<Rate> {
    const shards = Math.min(this.#fences.length, Math.max(1, Math.round(inFlight / messagesABatch)));
    return measured(forMs, async (isTime, sent) => {
      const shard = async (n: number): Promise<void> => {
        // Whole messages, so many that their mean is right.
        for (let owed = 0; isTime();) {
          owed += messagesABatch;
          const size = Math.max(1, Math.floor(owed));
          owed -= size;
          await this.#commit(n, size);
          sent(size);
        }
      };
      await Promise.all(Array.from({ length: shards }, (_, n) => shard(n)));
    });
  }

  async #commit(shard: number, messages: number): Promise<void> {
    const sequence = (this.#sequences[shard] ?? 0) + 1;
    this.#sequences[shard] = sequence;
    const operations = Array.from({ length: messages }, (_, n) => {
      const group = ACTOR + `${String(shard)}-${String(n)}`.padStart(GROUP_LETTERS, "0");
      const offset = (this.#offsets.get(group) ?? 0) + 1;
      this.#offsets.set(group, offset);
      return operationsOf(group, offset);
    });
    const fence = this.#fences[shard] as Fence;
    const outcome = await this.#store.commit(shard, fence, sequence, operations.flat());
    if (outcome.kind !== "applied") throw new Error(`a commit was ${outcome.kind}`);
  }
}

const BODY = randomBytes(BODY_BYTES);
const HEAD = randomBytes(HEAD_BYTES);
const RESULT = randomBytes(RESULT_BYTES);

/** What one message makes a batch hold. */
function operationsOf(actor: string, offset: number): Operation[] {
  const now = Date.now();
  return [
    { op: "append", actor, entry: { offset, time: now, type: "application", body: BODY } },
    {
      op: "putMark",
      actor,
      name: `r/${String(offset).padStart(RESULT_LETTERS, "0")}`,
      bytes: RESULT,
      expiresAt: now + RESULT_TTL_MS,
    },
    { op: "putSnapshot", actor, bytes: HEAD },
  ];
}
