// Turns an actor's address into its store key and its shard, and back. Pure.
import type { ActorKey, Shard } from "../store/store.ts";
import type { ActorAddress, ActorKind } from "./actor-port.ts";

/** The application that holds what belongs to the operator alone. Not a UUID, so no tenant can be it. */
export const OPERATOR_APPLICATION = "operator";

export function actorKey(address: ActorAddress): ActorKey {
  return `${address.applicationId}/${address.kind}/${address.id}`;
}

export function parseActorKey(key: ActorKey): ActorAddress {
  const [applicationId, kind, id] = key.split("/");
  if (applicationId === undefined || kind === undefined || id === undefined) {
    throw new Error("an actor key has three parts");
  }
  return { applicationId, kind: kind as ActorKind, id };
}

/**
 * FNV-1a over application and id, the kind left out: a client's identity and its key pool share a
 * shard, so that what they owe each other shares batches.
 */
export function shardOf(key: ActorKey, shardCount: number): Shard {
  const first = key.indexOf("/");
  return spread(key, shardCount, first, key.indexOf("/", first + 1));
}

/** One of `count` places for an ASCII text, always the same; what stands from `skipFrom` to `skipTo` does not count. */
export function spread(text: string, count: number, skipFrom = 0, skipTo = 0): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i += 1) {
    if (i >= skipFrom && i < skipTo) continue;
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  }
  hash ^= hash >>> 15;
  hash = Math.imul(hash, 0x2c1b3c6d);
  hash ^= hash >>> 13;
  return (hash >>> 0) % count;
}
