// What every service is given, and the few steps all of them share: asking an actor, reading records,
// answering. Decides nothing.
import { createHash } from "node:crypto";
import type { ActorAddress, ActorPort, Applied, Command, Refused } from "../actors/actor-port.ts";
import { actorKey, shardOf } from "../actors/actor-address.ts";
import { decodeEnvelope, type PersistedState } from "../actors/snapshot.ts";
import type { Clock } from "../actors/store-clock.ts";
import { refuse, type RefusalExtra } from "../protocol/errors.ts";
import { methods } from "../protocol/methods.ts";
import { paramsDigest } from "../protocol/params-digest.ts";
import type { Reason } from "../protocol/reasons.ts";
import type { Settings } from "../protocol/schemas/application.ts";
import type { ActorKey, Shard, Store } from "../store/store.ts";
import type { IdentityProviders } from "./identity-provider-choice.ts";
import type { Answer, Request } from "./request-port.ts";

export interface ServicePorts {
  readonly store: Store;
  readonly actors: ActorPort;
  readonly clock: Clock;
  readonly identityProviders: IdentityProviders;
  /** Fresh UUIDs. */
  newId(): string;
  /** Resolves when work that is done in steps may go on: others have had their turns of the event loop. */
  turn(): Promise<void>;
}

/** A request of an application's key, with what governs it. */
export interface ApplicationRequest extends Request {
  readonly applicationId: string;
  readonly settings: Settings;
}

export interface ActorRecord<Context> {
  readonly state: string;
  readonly context: Context;
}

/** The request, for what goes on once a part of it is done. */
export function begun<R extends Request>({ cancellation: _, ...request }: R): Omit<R, "cancellation"> {
  return request;
}

export function done(result: object): Answer {
  return { kind: "done", result };
}

export function refused(reason: Reason, extra?: RefusalExtra): Refused {
  return { kind: "refused", refusal: refuse(reason, extra) };
}

/**
 * Asks an actor; `keyed`: this is the request itself, under its idempotency key where it has one. What only serves or
 * mends it is done whether or not the request is still wanted.
 */
export function ask(
  ports: ServicePorts,
  request: Request,
  to: ActorAddress,
  command: Command & Record<string, unknown>,
  keyed: boolean,
): Promise<Applied | Refused> {
  const { deadline, key, method, params } = request;
  if (!keyed) return ports.actors.call({ to, command, deadline });
  const cancellable = request.cancellation === undefined ? {} : { cancellation: request.cancellation };
  if (key === undefined) return ports.actors.call({ to, command, deadline, ...cancellable });
  const secret = "secret" in methods[method];
  const remembered = { key, digest: paramsDigest(method, params), secret };
  return ports.actors.call({ to, command, deadline, ...cancellable, key: remembered });
}

/**
 * A refusal that was found before the home was asked. A retry of what was applied there gets its result all
 * the same, whatever has changed since (E4).
 */
export async function refusedUnlessRemembered(
  ports: ServicePorts,
  request: Request,
  to: ActorAddress,
  reason: Reason,
  extra?: RefusalExtra,
): Promise<Applied | Refused> {
  const otherwise = refuse(reason, extra);
  const { deadline, key, method, params } = request;
  if (key === undefined) return { kind: "refused", refusal: otherwise };
  const secret = "secret" in methods[method];
  const digest = paramsDigest(method, params);
  return ports.actors.call({ to, command: { type: "recall" }, deadline, key: { key, digest, secret }, otherwise });
}

/** Waits until what the actor owed others has arrived; false: the deadline came first, or nobody here can tell. */
export async function settledInTime(applied: Applied, deadline: number): Promise<boolean> {
  let alarm: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    alarm = setTimeout(
      () => {
        resolve(false);
      },
      Math.max(deadline - performance.now(), 0),
    );
  });
  const settled = await Promise.race([applied.settled, late]);
  clearTimeout(alarm);
  return settled;
}

/** Lets others have their turn: long work on the event loop is done in steps between such pauses. */
export function pause(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

/** Before a further step of a long reading. A refusal: nobody waits for its answer any more. */
export async function nextStep(
  ports: Pick<ServicePorts, "turn">,
  { deadline, cancellation }: Pick<Request, "deadline" | "cancellation">,
): Promise<Refused | undefined> {
  await ports.turn();
  if (performance.now() >= deadline) return refused("DEADLINE_EXCEEDED");
  return cancellation?.cancelled === true ? refused("CANCELLED") : undefined;
}

export function placeOf(store: Store, address: ActorAddress): { readonly actor: ActorKey; readonly shard: Shard } {
  const actor = actorKey(address);
  return { actor, shard: shardOf(actor, store.shardCount) };
}

/** Records as the store has them now (L3): everything acknowledged before is there. */
export async function readRecords<Context>(
  store: Store,
  addresses: readonly ActorAddress[],
): Promise<(ActorRecord<Context> | undefined)[]> {
  if (addresses.length === 0) return [];
  const snapshots = await store.readSnapshots(addresses.map((address) => placeOf(store, address)));
  return snapshots.map((bytes) => {
    if (bytes === undefined) return undefined;
    const state: PersistedState = decodeEnvelope(bytes).state;
    return { state: state.value, context: state.context as Context };
  });
}

export async function readRecord<Context>(
  store: Store,
  address: ActorAddress,
): Promise<ActorRecord<Context> | undefined> {
  return (await readRecords<Context>(store, [address]))[0];
}

/** The actor id of a handle: unique in its domain, and no longer than a hash. */
export function handleActorId(handle: string, domain: string | undefined): string {
  return createHash("sha256")
    .update(domain ?? "")
    .update("\0")
    .update(handle)
    .digest("hex");
}

const GROUP_ID_BYTES_READABLE = 64;

/** The actor id of a group: its id in hex, or for a long one a hash. */
export function groupActorId(groupId: Uint8Array): string {
  if (groupId.length <= GROUP_ID_BYTES_READABLE) return Buffer.from(groupId).toString("hex");
  return `x${createHash("sha256").update(groupId).digest("hex")}`;
}

/** A group of the same application as `neighbour`. */
export function groupActorKeyOf(neighbour: ActorKey, groupId: Uint8Array): ActorKey {
  const applicationId = neighbour.slice(0, neighbour.indexOf("/"));
  return actorKey({ applicationId, kind: "group", id: groupActorId(groupId) });
}

/** An opaque cursor: where a listing goes on. The kind keeps one method's cursors from another's. */
export function makeCursor(kind: string, after: string): string {
  return Buffer.from(`${kind}:${after}`, "utf8").toString("base64url");
}

export function readCursor(kind: string, cursor: string | undefined): string | undefined {
  if (cursor === undefined) return "";
  const text = Buffer.from(cursor, "base64url").toString("utf8");
  return text.startsWith(`${kind}:`) ? text.slice(kind.length + 1) : undefined;
}
