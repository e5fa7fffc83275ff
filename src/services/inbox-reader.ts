// Streams as the store has them, but for Welcomes whose common part lies with their group: it is joined to them here, so
// that nobody behind this reader knows. Reads only (L3).
import { groupActorKeyOf } from "./service-ports.ts";
import { welcomeFor } from "../mls/welcome.ts";
import { decode, encode } from "../protocol/codec.ts";
import { shardOf } from "../actors/actor-address.ts";
import type { ActorKey, Shard, Store, StreamEntry } from "../store/store.ts";

type Read = Awaited<ReturnType<Store["readStream"]>>;

/** An event as it is stored where several inboxes have a part in common. */
interface SharedWelcome {
  readonly groupId: Uint8Array;
  readonly epoch: bigint | number;
  readonly secrets: Uint8Array;
  readonly sharedWelcome: string;
}

export class InboxReader {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  readStreamHead(shard: Shard, actor: ActorKey): ReturnType<Store["readStreamHead"]> {
    return this.#store.readStreamHead(shard, actor);
  }

  /**
   * As the store's. A Welcome whose common part is gone has outlived `inboxRetention`: it counts as trimmed, with all
   * that is older.
   */
  async readStream(
    shard: Shard,
    actor: ActorKey,
    query: { readonly after: number; readonly limit: number; readonly bytesMax: number },
  ): Promise<Read> {
    const read = await this.#store.readStream(shard, actor, query);
    if (!read.entries.some(isIncomplete)) return read;
    let { first } = read.head;
    let bytes = 0;
    let entries: StreamEntry[] = [];
    for (const entry of read.entries) {
      const whole = isIncomplete(entry) ? await this.#whole(actor, entry) : entry;
      if (whole === undefined) {
        [first, bytes, entries] = [entry.offset + 1, 0, []];
        continue;
      }
      // Grown by what was joined: what is beyond the bounds is read again.
      if (entries.length > 0 && bytes + whole.body.length > query.bytesMax) break;
      bytes += whole.body.length;
      entries.push(whole);
    }
    return { ...read, entries, head: { ...read.head, first } };
  }

  async #whole(inbox: ActorKey, entry: StreamEntry): Promise<StreamEntry | undefined> {
    const { groupId, epoch, secrets, sharedWelcome, ...rest } = decode(entry.body) as SharedWelcome;
    const group = groupActorKeyOf(inbox, groupId);
    const [mark] = await this.#store.readMarks(shardOf(group, this.#store.shardCount), group, [sharedWelcome]);
    if (mark === undefined) return undefined;
    const { ciphersuite, encryptedGroupInfo } = decode(mark.bytes) as {
      ciphersuite: number;
      encryptedGroupInfo: Uint8Array;
    };
    const welcome = welcomeFor(ciphersuite, secrets, encryptedGroupInfo);
    return { ...entry, body: encode({ groupId, epoch, welcome, ...rest }) };
  }
}

/** Whether an event must be read from the store before it can be sent. */
export function isIncomplete({ type, body }: StreamEntry): boolean {
  return type === "welcome" && "sharedWelcome" in (decode(body) as object);
}
