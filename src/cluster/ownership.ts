// Claims shards for this node: compare-and-set on the owner record that was read, a fresh nonce each time
// (rule 1). Tries until it succeeds or is told to leave the shard alone; never decides who should own it.
import { randomBytes } from "node:crypto";
import { setTimeout } from "node:timers/promises";
import {
  Fenced,
  markOf,
  StoreUnavailable,
  type OwnerRecord,
  type Receipt,
  type Shard,
  type ShardMark,
  type Store,
} from "../store/store.ts";
import type { Watermarks } from "./watermarks.ts";

export interface OwnershipOptions {
  readonly store: Pick<Store, "readOwner" | "claim" | "renewLineage">;
  /** This node's id in the cluster, now. */
  nodeId(): string;
  /** host:port under which other nodes reach this one. */
  address(): string;
  /** What to do about a shard whose record names `owner`: asked before each try. */
  stance(shard: Shard, owner: string | undefined): "claim" | "wait" | "leave";
  readonly watermarks: Watermarks;
  /** Stored history was lost, and the shard gets a new lineage. */
  lineageChanged(shard: Shard): void;
  readonly retryMinMs: number;
  readonly retryMaxMs: number;
}

export interface Claimed {
  readonly record: OwnerRecord;
  readonly receipt: Receipt | undefined;
  readonly previous: OwnerRecord | undefined;
}

/** What one claim remembers from try to try. */
interface Attempt {
  /** One for all tries under one id: repeating one's own claim answers the same (P8). */
  nonce: string;
  /** Owner records that earlier tries meant to replace, by fence number. */
  readonly seen: Map<number, OwnerRecord>;
  /** It has been told that history was lost. */
  told: boolean;
}

const NONCE_BYTES = 16;

export class Ownership {
  readonly #options: OwnershipOptions;

  constructor(options: OwnershipOptions) {
    this.#options = options;
  }

  /**
   * Tries while the store is away. Undefined: the shard is to be left alone.
   * @throws when `signal` aborts, or when the store refuses this node altogether
   */
  async claim(shard: Shard, signal: AbortSignal, known?: ShardMark): Promise<Claimed | undefined> {
    if (known !== undefined) this.#options.watermarks.hear(shard, known);
    let retryMs = this.#options.retryMinMs;
    const attempt: Attempt = { nonce: randomHex(), seen: new Map(), told: false };
    for (;;) {
      signal.throwIfAborted();
      const claimed = await this.#tryOnce(shard, attempt);
      if (claimed === "leave") return undefined;
      if (claimed !== "again") {
        if (claimed.record.owner === this.#options.nodeId()) return claimed;
        // Expelled meanwhile, this node is another member: the record must not name one that is gone.
        attempt.nonce = randomHex();
        continue;
      }
      await setTimeout(retryMs * (0.5 + Math.random()), undefined, { signal });
      retryMs = Math.min(retryMs * 2, this.#options.retryMaxMs);
    }
  }

  async #tryOnce(shard: Shard, attempt: Attempt): Promise<Claimed | "again" | "leave"> {
    const { store, nodeId, address, stance } = this.#options;
    const { nonce, seen } = attempt;
    try {
      const previous = await store.readOwner(shard);
      if (previous !== undefined && previous.fence.nonce !== nonce) seen.set(previous.fence.number, previous);
      const whatToDo = previous?.fence.nonce === nonce ? "claim" : stance(shard, previous?.owner);
      if (whatToDo !== "claim") return whatToDo === "wait" ? "again" : "leave";
      const freshLineage = randomHex();
      const outcome = await store.claim(shard, previous?.fence, {
        nonce,
        owner: nodeId(),
        address: address(),
        freshLineage,
      });
      if (outcome.kind === "lost") return "again";
      const { record, receipt } = outcome;
      // An earlier try may be the one that succeeded, unheard: what it replaced had the number before.
      const claimed = { record, receipt, previous: seen.get(record.fence.number - 1) };
      return await this.#compared(shard, claimed, attempt);
    } catch (error) {
      // The store is away: nothing may be read or sent until a claim has succeeded.
      if (error instanceof StoreUnavailable || error instanceof Fenced) return "again";
      throw error;
    }
  }

  /** With a new lineage when the record goes less far than it is known to have gone (rule 8). @throws Fenced */
  async #compared(shard: Shard, claimed: Claimed, attempt: Attempt): Promise<Claimed> {
    const { store, watermarks, lineageChanged } = this.#options;
    const ahead = watermarks.ahead(shard, claimed.record);
    if (ahead === undefined) {
      watermarks.hear(shard, markOf(claimed.record));
      return claimed;
    }
    // Now, and not when it is renewed: another node may be faster, and can't know any more what was lost.
    if (!attempt.told) lineageChanged(shard);
    attempt.told = true;
    const renewed = await store.renewLineage(shard, claimed.record.fence, ahead.fence);
    const record = { ...claimed.record, ...renewed };
    watermarks.hear(shard, markOf(record));
    // What the last batch of the lost history came to is not this history's to say.
    return { record, receipt: undefined, previous: undefined };
  }
}

function randomHex(): string {
  return randomBytes(NONCE_BYTES).toString("hex");
}
