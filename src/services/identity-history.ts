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
/** One answer ends with the identity that brings it to so many. */
const ANSWER_BYTES = 2_097_152;
/** Of an identity beside its credential. */
const BESIDE_BYTES = 128;

type NamedPart = readonly [name: string, identity: PastIdentity];

async function* pagesOf(store: Store, client: ActorAddress, from = ""): AsyncGenerator<readonly NamedPart[]> {
  const { shard, actor } = placeOf(store, client);
  for (let after = from; ;) {
    const parts = await store.listParts(shard, actor, { prefix: "history/", after, limit: PAGE });
    yield parts.map(({ name, bytes }) => [name, decode(bytes) as PastIdentity]);
    if (parts.length < PAGE) return;
    after = parts.at(-1)?.name ?? after;
  }
}

export interface ToldIdentities {
  readonly kind: "told";
  /** The oldest first. */
  readonly past: readonly PastIdentity[];
  /** Behind whom there are others; undefined: these are all. */
  readonly last: string | undefined;
}

/** Those behind `after`, as many as one answer takes. Refused when nobody waits for it any more. */
export async function pastIdentities(
  ports: Pick<ServicePorts, "store" | "turn">,
  request: Request,
  client: ActorAddress,
  after: string,
): Promise<ToldIdentities | Refused> {
  const past: PastIdentity[] = [];
  let bytes = 0;
  for await (const page of pagesOf(ports.store, client, after)) {
    for (const [name, identity] of page) {
      past.push(identity);
      bytes += (identity.credential.length * 3) / 4 + BESIDE_BYTES;
      if (bytes >= ANSWER_BYTES) return { kind: "told", past, last: name };
    }
    const unwanted = await nextStep(ports, request);
    if (unwanted !== undefined) return unwanted;
  }
  return { kind: "told", past, last: undefined };
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
      if (page.some(([, identity]) => identity.credential === credential)) return { kind: "holder", record };
      const unwanted = await nextStep(ports, request);
      if (unwanted !== undefined) return unwanted;
    }
  }
  return { kind: "holder", record: undefined };
}
