// How far each shard's history is known to go, from its owner here and from what other nodes say (rule 8). A record in
// the store that goes less far is of a history that was lost. Remembers; does nothing about it.
import { markOf, type OwnerRecord, type Shard, type ShardMark } from "../store/store.ts";

export class Watermarks {
  readonly #marks: (ShardMark | undefined)[] = [];

  /** Marks only rise: a renewed lineage's fence stands above every fence of the lineage before. */
  hear(shard: Shard, mark: ShardMark): void {
    const known = this.#marks[shard];
    if (known === undefined || goesFurther(mark, known)) this.#marks[shard] = mark;
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

function goesFurther(mark: ShardMark, known: ShardMark): boolean {
  if (mark.fence !== known.fence) return mark.fence > known.fence;
  return mark.lineage === known.lineage && mark.sequence > known.sequence;
}
