// What nodes say to each other: requests with their answers, and notices. Encodes and decodes; several frames stand
// back to back in one message. Never reaches a client.
import type { Outcome } from "../actors/actor-port.ts";
import type { ActorKey, Fence, Shard, ShardMark, StreamEntry } from "../store/store.ts";
import { decodeExactly, encodeExactly } from "../protocol/exact-codec.ts";

export const PEER_PATH = "/v1/peer";
export const PEER_SUBPROTOCOL = "aegis.peer.v1";

/** A call of an actor, without what only its own node can know. */
export interface PeerCall {
  readonly kind: "call";
  readonly shard: Shard;
  readonly call: object;
}

export type PeerRequest =
  | PeerCall
  /** Lets go of the shard, so that the asker can claim it; answers `true` when it has. */
  | { readonly kind: "handOver"; readonly shard: Shard; readonly to: string }
  /** Sends what these actors of the shard publish from now on; answers the fence, or undefined: not the owner. */
  | { readonly kind: "attach"; readonly shard: Shard; readonly actors: readonly ActorKey[] }
  | { readonly kind: "forgetApplication"; readonly applicationId: string }
  /** An operator wants the receiver to leave; answers `true` when it has begun to. */
  | { readonly kind: "drain" };

export interface CallAnswer {
  readonly outcome: Omit<Extract<Outcome, { kind: "applied" }>, "settled"> | Extract<Outcome, { kind: "refused" }>;
  /** Whom the answering node takes for the shard's owner, when it is not itself. */
  readonly owner?: string;
  /** How far the shard's history goes at the owner's. */
  readonly mark?: ShardMark;
}

export type MarkedShard = readonly [Shard, ShardMark];

export type PeerNotice =
  | { readonly kind: "detach"; readonly actors: readonly ActorKey[] }
  | {
      readonly kind: "published";
      readonly shard: Shard;
      readonly fence: number;
      readonly actor: ActorKey;
      readonly lineage: string;
      readonly entries: readonly StreamEntry[];
    }
  | { readonly kind: "purged"; readonly shard: Shard; readonly fence: number; readonly actor: ActorKey }
  /** Shards that the sender owns, or of a link's first notice knows of, and how far their histories go. */
  | { readonly kind: "alive"; readonly shards: readonly MarkedShard[] }
  /** Members have changed: look at once. */
  | { readonly kind: "look" };

export type PeerFrame =
  | { readonly frame: "challenge"; readonly nonce: Uint8Array }
  | {
      readonly frame: "hello";
      readonly from: string;
      readonly to: string;
      readonly nonce: Uint8Array;
      readonly proof: Uint8Array;
    }
  | { readonly frame: "welcome"; readonly proof: Uint8Array }
  | { readonly frame: "request"; readonly id: number; readonly ttlMs: number; readonly request: PeerRequest }
  /** `owes`: a frame `settled` follows when what the called actor owed others has arrived. */
  | { readonly frame: "response"; readonly id: number; readonly value: unknown; readonly owes: boolean }
  /** False: this node can't tell any more. */
  | { readonly frame: "settled"; readonly id: number; readonly arrived: boolean }
  | { readonly frame: "failure"; readonly id: number; readonly message: string }
  | { readonly frame: "notice"; readonly notice: PeerNotice };

/** What a request came to. */
export interface PeerAnswer {
  readonly value: unknown;
  /** True once everything owed has arrived; false when that can't be told any more. */
  readonly settled: Promise<boolean>;
}

export function encodePeerFrame(frame: PeerFrame): Uint8Array {
  return encodeExactly(frame);
}

/** @throws Error for bytes that no node writes */
export function decodePeerFrames(bytes: Uint8Array): PeerFrame[] {
  return decodeExactly(bytes) as PeerFrame[];
}

export interface AttachAnswer {
  readonly fence?: Fence;
  readonly owner?: string;
  /** How far the shard's history goes at the owner's. */
  readonly mark?: ShardMark;
}
