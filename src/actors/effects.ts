// The closed list of what a machine may ask for. Effects leave a machine by XState `emit` and in no
// other way; the host turns them into one entry of the shard's next batch (L2).
import type { Refusal } from "../protocol/errors.ts";
import type { ActorAddress, Command } from "./actor-port.ts";

export type Effect =
  /** The turn's answer. At most one `reply` or `refuse` a turn; none: the reply is `{}`. */
  | { readonly type: "reply"; readonly value: object }
  | { readonly type: "refuse"; readonly refusal: Refusal }
  | { readonly type: "putPart"; readonly name: string; readonly bytes: Uint8Array }
  | { readonly type: "deletePart"; readonly name: string }
  /** Moves a part's bytes into the reply and into the remembered result (`keep`: copies them). */
  | { readonly type: "takePart"; readonly name: string; readonly keep?: boolean }
  | { readonly type: "putMark"; readonly name: string; readonly expiresAt: number; readonly bytes?: Uint8Array }
  | { readonly type: "deleteMark"; readonly name: string }
  /** One event to this actor's own stream; the machine counts its offsets. */
  | { readonly type: "append"; readonly offset: number; readonly event: string; readonly body: object }
  | { readonly type: "trim"; readonly before: number }
  /** Drops all parts and the stream; the snapshot stays as a tombstone. */
  | { readonly type: "purge" }
  /** Forgets the remembered result of an idempotency key. */
  | { readonly type: "forget"; readonly key: string }
  /** A message to another actor, delivered until it has it durably, applied there once (G8). */
  | { readonly type: "tell"; readonly to: ActorAddress; readonly command: Command }
  /**
   * The same message to each client of a roster's page. Not in one order with `tell`: of what one client is told, an
   * older message is dropped once a newer one has been applied.
   */
  | { readonly type: "tellClients"; readonly page: Uint8Array; readonly command: Command }
  | {
      readonly type: "indexTags";
      readonly clientId: string;
      readonly version: number;
      readonly tags: readonly string[];
      readonly removed: readonly string[];
    }
  /** The back-end's own Remove proposals are due in this group, newly signed for its present epoch (M6). */
  | { readonly type: "proposeRemovals"; readonly groupId: Uint8Array }
  /** Everything of an application is removed from the store. */
  | { readonly type: "purgeApplication"; readonly applicationId: string }
  | { readonly type: "setTimer"; readonly name: string; readonly at: number }
  | { readonly type: "clearTimer"; readonly name: string };

/** Facts that the host adds to every command at the turn (L7). */
export interface TurnFacts {
  /** Store time, Unix milliseconds. */
  readonly now: number;
  /** The shard's lineage. */
  readonly lineage: string;
  /** Names of the actor's parts under the machine's directory prefixes, as of this turn. */
  readonly directory: Directory;
}

/** A sorted, read-only view of part names: an actor's large state as small facts (L5). */
export interface Directory {
  has(name: string): boolean;
  count(prefix: string): number;
  /** The first name with the prefix that is not below `from`. */
  first(prefix: string, from?: string): string | undefined;
  list(prefix: string): readonly string[];
}
