// The store port: what a durable engine promises to the actor host and to readers.
// Imports nothing. Drivers (lmdb, redis) implement it and pass one conformance suite; a driver
// never decides anything about MLS, identities or groups.
//
// Numbered promises (tests open their name with the id):
// P1  A batch is applied wholly or not at all; everything is validated before the first write.
// P2  A batch is applied only while the shard's (fence number, nonce) EQUALS the caller's.
// P3  Sequence: `last+1` is applied; `last` with the same digest answers the stored receipt word
//     for word; anything else is refused (`gap`).
// P4  `commit` resolves only when the batch is safe at the configured durability level.
// P5  A taken part goes to exactly one batch's receipt and into the marks that name it.
// P6  Offsets of a stream rise by one from 1; an append with another offset is invalid.
// P7  Marks vanish at their expiry (store time); they are never returned after it.
// P8  `claim` is a compare-and-set on the owner record that the claimer read; repeating one's own
//     nonce answers the same.
// P9  Reads see every commit acknowledged before they began, on any node.
// P10 Tag index writes are ordered by the client's version: an older version never undoes a newer.
// P11 A lost history mints a new lineage and destroys parts under `once/` before anything is read.
// P12 An owner that says which batch it knows applied is answered out of a history that has it, or is fenced.

/** `<applicationId>/<kind>/<id>`: names one actor. ASCII without NUL, at most 512 bytes. */
export type ActorKey = string;

/** 0 … shardCount-1. */
export type Shard = number;

/** The token that decides who may write a shard: compared for equality inside every write. */
export interface Fence {
  readonly number: number;
  readonly nonce: string;
}

/** A fence, and the number of the last batch that its holder knows applied (0, the default: none). */
export interface Hold extends Fence {
  readonly sequence?: number;
}

/** What the store keeps about a shard's owner and its last batch. */
export interface OwnerRecord {
  readonly fence: Fence;
  /** Node id of the owner. */
  readonly owner: string;
  /** host:port of the owner's links. */
  readonly address: string;
  /** Random; new whenever stored history was lost. */
  readonly lineage: string;
  /** Sequence number of the last applied batch; 0 before the first. */
  readonly sequence: number;
  /** Hex SHA-256 of the last applied batch's operations; "" before the first. */
  readonly digest: string;
}

/** How far a shard's history is known to go: what was acknowledged up to there must not vanish (rule 8). */
export interface ShardMark {
  readonly lineage: string;
  /** Number of the owner's fence. */
  readonly fence: number;
  /** Number of the last batch applied. */
  readonly sequence: number;
}

export interface Claimant {
  readonly nonce: string;
  readonly owner: string;
  readonly address: string;
  /** Used as the lineage when the shard has no owner record yet. */
  readonly freshLineage: string;
}

export type ClaimOutcome =
  | { readonly kind: "claimed"; readonly record: OwnerRecord; readonly receipt: Receipt | undefined }
  | { readonly kind: "lost"; readonly record: OwnerRecord | undefined };

/** One write inside a batch. All actors of a batch live in the batch's shard. Applied in order. */
export type Operation =
  | { readonly op: "putSnapshot"; readonly actor: ActorKey; readonly bytes: Uint8Array }
  /** A part: a named value of an actor. Names: ASCII, 1–400 bytes; listed in byte order. */
  | { readonly op: "putPart"; readonly actor: ActorKey; readonly name: string; readonly bytes: Uint8Array }
  /** No effect when the part is absent. */
  | { readonly op: "deletePart"; readonly actor: ActorKey; readonly name: string }
  /** Moves the part's bytes into the receipt (`keep`: copies them). Absent part: the batch is invalid. */
  | { readonly op: "takePart"; readonly actor: ActorKey; readonly name: string; readonly keep?: boolean }
  /** Adds one entry to the actor's stream; `offset` must be its last offset + 1. */
  | { readonly op: "append"; readonly actor: ActorKey; readonly entry: StreamEntry }
  /** Removes stream entries with an offset below `before`; the next offset is unaffected. */
  | { readonly op: "trim"; readonly actor: ActorKey; readonly before: number }
  /**
   * Removes the actor's parts and stream entries, and its stream's head says so; its snapshot (a tombstone, perhaps)
   * and its next offset stay.
   */
  | { readonly op: "purge"; readonly actor: ActorKey }
  /**
   * A mark: a value that expires by itself (idempotency results, used package refs, high-water
   * marks of the outbox). `takes` are names of parts taken earlier in this batch from this actor:
   * their bytes are stored with the mark, in order (P5).
   */
  | {
      readonly op: "putMark";
      readonly actor: ActorKey;
      readonly name: string;
      readonly bytes: Uint8Array;
      readonly takes?: readonly string[];
      readonly expiresAt: number;
    }
  | { readonly op: "deleteMark"; readonly actor: ActorKey; readonly name: string }
  /** Outbox ids sort in the order in which they were put within one sender. */
  | { readonly op: "putOutbox"; readonly id: string; readonly bytes: Uint8Array }
  | { readonly op: "deleteOutbox"; readonly id: string }
  | { readonly op: "putTimer"; readonly actor: ActorKey; readonly name: string; readonly at: number }
  | { readonly op: "deleteTimer"; readonly actor: ActorKey; readonly name: string };

