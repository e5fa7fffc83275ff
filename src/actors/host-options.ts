// Everything the actor host is given: its ports, its limits and its test-only switches. Types only.
import type { ActorKey, Shard, Store, StreamEntry } from "../store/store.ts";
import type { ActorPort } from "./actor-port.ts";
import type { MachineCatalogue } from "./machine-catalogue.ts";
import type { ShardClaims } from "./shard-claim.ts";
import type { Clock } from "./store-clock.ts";

export interface HostLimits {
  /** Live actors on this node. */
  readonly actorsMax: number;
  /** Calls waiting for one actor. */
  readonly mailboxMax: number;
  /** Idle time after which a live actor leaves memory. */
  readonly passivateAfterMs: number;
  /** Operations after which a batch takes no further turn. */
  readonly batchOperationsMax: number;
  /** Bytes after which a batch takes no further turn. */
  readonly batchBytesMax: number;
  /** How long results of idempotency keys are remembered. */
  readonly resultTtlMs: number;
  /** How long a receiver remembers a sender's high-water mark. */
  readonly receivedTtlMs: number;
  /** Outbox messages of one shard held in memory. */
  readonly outboxMessagesMax: number;
  /** Timers of one shard held in memory. */
  readonly timersMax: number;
  /** Time limit of a message between actors or of a timer's turn. */
  readonly internalCallMs: number;
}

/** Of the machine that wrote a snapshot, and of the one that is here. */
export interface SnapshotVersions {
  readonly written: number;
  readonly known: number;
}

/** What the host tells the operator's telemetry; one function an event. */
export interface HostEvents {
  batchCommitted(operations: number, releases: number, waitMs: number): void;
  shardLost(shard: number, cause: string): void;
  shardClaimed(shard: number, fence: number): void;
  shardReleased(shard: number): void;
  actorFailed(kind: string, cause: unknown): void;
  /** An actor was left alone, because a newer version of the server wrote it (F23). */
  snapshotTooNew(shard: number, kind: string, versions: SnapshotVersions): void;
  actorsLive(count: number): void;
}

/** Faults that a test-only build turns on to prove that a named test catches them. */
export type HostSabotage = "replyBeforeWrite" | "refusalsUnchecked" | "reclaimSkipped";

export interface HostOptions {
  readonly store: Store;
  readonly claims: ShardClaims;
  /** All actors, wherever they are: messages from one to another go through it. */
  readonly actors: ActorPort;
  readonly clock: Clock;
  readonly catalogue: MachineCatalogue;
  readonly limits: HostLimits;
  readonly events: HostEvents;
  /** Called after durability, in order for each actor. */
  published(actor: ActorKey, lineage: string, entries: readonly StreamEntry[]): void;
  /** Called after durability, behind `published` of the same turn: the actor's stream is gone for good. */
  purged(actor: ActorKey): void;
  /** Signs and submits the Remove proposals that the group's head asks for; rejects to be asked again. */
  proposeRemovals(applicationId: string, groupId: Uint8Array): Promise<void>;
  /** Every node lets go of the application's actors; rejects unless all have. */
  forgetApplication(applicationId: string): Promise<void>;
  /** The shard holds what a newer machine wrote: another node is to have it (F23). */
  tooNew(shard: Shard): void;
  /** Encrypts what is remembered of results that hold a secret (E4). */
  readonly seal: (plain: Uint8Array) => Uint8Array;
  readonly open: (sealed: Uint8Array) => Uint8Array;
  readonly sabotage?: ReadonlySet<string>;
}
