// How far each shard's history is known to go, from its owner here and from what other nodes say (rule 8). A record in
// the store that goes less far is of a history that was lost. Remembers; does nothing about it.
import { markOf, type OwnerRecord, type Shard, type ShardMark } from "../store/store.ts";

export class Watermarks {
  readonly #marks: (ShardMark | undefined)[] = [];
  readonly #shardCount: number;

  constructor(shardCount: number) {
    this.#shardCount = shardCount;
  }

  /** Marks only rise: a renewed lineage's fence stands above every fence of the lineage before. */
  hear(shard: Shard, mark: ShardMark): void {
    // From another node: a number of none would be a gap of as many, walked through whenever a node comes.
    if (!(shard >= 0 && shard < this.#shardCount)) return;
    const known = this.#marks[shard];
    if (mark.lineage === known?.lineage) this.#marks[shard] = furthest(mark, known);
    else if (known === undefined || mark.fence > known.fence) this.#marks[shard] = mark;
  }

  /** As far as this node knows. */
  of(shard: Shard): ShardMark | undefined {
    return this.#marks[shard];
  }

  /** Of all shards that this node has heard of. */
  get all(): readonly (readonly [Shard, ShardMark])[] {
    return this.#marks.flatMap((mark, shard) => (mark === undefined ? [] : [[shard, mark] as const]));
  }

  /** The mark that the record should have reached; undefined when it has. */
  ahead(shard: Shard, record: OwnerRecord): ShardMark | undefined {
    const known = this.#marks[shard];
    if (known === undefined) return undefined;
    const { lineage, fence, sequence } = markOf(record);
    // Under one lineage batches only rise. Another lineage's fence rises above all that were known of this one.
    const hasAll = lineage === known.lineage ? fence >= known.fence && sequence >= known.sequence : fence > known.fence;
    return hasAll ? undefined : known;
  }
}

/** Each by itself: whoever claimed without knowing of the lost batches has a higher fence, and fewer of them. */
function furthest(mark: ShardMark, known: ShardMark): ShardMark {
  const { lineage } = known;
  return {
    lineage,
    fence: Math.max(mark.fence, known.fence),
    sequence: Math.max(mark.sequence, known.sequence),
  };
}