export interface StreamEntry {
  readonly offset: number;
  /** Store time, Unix milliseconds. */
  readonly time: number;
  readonly type: string;
  /** The event's body, already encoded as msgpack. */
  readonly body: Uint8Array;
}

export interface StreamHead {
  /** Oldest offset kept; `last + 1` when nothing is kept. */
  readonly first: number;
  /** Newest offset ever appended; 0 before the first. */
  readonly last: number;
  /** Its actor was purged, and nothing was appended since: the stream is over, not merely trimmed. */
  readonly purged?: true;
}

export interface Receipt {
  readonly sequence: number;
  /** Bytes of the parts taken by this batch, in the order of its `takePart` operations. */
  readonly taken: readonly Uint8Array[];
}

export type CommitOutcome =
  | { readonly kind: "applied"; readonly receipt: Receipt; readonly repeated: boolean }
  | { readonly kind: "fenced" }
  | { readonly kind: "gap"; readonly last: number }
  | { readonly kind: "invalid"; readonly reason: string };

export interface Mark {
  readonly bytes: Uint8Array;
  readonly taken: readonly Uint8Array[];
  readonly expiresAt: number;
}

export interface Timer {
  readonly actor: ActorKey;
  readonly name: string;
  readonly at: number;
}

export interface OutboxEntry {
  readonly id: string;
  readonly bytes: Uint8Array;
}

/** What activating an actor needs, read in one step under the fence. */
export interface LoadedActor {
  readonly snapshot: Uint8Array | undefined;
  /** Names of parts under the prefixes asked for, in byte order. */
  readonly names: readonly string[];
}

export interface TagEntry {
  readonly clientId: string;
  readonly version: number;
  /** The client's whole tag set at that version. */
  readonly tags: readonly string[];
}

export interface TagWrite {
  readonly applicationId: string;
  readonly clientId: string;
  readonly version: number;
  readonly tags: readonly string[];
  /** Tags that the client had and has no more: tombstones are written there. */
  readonly removed: readonly string[];
}

export function markOf({ lineage, fence, sequence }: OwnerRecord): ShardMark {
  return { lineage, fence: fence.number, sequence };
}

/** The store can't be reached or did not answer: nothing is known about what was sent. */
export class StoreUnavailable extends Error {
  override readonly name = "StoreUnavailable";
}

/** Of what was asked nothing was carried out, and nothing will be. */
export class StoreUnreached extends StoreUnavailable {}

/** The caller's fence is not the shard's: it is no owner and must claim before it goes on. */
export class Fenced extends Error {
  override readonly name = "Fenced";
}

/** The store can't keep the configured promises, or belongs to somebody else: do not serve. */
export class StoreRefused extends Error {
  override readonly name = "StoreRefused";
}

export interface Store {
  /** Fixed when the store was first opened. */
  readonly shardCount: number;
  /** Random; minted when the store was first opened. */
  readonly deploymentId: string;

  /** The store's own time, Unix milliseconds. */
  time(): Promise<number>;

