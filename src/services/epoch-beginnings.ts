// Where the epochs of a group begin in its log: by the marks that their commits leave, and by the log itself where it
// has outlived them, as in a group that rested for longer than `groupRetention.ms`. Reads only (L3).
import { createHash } from "node:crypto";
import { epochMark, type Sender } from "../actors/group-state.ts";
import { decode } from "../protocol/codec.ts";
import type { ActorKey, Shard, Store } from "../store/store.ts";

/** The commit that began an epoch. */
export interface EpochBeginning {
  readonly offset: number;
  /** Base64 SHA-256 of the commit. */
  readonly digest: string;
  readonly committer?: Sender;
  /** Refs of the packages whose Welcome went back to the caller; none where only the log is left. */
  readonly undelivered: readonly Uint8Array[];
}

/** Before every event, so that whoever goes on from there is told TRIMMED. */
const BEFORE_THE_LOG = -1;
/** How far a log is looked through for a commit whose mark is gone. */
const LOOKS_MAX = 2;
const LOOK_EVENTS = 1000;
const LOOK_BYTES = 2_097_152;

interface LoggedBeginning extends EpochBeginning {
  readonly epoch: bigint;
}

export class EpochBeginnings {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  /** undefined: the epoch has not begun, or its commit is not in the log, or too far in. */
  async of(shard: Shard, group: ActorKey, epoch: bigint): Promise<EpochBeginning | undefined> {
    const [marked] = await this.#marked(shard, group, [epoch]);
    if (marked !== undefined) return marked;
    const logged = await this.#logged(shard, group, epoch);
    return logged?.epoch === epoch ? logged : undefined;
  }

  /** The offset after which a member goes on that has followed the group into this epoch, which is over. */
  async offsetAfter(shard: Shard, group: ActorKey, epoch: bigint): Promise<number> {
    const [marked, next] = await this.#marked(shard, group, [epoch, epoch + 1n]);
    if (marked !== undefined) return marked.offset;
    const logged = await this.#logged(shard, group, epoch);
    if (logged?.epoch === epoch) return logged.offset;
    // The group was created in this epoch: no commit began it, and one ended it.
    if (logged?.epoch === epoch + 1n || (logged === undefined && next !== undefined)) return 0;
    return BEFORE_THE_LOG;
  }

  async #marked(
    shard: Shard,
    group: ActorKey,
    epochs: readonly bigint[],
  ): Promise<readonly (EpochBeginning | undefined)[]> {
    const marks = await this.#store.readMarks(
      shard,
      group,
      epochs.map((epoch) => epochMark(String(epoch))),
    );
    return marks.map((mark) => (mark === undefined ? undefined : (decode(mark.bytes) as EpochBeginning)));
  }

  /** The first commit in the log that began this epoch or a later one. */
  async #logged(shard: Shard, group: ActorKey, epoch: bigint): Promise<LoggedBeginning | undefined> {
    let after = 0;
    for (let look = 0; look < LOOKS_MAX; look += 1) {
      const query = { after, limit: LOOK_EVENTS, bytesMax: LOOK_BYTES };
      const { entries } = await this.#store.readStream(shard, group, query);
      for (const { offset, type, body } of entries) {
        after = offset;
        if (type !== "commit") continue;
        const commit = decode(body) as { epoch: bigint | number; message: Uint8Array; committer?: Sender };
        if (BigInt(commit.epoch) < epoch) continue;
        const digest = createHash("sha256").update(commit.message).digest("base64");
        const { committer } = commit;
        const beginning = { epoch: BigInt(commit.epoch), offset, digest, undelivered: [] };
        return committer === undefined ? beginning : { ...beginning, committer };
      }
      if (entries.length === 0) return undefined;
    }
    return undefined;
  }
}
