// What an owner does each second: tells every node which shards it has and how far their histories go (rules 8, 9),
// and has the store asked, some shards at a time, whether it still has all of that.
import type { Shard, ShardMark } from "../store/store.ts";
import type { MarkedShard, PeerNotice } from "./peer-frames.ts";

export interface OwnerRoundsOptions {
  readonly shardCount: number;
  /** The mark of a shard that is owned here. */
  markOf(shard: Shard): ShardMark | undefined;
  /** This node should remember it as well: it may lose the shard. */
  hear(shard: Shard, mark: ShardMark): void;
  /** To every node that is linked to this one. */
  tell(notice: PeerNotice): void;
  /** Loses the shard when the store has less than was written; does nothing when it is not owned here. */
  audit(shard: Shard): void;
}

const ROUND_MS = 1_000;
const AUDITS_A_ROUND = 64;

export class OwnerRounds {
  readonly #options: OwnerRoundsOptions;
  #timer: NodeJS.Timeout | undefined;
  #nextAudit = 0;

  constructor(options: OwnerRoundsOptions) {
    this.#options = options;
  }

  start(): void {
    this.#timer = setInterval(() => this.#round(), ROUND_MS).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #round(): void {
    const { shardCount, markOf, hear, tell, audit } = this.#options;
    const shards: MarkedShard[] = [];
    for (let shard = 0; shard < shardCount; shard += 1) {
      const mark = markOf(shard);
      if (mark === undefined) continue;
      hear(shard, mark);
      shards.push([shard, mark]);
    }
    if (shards.length > 0) tell({ kind: "alive", shards });
    for (let n = Math.min(AUDITS_A_ROUND, shardCount); n > 0; n -= 1) {
      audit(this.#nextAudit);
      this.#nextAudit = (this.#nextAudit + 1) % shardCount;
    }
  }
}
