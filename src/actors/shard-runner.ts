// Runs one shard: one batch in flight, the next accumulating meanwhile, and the gate behind which
// everything waits until it is durable (rules 1, 2 and 4 of docs/ARCHITECTURE.md). After any answer but
// OK it claims the shard anew before it sends or reads anything. Never decides what a command means.
import { refuse, type Refusal } from "../protocol/errors.ts";
import {
  markOf,
  type ActorKey,
  type Fence,
  type Hold,
  type Operation,
  type OwnerRecord,
  type Receipt,
  type Shard,
  type ShardMark,
  StoreUnreached,
} from "../store/store.ts";
import { Batch, type Release } from "./batch.ts";
import type { FlushTurn } from "./flush-turn.ts";
import type { HostOptions } from "./host-options.ts";
import type { LiveActor } from "./live-actor.ts";
import { type BacklogDuties, ShardBacklog } from "./shard-backlog.ts";
import type { ClaimedShard } from "./shard-claim.ts";
import { bytesOf } from "./turn.ts";

export interface ShardDuties extends BacklogDuties {
  /** An actor left memory because the shard was lost. */
  dropped(live: LiveActor): void;
}

/** A shard lost again within this time is in trouble: what it owes waits longer each time. */
const TROUBLE_MS = 10_000;
const RESUME_MIN_MS = 50;
const RESUME_MAX_MS = 2_000;

const ARRIVED = Promise.resolve(true);

export class ShardRunner {
  readonly shard: Shard;
  readonly actors = new Map<ActorKey, LiveActor>();
  readonly #options: HostOptions;
  readonly #duties: ShardDuties;
  readonly #flushes: FlushTurn;
  readonly #stop = new AbortController();
  #owner: OwnerRecord | undefined;
  /** Of this ownership, or of the last: what an earlier one still has on its way must not touch this one's order. */
  #backlog: ShardBacklog | undefined;
  #pending = new Batch();
  #inFlight: Batch | undefined;
  #pendingSinceMs = 0;
  #bytes = 0;
  /** Losses of the shard that followed one another closely. */
  #losses = 0;
  #lostAtMs = 0;
  #flushScheduled = false;
  /** A claim is on its way. */
  #claiming = false;
  /** The shard is being handed over: what is pending still goes, nothing new comes in. */
  #releasing: Promise<ShardMark | undefined> | undefined;
  #roomWaits: (() => void)[] = [];
  #settledWaits: (() => void)[] = [];
  #ownedWaits: (() => void)[] = [];

  /** @param flushes of the whole node */
  constructor(shard: Shard, options: HostOptions, duties: ShardDuties, flushes: FlushTurn) {
    this.shard = shard;
    this.#options = options;
    this.#duties = duties;
    this.#flushes = flushes;
  }

  /** The fence under which this node may read and write now; undefined while it must not. */
  get fence(): Fence | undefined {
    return this.#owner?.fence;
  }

  /** The fence and how far this node knows the shard's history to go: what it reads by (P12). */
  get hold(): Hold | undefined {
    return this.#owner && holdOf(this.#owner);
  }

  /** How far the shard's history goes, for others to remember (rule 8). */
  get mark(): ShardMark | undefined {
    return this.#owner && markOf(this.#owner);
  }

  get lineage(): string {
    return this.#owner?.lineage ?? "";
  }

  /** True while calls may come in. */
  get accepting(): boolean {
    return this.#owner !== undefined && this.#releasing === undefined;
  }

