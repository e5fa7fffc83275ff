// The identities that a client had before its present one, as its actor wrote them down.
import type { ActorAddress } from "../actors/actor-port.ts";
import { decode } from "../protocol/codec.ts";
import type { Store } from "../store/store.ts";
import { placeOf } from "./service-ports.ts";

interface PastIdentity {
  /** Base64 of the Credential struct. */
  readonly credential: string;
  readonly handle: string;
  readonly from: number;
  readonly until: number;
}

/** Read at once. */
const PAGE = 1000;

/** All of them, the oldest first. */
export async function pastIdentities(store: Store, client: ActorAddress): Promise<PastIdentity[]> {
  const { shard, actor } = placeOf(store, client);
  const past: PastIdentity[] = [];
  for (let after = ""; ;) {
    const parts = await store.listParts(shard, actor, { prefix: "history/", after, limit: PAGE });
    past.push(...parts.map(({ bytes }) => decode(bytes) as PastIdentity));
    if (parts.length < PAGE) return past;
    after = parts.at(-1)?.name ?? after;
  }
}
