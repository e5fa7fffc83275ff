// The identities that clients had before their present ones, as their actors wrote them down.
import type { ActorAddress } from "../actors/actor-port.ts";
import type { IdentityContext } from "../actors/identity-machine.ts";
import { decode } from "../protocol/codec.ts";
import type { Store } from "../store/store.ts";
import { placeOf, readRecords, type ActorRecord } from "./service-ports.ts";

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

/** The last of a handle's holders, they in order, whose the credential (base64) was: another's may have the same handle. */
export async function lastWithCredential(
  store: Store,
  holders: readonly ActorAddress[],
  credential: string,
): Promise<ActorRecord<IdentityContext> | undefined> {
  const records = await readRecords<IdentityContext>(store, holders);
  for (const [n, holder] of [...holders.entries()].reverse()) {
    const record = records[n];
    if (record?.context.identity?.credential === credential) return record;
    const past = await pastIdentities(store, holder);
    if (past.some((identity) => identity.credential === credential)) return record;
  }
  return undefined;
}