  /** Claims the shard. False: it is not to be this node's, or somebody is claiming or releasing it already. */
  async acquire(): Promise<boolean> {
    if (this.accepting) return true;
    if (this.#claiming || this.#releasing !== undefined) return false;
    const claimed = await this.#claim();
    if (claimed !== undefined) this.#own(claimed);
    return claimed !== undefined;
  }

  /**
   * Sends what is pending, then lets go; the claim stays in the store until somebody takes the shard.
   * @returns how far its history went then; undefined: it was lost before
   */
  release(): Promise<ShardMark | undefined> {
    this.#releasing ??= this.#handOver().finally(() => {
      this.#releasing = undefined;
    });
    return this.#releasing;
  }

  /** Releases the shard for good: a claim on its way ends too. */
  async stop(): Promise<void> {
    await this.release();
    this.#stop.abort();
  }

  async #handOver(): Promise<ShardMark | undefined> {
    this.#backlog?.stopTimers();
    this.#refuseMailboxes();
    while (this.#owner !== undefined && (this.#inFlight !== undefined || this.#hasWork)) {
      await new Promise<void>((resolve) => this.#settledWaits.push(resolve));
    }
    const { mark } = this;
    if (mark === undefined) return undefined; // lost meanwhile: whoever noticed has put everything away
    this.#owner = undefined;
    this.#options.events.shardReleased(this.shard);
    this.#backlog?.stop();
    this.#dropActors();
    for (const resolve of this.#roomWaits.splice(0)) resolve();
    for (const resolve of this.#ownedWaits.splice(0)) resolve();
    return mark;
  }

  /** Undefined: the shard is not to be this node's. */
  async #claim(lost?: OwnerRecord): Promise<ClaimedShard | undefined> {
    this.#claiming = true;
    try {
      return await this.#options.claims.claim(this.shard, this.#stop.signal, lost && markOf(lost));
    } catch (error) {
      if (!this.#stop.signal.aborted) this.#options.events.shardLost(this.shard, describe(error));
      return undefined;
    } finally {
      this.#claiming = false;
    }
  }

  /** True while the pending batch can take no further turn (L6); look again after each `room()`. */
  get full(): boolean {
    const { batchOperationsMax, batchBytesMax } = this.#options.limits;
    return this.#pending.size >= batchOperationsMax || this.#bytes >= batchBytesMax;
  }

  /** Resolves when a batch has gone; others may take the room first. */
  room(): Promise<void> {
    return new Promise((resolve) => this.#roomWaits.push(resolve));
  }

  /** Puts a turn's writes into the next batch; `release.settle` is called once they are durable. */
  add(release: Release, extra: readonly Operation[]): void {
    this.#noteArrival();
    for (const operations of [release.turn.operations, extra]) {
      for (const operation of operations) this.#bytes += bytesOf(operation);
      this.#pending.write(operations);
    }
    this.#pending.add(release);
    const { sabotage } = this.#options;
    if (sabotage?.has("replyBeforeWrite") === true) this.#answer(release, []);
    if (sabotage?.has("refusalsUnchecked") === true && release.turn.refusal !== undefined) this.#answer(release, []);
    this.#schedule();
  }

  /**
   * True once everything that `sender` owes now has arrived, even if the shard was lost meanwhile; false when
   * the shard is another node's by then, which delivers the rest.
   */
  settled(sender: ActorKey): Promise<boolean> {
    return this.#backlog?.owesNothing(sender) === true ? ARRIVED : this.#arrival(sender);
  }

  async #arrival(sender: ActorKey): Promise<boolean> {
    for (;;) {
      const backlog = this.#backlog;
      if ((await backlog?.settled(sender)) === true) return true;
      // The store keeps what did not arrive: the next ownership begins with it.
      if (backlog !== this.#backlog) continue;
      if (this.#owner === undefined && !this.#claiming) return false;
      await new Promise<void>((resolve) => this.#ownedWaits.push(resolve));
    }
  }

  /** The store said, or may have said, that this node is no owner. Claims anew; nothing is assumed. */
  lose(cause: string): void {
    if (this.#owner === undefined) return;
    void this.#reclaim(undefined, cause);
  }

  /** A promoted replica may lack what was written here: the shard is then lost (rule 8). */
  audit(): void {
    const owner = this.#owner;
    if (owner === undefined) return;
    this.#options.store.check(this.shard, holdOf(owner)).then(
      (stands) => {
        if (!stands && this.#owner === owner) this.lose("the store has another owner, or less than was written");
      },
      () => undefined, // a store that is away is noticed by those who need it
    );
  }

  get #hasWork(): boolean {
    return !this.#pending.empty || this.#backlog?.hasWrites === true;
  }

  #noteArrival(): void {
    if (!this.#hasWork) this.#pendingSinceMs = performance.now();
  }

  #schedule(): void {
    if (this.#flushScheduled || this.#inFlight !== undefined || this.#owner === undefined) return;
    this.#flushScheduled = true;
    this.#flushes.add(() => {
      this.#flushScheduled = false;
      void this.#flush();
    });
  }

  async #flush(): Promise<void> {
    const owner = this.#owner;
    if (this.#inFlight !== undefined || owner === undefined || !this.#hasWork) return;
    const batch = this.#pending;
    batch.operations.push(...(this.#backlog?.take(this.#options.limits.batchOperationsMax) ?? []));
    const waitMs = performance.now() - this.#pendingSinceMs;
    this.#pending = new Batch();
    this.#bytes = 0;
    this.#inFlight = batch;
    for (const resolve of this.#roomWaits.splice(0)) resolve();
    let receipt: Receipt | undefined;
    let failure = "";
    let certain = false;
    try {
      receipt = await this.#write(owner, batch.seal());
      if (receipt === undefined) failure = "refused by the store";
    } catch (error) {
      failure = describe(error);
      certain = error instanceof StoreUnreached;
    }
    if (this.#owner !== owner) return; // lost meanwhile: whoever lost it settles this batch
    if (receipt === undefined) {
      // Whoever knows what came of it need not wait until the store is back.
      if (certain) batch.refuseAll(notApplied());
      await this.#reclaim(batch, failure);
      return;
    }
    // In one step with the release: whoever loses the shard before it still has this batch to settle, by its number.
    (owner as { sequence: number }).sequence = receipt.sequence;
    this.#options.events.batchCommitted(batch.operations.length, batch.releases.length, waitMs);
    this.#inFlight = undefined;
    this.#release(batch, receipt);
    this.#continue();
  }

  /** @returns undefined when the store refused; @throws when nothing is known */
  async #write(owner: OwnerRecord, operations: readonly Operation[]): Promise<Receipt | undefined> {
    const { store } = this.#options;
    if (operations.length === 0) {
      return (await store.check(this.shard, holdOf(owner))) ? { sequence: owner.sequence, taken: [] } : undefined;
    }
    const outcome = await store.commit(this.shard, owner.fence, owner.sequence + 1, operations);
    return outcome.kind === "applied" ? outcome.receipt : undefined;
  }

  #publish({ live, turn }: Batch["releases"][number]): void {
    try {
      if (turn.appended.length > 0) this.#options.published(live.key, this.lineage, turn.appended);
      if (turn.operations.some(({ op }) => op === "purge")) this.#options.purged(live.key);
    } catch (error) {
      // A listener's bug must not keep the answers of its neighbours in the batch.
      this.#options.events.actorFailed(live.address.kind, error);
    }
  }

  /** The gate: per turn, first the reply, then its events, then its messages to other actors. */
  #release(batch: Batch, receipt: Receipt): void {
    let taken = 0;
    for (const release of batch.releases) {
      const bytes = receipt.taken.slice(taken, taken + release.turn.takes.length);
      taken += release.turn.takes.length;
      this.#backlog?.add(release.live.key, release.turn);
      this.#answer(release, bytes);
      this.#publish(release);
    }
  }

  #answer(release: Release, taken: readonly Uint8Array[]): void {
    const { turn, live } = release;
    if (turn.refusal !== undefined) {
      release.settle({ kind: "refused", refusal: turn.refusal });
      return;
    }
    release.settle({
      kind: "applied",
      value: turn.reply,
      taken,
      lineage: this.lineage,
      repeated: false,
      settled: this.settled(live.key),
    });
  }

  async #reclaim(batch: Batch | undefined, cause: string): Promise<void> {
    const lost = this.#owner;
    if (lost === undefined) return;
    if (this.#options.sabotage?.has("reclaimSkipped") === true) {
      this.#inFlight = undefined;
      batch?.refuseAll(notApplied());
      this.#continue();
      return;
    }
    this.#owner = undefined;
    const now = performance.now();
    this.#losses = now - this.#lostAtMs < TROUBLE_MS ? this.#losses + 1 : 0;
    this.#lostAtMs = now;
    this.#options.events.shardLost(this.shard, cause);
    const unknown = batch ?? this.#inFlight;
    const speculative = this.#pending;
    this.#pending = new Batch();
    this.#bytes = 0;
    this.#backlog?.stop();
    this.#dropActors();
    speculative.refuseAll(notApplied());
    // What the machine refused wrote nothing, whatever became of the batch: only its "no" can't be vouched for.
    unknown?.refuseRefused(notApplied());
    for (const resolve of this.#roomWaits.splice(0)) resolve();
    // Whoever waits to stop must not wait for a store that is away.
    for (const resolve of this.#settledWaits.splice(0)) resolve();
    const claimed = await this.#claim(lost);
    this.#inFlight = undefined;
    if (claimed === undefined) {
      unknown?.refuseAll(refuse("OUTCOME_UNKNOWN"));
      for (const resolve of this.#ownedWaits.splice(0)) resolve();
      return;
    }
    this.#own(claimed);
    if (unknown !== undefined) this.#settleUnknown(unknown, lost, claimed);
    this.#continue();
  }

  /** Nobody but us could write between our last batch and this claim iff the record replaced was ours. */
  #settleUnknown(batch: Batch, lost: OwnerRecord, claimed: ClaimedShard): void {
    const undisturbed =
      claimed.previous?.fence.nonce === lost.fence.nonce && claimed.previous.fence.number === lost.fence.number;
    const applied = undisturbed && claimed.record.sequence === lost.sequence + 1 && claimed.receipt !== undefined;
    if (applied && batch.operations.length > 0) {
      // The stored outbox and timers are read anew by `#own`; only answers and events are left to release.
      let taken = 0;
      for (const release of batch.releases) {
        const bytes = claimed.receipt.taken.slice(taken, taken + release.turn.takes.length);
        taken += release.turn.takes.length;
        this.#answer(release, bytes);
        this.#publish(release);
      }
      return;
    }
    const certain = undisturbed && claimed.record.sequence === lost.sequence;
    batch.refuseAll(certain || batch.operations.length === 0 ? notApplied() : refuse("OUTCOME_UNKNOWN"));
  }

  #dropActors(): void {
    this.#refuseMailboxes();
    for (const live of this.actors.values()) {
      live.stop();
      this.#duties.dropped(live);
    }
    this.actors.clear();
  }

  #refuseMailboxes(): void {
    for (const { mailbox } of this.actors.values()) {
      for (const entry of mailbox.splice(0)) entry.settle({ kind: "refused", refusal: notApplied() });
    }
  }

  #own(claimed: ClaimedShard): void {
    const owner = { ...claimed.record };
    this.#owner = owner;
    this.#backlog = new ShardBacklog({
      shard: this.shard,
      host: this.#options,
      duties: this.#duties,
      hold: () => holdOf(owner),
      writing: () => this.#inFlight !== undefined,
      due: () => {
        this.#noteArrival();
        this.#schedule();
      },
      failed: (error) => {
        this.lose(describe(error));
      },
    });
    this.#options.events.shardClaimed(this.shard, claimed.record.fence.number);
    this.#backlog.begin(this.#resumeAfterMs());
    for (const resolve of this.#ownedWaits.splice(0)) resolve();
  }

  /**
   * At once after a single loss; later after each that follows closely. A message or timer whose batch no store
   * takes would otherwise have the shard lost again before anybody else was served.
   */
  #resumeAfterMs(): number {
    return this.#losses === 0 ? 0 : Math.min(RESUME_MIN_MS * 2 ** (this.#losses - 1), RESUME_MAX_MS);
  }

  #continue(): void {
    this.#backlog?.written();
    if (this.#hasWork) this.#schedule();
    for (const resolve of this.#settledWaits.splice(0)) resolve();
  }
}

function holdOf({ fence, sequence }: OwnerRecord): Hold {
  return { number: fence.number, nonce: fence.nonce, sequence };
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : "unknown";
}

export function notApplied(): Refusal {
  return refuse("NOT_OWNER");
}
