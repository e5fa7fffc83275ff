// The next write of a shard: what its turns want stored, and what must leave once that is durable.
// Collects only; the shard runner decides when it is sent.
import type { Refusal } from "../protocol/errors.ts";
import type { Operation } from "../store/store.ts";
import type { Outcome } from "./actor-port.ts";
import type { LiveActor } from "./live-actor.ts";
import type { Turn } from "./turn.ts";

/** What waits for a batch: a turn's answer, its events and its messages. */
export interface Release {
  readonly live: LiveActor;
  readonly turn: Turn;
  /** The actor's snapshot is stored with it. */
  readonly dirty: boolean;
  /** Answers the caller; only the first time counts. */
  readonly settle: (outcome: Outcome) => void;
}

export class Batch {
  readonly operations: Operation[] = [];
  readonly releases: Release[] = [];
  readonly #dirty = new Set<LiveActor>();

  get empty(): boolean {
    return this.operations.length === 0 && this.releases.length === 0;
  }

  /** Operations that it will have once it is sealed. */
  get size(): number {
    return this.operations.length + this.#dirty.size;
  }

  write(operations: readonly Operation[]): void {
    for (const operation of operations) this.operations.push(operation);
  }

  add(release: Release): void {
    this.releases.push(release);
    if (release.dirty) this.#dirty.add(release.live);
  }

  /** Several turns of one actor in one batch store its snapshot once. */
  seal(): readonly Operation[] {
    for (const live of this.#dirty) {
      this.operations.push({ op: "putSnapshot", actor: live.key, bytes: live.encodeSnapshot() });
    }
    this.#dirty.clear();
    return this.operations;
  }

  refuseAll(refusal: Refusal): void {
    for (const release of this.releases) release.settle({ kind: "refused", refusal });
  }

  /** Only turns whose machine said no. */
  refuseRefused(refusal: Refusal): void {
    for (const { turn, settle } of this.releases) if (turn.refusal !== undefined) settle({ kind: "refused", refusal });
  }
}
