// The identities that clients had before their present ones, as their actors wrote them down.
import type { ActorAddress, Refused } from "../actors/actor-port.ts";
import type { IdentityContext } from "../actors/identity-machine.ts";
import { decode } from "../protocol/codec.ts";
import type { Store } from "../store/store.ts";
import type { Request } from "./request-port.ts";
import { nextStep, placeOf, readRecords, type ActorRecord, type ServicePorts } from "./service-ports.ts";

interface PastIdentity {
  /** Base64 of the Credential struct. */
  readonly credential: string;
  readonly handle: string;
  readonly from: number;
  readonly until: number;
}

/** Read at once: each may have a chain of certificates. */
const PAGE = 128;

async function* pagesOf(store: Store, client: ActorAddress): AsyncGenerator<readonly PastIdentity[]> {
  const { shard, actor } = placeOf(store, client);
  for (let after = ""; ;) {
    const parts = await store.listParts(shard, actor, { prefix: "history/", after, limit: PAGE });
    yield parts.map(({ bytes }) => decode(bytes) as PastIdentity);
    if (parts.length < PAGE) return;
    after = parts.at(-1)?.name ?? after;
  }
}

/** All of them, the oldest first. */
export async function pastIdentities(store: Store, client: ActorAddress): Promise<PastIdentity[]> {
  const past: PastIdentity[] = [];
  for await (const page of pagesOf(store, client)) past.push(...page);
  return past;
}

export interface CredentialHolder {
  readonly kind: "holder";
  /** Undefined: none of them. */
  readonly record: ActorRecord<IdentityContext> | undefined;
}

/**
 * The last of a handle's holders, they in order, whose the credential (base64) was: another's may have the same handle.
 * Refused when nobody waits for it any more: histories may be long.
 */
export async function lastWithCredential(
  ports: Pick<ServicePorts, "store" | "turn">,
  request: Request,
  holders: readonly ActorAddress[],
  credential: string,
): Promise<CredentialHolder | Refused> {
  const { store } = ports;
  const records = await readRecords<IdentityContext>(store, holders);
  for (const [n, holder] of [...holders.entries()].reverse()) {
    const record = records[n];
    if (record?.context.identity?.credential === credential) return { kind: "holder", record };
    for await (const page of pagesOf(store, holder)) {
      if (page.some((identity) => identity.credential === credential)) return { kind: "holder", record };
      const unwanted = await nextStep(ports, request);
      if (unwanted !== undefined) return unwanted;
    }
  }
  return { kind: "holder", record: undefined };
}