  // Ownership
  readOwner(shard: Shard): Promise<OwnerRecord | undefined>;
  claim(shard: Shard, seen: Fence | undefined, claimant: Claimant): Promise<ClaimOutcome>;
  /**
   * Mints a new lineage for a shard whose history was lost and removes its parts under `once/`, in one
   * step (P11). The fence rises above `beyond`, so that marks of the lost history stay below the new one's.
   * Throws Fenced or StoreUnavailable.
   */
  renewLineage(
    shard: Shard,
    fence: Fence,
    beyond?: number,
  ): Promise<{ readonly lineage: string; readonly fence: Fence }>;
  /** True while the hold stands (P2, P12); executed in the store after the call began. */
  check(shard: Shard, hold: Hold): Promise<boolean>;

  // Writes
  /** @throws StoreUnavailable when the outcome is unknown. */
  commit(shard: Shard, fence: Fence, sequence: number, operations: readonly Operation[]): Promise<CommitOutcome>;

  // Reads under the fence (owner only). Throw Fenced or StoreUnavailable.
  load(shard: Shard, hold: Hold, actor: ActorKey, directoryPrefixes: readonly string[]): Promise<LoadedActor>;
  readMarksFenced(shard: Shard, hold: Hold, actor: ActorKey, names: readonly string[]): Promise<(Mark | undefined)[]>;
  readOutbox(shard: Shard, hold: Hold, after: string, limit: number): Promise<OutboxEntry[]>;
  /** Timers in order of `at`, the soonest first, whether due or not. */
  readTimers(shard: Shard, hold: Hold, limit: number): Promise<Timer[]>;

  // Plain reads (any node; P9). `shard` is the actor's.
  readSnapshots(
    actors: readonly { readonly shard: Shard; readonly actor: ActorKey }[],
  ): Promise<(Uint8Array | undefined)[]>;
  readParts(shard: Shard, actor: ActorKey, names: readonly string[]): Promise<(Uint8Array | undefined)[]>;
  /** Names and values in byte order, those above `after`. */
  listParts(
    shard: Shard,
    actor: ActorKey,
    query: {
      readonly prefix: string;
      readonly after?: string;
      readonly limit: number;
      /** Leave the values out: `bytes` is then empty. */
      readonly namesOnly?: boolean;
    },
  ): Promise<{ readonly name: string; readonly bytes: Uint8Array }[]>;
  readMarks(shard: Shard, actor: ActorKey, names: readonly string[]): Promise<(Mark | undefined)[]>;
  /** Entries with an offset above `after`, at most `limit` and about `bytesMax` bytes (at least one). */
  readStream(
    shard: Shard,
    actor: ActorKey,
    query: { readonly after: number; readonly limit: number; readonly bytesMax: number },
  ): Promise<{ readonly entries: StreamEntry[]; readonly head: StreamHead; readonly lineage: string }>;
  readStreamHead(shard: Shard, actor: ActorKey): Promise<{ readonly head: StreamHead; readonly lineage: string }>;

  // Tag index (unfenced; P10)
  writeTags(write: TagWrite): Promise<void>;
  /** Live entries of one tag in order of clientId, those above `after`. */
  readTag(applicationId: string, tag: string, after: string, limit: number): Promise<TagEntry[]>;
  countTag(applicationId: string, tag: string): Promise<number>;

  // Whole applications
  /** Removes every actor, stream, mark and tag entry of an application. Idempotent. */
  purgeApplication(applicationId: string): Promise<void>;

  // Nodes
  /**
   * Writes this node's heartbeat, if it is its first (counter 1) or its record is still there, and answers all
   * records: a node that does not find its own was expelled and comes back as a new one.
   */
  heartbeat(node: NodeRecord): Promise<NodeRecord[]>;
  readNodes(): Promise<NodeRecord[]>;
  removeNode(nodeId: string): Promise<void>;

  /** True while the store answers; cheap, for readiness. */
  healthy(): Promise<boolean>;
  close(): Promise<void>;
}

export interface NodeRecord {
  readonly nodeId: string;
  readonly address: string;
  /** 1, then rising with each beat; peers judge by whether it moved, never by a wall clock. */
  readonly counter: number;
  /** It hands its shards over and takes no more. */
  readonly leaving: boolean;
  /** Ids of nodes whose links it can't reach. */
  readonly unreachable: readonly string[];
  /** Shards in which it met what a newer machine wrote: others are to have them (F23). Older nodes say nothing of it. */
  readonly tooNew?: readonly Shard[];
}

export type Durability = "memory" | "fsync";
