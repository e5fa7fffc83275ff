// The actors of one node: finds the shard, activates from the snapshot, runs one turn at a time, bounds
// mailboxes and memory, and answers every call by its deadline (G6). Never decides what a command means.
import { refuse, type Refusal } from "../protocol/errors.ts";
import {
  Fenced,
  StoreUnavailable,
  type ActorKey,
  type Fence,
  type Mark,
  type Operation,
  type Shard,
  type Timer,
  type ShardMark,
} from "../store/store.ts";
import { actorKey, parseActorKey, shardOf } from "./actor-address.ts";
import type { ActorAddress, ActorPort, Call, Command, Outcome } from "./actor-port.ts";
import type { TurnFacts } from "./effects.ts";
import { FlushTurn } from "./flush-turn.ts";
import type { HostOptions } from "./host-options.ts";
import { LiveActor, SnapshotTooNew, type MailboxEntry } from "./live-actor.ts";
import { LiveActors } from "./live-actors.ts";
import { PageTeller } from "./page-teller.ts";
import { markOfCall, RememberedCalls } from "./remembered-calls.ts";
import { notApplied, ShardRunner } from "./shard-runner.ts";
import { receivedMark, takeTurn, type OutboxMessage, type Turn } from "./turn.ts";

/** How often actors that were idle long enough are let go. */
const SWEEP_MS = 5_000;
/** Idle actors let go in a row; others have their turn before the next. */
const DROPPED_AT_ONCE = 128;
/** At the limit one in so many is let go at once; more would hold up everybody else. */
const ROOM_SHARE = 64;
/** Actors looked at for room before a call is refused. */
const LOOKS_MAX = 1024;
/** After a look that found none idle, nobody looks again for so long: each of a storm of calls would. */
const NO_ROOM_MS = 10;

export class ActorHost implements ActorPort {
  readonly #options: HostOptions;
  readonly #runners: ShardRunner[];
  readonly #live = new LiveActors();
  readonly #pages = new PageTeller();
  readonly #remembered: RememberedCalls;
  #sweep: NodeJS.Timeout | undefined;
  #noRoomUntilMs = 0;

  constructor(options: HostOptions) {
    this.#options = options;
    this.#remembered = new RememberedCalls(options);
    const duties = {
      deliver: (message: OutboxMessage) => this.#deliver(message),
      fire: (timer: Timer) => this.#fire(timer),
      dropped: (live: LiveActor) => {
        this.#live.remove(live);
      },
    };
    const flushes = new FlushTurn();
    const { shardCount } = options.store;
    this.#runners = Array.from({ length: shardCount }, (_, n) => new ShardRunner(n, options, duties, flushes));
  }

  /** Begins to let go of idle actors. Shards are acquired one by one. */
  start(): void {
    this.#sweep = setInterval(() => {
      this.#passivateIdle();
    }, SWEEP_MS);
    this.#sweep.unref();
  }

  /** Sends what is pending, then lets go of everything. */
  async stop(): Promise<void> {
    clearInterval(this.#sweep);
    await Promise.all(this.#runners.map((runner) => runner.stop()));
  }

  /** Shards that this node owns now. */
  get shardsOwned(): number {
    return this.#runners.reduce((owned, runner) => owned + (runner.fence === undefined ? 0 : 1), 0);
  }

  /** The fence under which this node owns the shard and takes calls for it. */
  fenceOf(shard: Shard): Fence | undefined {
    const runner = this.#runners[shard];
    return runner?.accepting === true ? runner.fence : undefined;
  }

  /** How far the history of a shard that is owned here goes. */
  markOf(shard: Shard): ShardMark | undefined {
    return this.#runners[shard]?.mark;
  }

  /** Asks the store whether it still has all that was written under the claim; loses the shard when it has not. */
  audit(shard: Shard): void {
    this.#runners[shard]?.audit();
  }

  /** Claims the shard; false: it is not to be this node's. */
  acquire(shard: Shard): Promise<boolean> {
    return this.#runner(shard).acquire();
  }

  /** Sends what is pending, then lets go of the shard; answers how far its history went, if it was owned here. */
  release(shard: Shard): Promise<ShardMark | undefined> {
    return this.#runner(shard).release();
  }

  /** This node may not be trusted any more: nothing goes on under the claims that it holds. */
  loseAll(cause: string): void {
    for (const runner of this.#runners) runner.lose(cause);
  }

  /** Lets go of an application's idle actors, so that nothing of them is written again. */
  forgetApplication(applicationId: string): void {
    for (const live of this.#live.idleOf(applicationId)) this.#drop(live);
  }

  call(call: Call): Promise<Outcome> {
    return this.#enqueue(call);
  }

  #enqueue(call: Call, timer?: string): Promise<Outcome> {
    const key = actorKey(call.to);
    const runner = this.#runnerOf(key);
    const live = this.#activate(runner, key);
    if ("code" in live) return Promise.resolve({ kind: "refused", refusal: live });
    if (live.mailbox.length >= this.#options.limits.mailboxMax) return refused(refuse("MAILBOX_FULL"));
    return new Promise((resolve) => {
      const entry = this.#entry(runner, live, call, timer, resolve);
      live.mailbox.push(entry);
      live.arrived += 1;
      if (!live.pumping) void this.#pump(runner, live);
    });
  }

  /** A mailbox entry whose caller is answered at the deadline at the latest. */
  #entry(
    runner: ShardRunner,
    live: LiveActor,
    call: Call,
    timer: string | undefined,
    resolve: (outcome: Outcome) => void,
  ): MailboxEntry {
    const alarm = setTimeout(
      () => {
        // Still in the mailbox: it will be skipped, so it is certain. After its turn nobody can say yet.
        entry.settle({
          kind: "refused",
          refusal: refuse(entry.phase === "queued" ? "DEADLINE_EXCEEDED" : "OUTCOME_UNKNOWN"),
        });
      },
      Math.max(call.deadline - performance.now(), 0),
    );
    const mark = markOfCall(call);
    const entry: MailboxEntry = {
      call,
      mark,
      ...(timer === undefined ? {} : { timer }),
      remembered: this.#remembered.read(runner, live, call, mark),
      phase: "queued",
      settle: (outcome) => {
        if (entry.phase === "settled") return;
        entry.phase = "settled";
        clearTimeout(alarm);
        resolve(outcome);
      },
    };
    // Looked at by the pump, which may come later than the failure.
    entry.remembered.catch(() => undefined);
    return entry;
  }

  #runnerOf(key: ActorKey): ShardRunner {
    return this.#runner(shardOf(key, this.#runners.length));
  }

  #runner(shard: Shard): ShardRunner {
    const runner = this.#runners[shard];
    if (runner === undefined) throw new Error("a shard number is out of range");
    return runner;
  }

  #activate(runner: ShardRunner, key: ActorKey): LiveActor | Refusal {
    if (!runner.accepting) return notApplied();
    const present = runner.actors.get(key);
    if (present !== undefined) {
      this.#live.touch(present);
      return present.failed ? notApplied() : present;
    }
    const { actorsMax } = this.#options.limits;
    if (this.#live.size >= actorsMax && !this.#makeRoom(actorsMax)) return refuse("ACTORS_LIMIT");
    const live = new LiveActor(key, this.#options.catalogue[parseActorKey(key).kind]);
    runner.actors.set(key, live);
    this.#live.touch(live);
    return live;
  }

  #makeRoom(actorsMax: number): boolean {
    if (performance.now() < this.#noRoomUntilMs) return false;
    for (const idle of this.#live.longestIdle(Math.ceil(actorsMax / ROOM_SHARE), LOOKS_MAX)) this.#drop(idle);
    if (this.#live.size < actorsMax) return true;
    this.#noRoomUntilMs = performance.now() + NO_ROOM_MS;
    return false;
  }

  async #pump(runner: ShardRunner, live: LiveActor): Promise<void> {
    live.pumping = true;
    let turning: MailboxEntry | undefined;
    try {
      if (!live.loaded) await this.#load(runner, live);
      while (!live.stopped) {
        const entry = live.mailbox[0];
        if (entry === undefined) break;
        const remembered = await entry.remembered;
        // Asked again after each wait: of all that wait for room, each takes its own turn's worth.
        while (runner.full && !live.stopped) await runner.room();
        if (live.stopped) break;
        live.mailbox.shift();
        turning = entry;
        this.#handle(runner, live, entry, remembered);
        turning = undefined;
        live.handled += 1;
        live.forgetSettled();
      }
    } catch (error) {
      this.#fail(runner, live, error, turning);
    }
    live.pumping = false;
    live.lastUsedMs = performance.now();
  }

  /** Expired work is dropped before it runs, however late its alarm (E3), and so is what was cancelled. */
  #handle(runner: ShardRunner, live: LiveActor, entry: MailboxEntry, remembered: Mark | undefined): void {
    if (entry.phase !== "queued") return;
    const { deadline, cancellation } = entry.call;
    if (cancellation?.cancelled === true) entry.settle({ kind: "refused", refusal: refuse("CANCELLED") });
    else if (performance.now() < deadline) this.#turn(runner, live, entry, remembered);
    else entry.settle({ kind: "refused", refusal: refuse("DEADLINE_EXCEEDED") });
  }

  async #load(runner: ShardRunner, live: LiveActor): Promise<void> {
    const { hold, lineage } = runner;
    if (hold === undefined) throw new Fenced("the shard is not ours");
    const { directoryPrefixes } = this.#options.catalogue[live.address.kind];
    const stored = await this.#options.store.load(runner.shard, hold, live.key, directoryPrefixes);
    if (!live.stopped) live.start(stored, lineage);
  }

  /**
   * An outage makes the node claim anew; a bug stops this actor; neither ends the process.
   * @param turning whose turn failed: the others in the mailbox are not to blame
   */
  #fail(runner: ShardRunner, live: LiveActor, error: unknown, turning: MailboxEntry | undefined): void {
    const outage = error instanceof Fenced || error instanceof StoreUnavailable;
    const tooNew = error instanceof SnapshotTooNew;
    const innocent = outage || tooNew || turning !== undefined;
    const refusal = innocent ? notApplied() : refuse("INTERNAL");
    if (tooNew) this.#leaveToNewer(runner.shard, live.address.kind, error);
    else if (!outage) this.#options.events.actorFailed(live.address.kind, error);
    turning?.settle({ kind: "refused", refusal: refuse("INTERNAL") });
    for (const entry of live.mailbox.splice(0)) entry.settle({ kind: "refused", refusal });
    // One that was dropped belongs to an ownership that is over.
    if (outage && !live.stopped) runner.lose(error.message);
    else if (live.unsettled === 0) this.#drop(live);
  }

  #leaveToNewer(shard: Shard, kind: string, { versions }: SnapshotTooNew): void {
    this.#options.events.snapshotTooNew(shard, kind, versions);
    this.#options.tooNew(shard);
  }

  #turn(runner: ShardRunner, live: LiveActor, entry: MailboxEntry, remembered: Mark | undefined): void {
    const { call } = entry;
    if (this.#remembered.answer(runner, live, entry, remembered)) return;
    if (call.otherwise !== undefined) {
      entry.settle({ kind: "refused", refusal: call.otherwise });
      return;
    }
    const facts = { now: this.#options.clock.now(), lineage: runner.lineage, directory: live.directory };
    const { turn, operations } = this.#takeTurn(runner, live, entry, facts);
    entry.phase = "turned";
    live.unsettled += 1;
    for (const mark of turn.forgotten) live.recent.delete(mark);
    let answer: (outcome: Outcome) => void = () => undefined;
    const outcome = new Promise<Outcome>((resolve) => (answer = resolve));
    const remembering = this.#remembered.note(live, entry, turn, outcome);
    const settle = (settled: Outcome): void => {
      answer(settled);
      entry.settle(settled);
      live.unsettled -= 1;
      for (const recent of remembering) recent.forgetAfter = live.arrived;
      live.forgetSettled();
      if (live.failed && live.unsettled === 0) this.#drop(live);
    };
    // The snapshot says until when a result may be stored.
    const dirty = turn.changed || (call.key !== undefined && turn.refusal === undefined);
    runner.add({ live, turn, dirty, settle: once(settle) }, operations);
  }

  /** The turn, and what is stored with it that belongs to the call rather than to the machine. */
  #takeTurn(
    runner: ShardRunner,
    live: LiveActor,
    entry: MailboxEntry,
    facts: TurnFacts,
  ): { readonly turn: Turn; readonly operations: Operation[] } {
    const checkpoint = live.checkpoint();
    const { call, timer } = entry;
    try {
      const turn = takeTurn(live, call.command, facts);
      const operations = this.#remembered.operations(runner, live, entry, turn, facts.now);
      if (timer !== undefined && !turn.timersSet.some((set) => set.name === timer)) {
        operations.push({ op: "deleteTimer", actor: live.key, name: timer });
      }
      return { turn, operations };
    } catch (error) {
      live.fail(checkpoint);
      throw error;
    }
  }

  async #deliver(message: OutboxMessage): Promise<void> {
    const { duty } = message;
    if (duty.kind === "indexTags") return this.#options.store.writeTags(duty.write);
    if (duty.kind === "proposeRemovals") return this.#options.proposeRemovals(duty.applicationId, duty.groupId);
    if (duty.kind === "purgeApplication") return this.#purgeApplication(duty.applicationId);
    if (duty.kind === "tell") return this.#tell(message, duty.to, duty.command);
    return this.#pages.tellAll(duty.applicationId, duty.page, (to) => this.#tell(message, to, duty.command));
  }

  async #tell({ sender, lineage, number }: OutboxMessage, to: ActorAddress, command: Command): Promise<void> {
    const deadline = performance.now() + this.#options.limits.internalCallMs;
    const origin = { mark: receivedMark(sender, lineage), number };
    const outcome = await this.#options.actors.call({ to, command, origin, deadline });
    // A refusal by the machine is an answer; only what was certainly or perhaps not applied goes again. A bug
    // is no answer either: the message waits for a version that can take it.
    if (outcome.kind !== "refused") return;
    if (outcome.refusal.retryable || outcome.refusal.reason === "INTERNAL") throw new Error(outcome.refusal.reason);
  }

  async #purgeApplication(applicationId: string): Promise<void> {
    await this.#options.forgetApplication(applicationId);
    await this.#options.store.purgeApplication(applicationId);
  }

  /** False when the timer's turn did not happen and must be tried again. */
  async #fire(timer: Timer): Promise<boolean> {
    const { internalCallMs } = this.#options.limits;
    const call = {
      to: parseActorKey(timer.actor),
      command: { type: "timer", name: timer.name } as { type: string },
      deadline: performance.now() + internalCallMs,
    };
    const outcome = await this.#enqueue(call, timer.name);
    return outcome.kind === "applied" || !outcome.refusal.retryable;
  }

  #passivateIdle(): void {
    const since = performance.now() - this.#options.limits.passivateAfterMs;
    const idle = this.#live.idleSince(since, DROPPED_AT_ONCE);
    for (const live of idle) this.#drop(live);
    this.#options.events.actorsLive(this.#live.size);
    // Thousands that were used at one time, by a group's beginning, say, go idle together too.
    if (idle.length === DROPPED_AT_ONCE) setImmediate(() => this.#passivateIdle());
  }

  #drop(live: LiveActor): void {
    live.stop();
    this.#live.remove(live);
    const { actors } = this.#runnerOf(live.key);
    if (actors.get(live.key) === live) actors.delete(live.key);
  }
}

function refused(refusal: Refusal): Promise<Outcome> {
  return Promise.resolve({ kind: "refused", refusal });
}

/** Sabotage answers before the batch does: a turn counts as settled once all the same. */
function once(settle: (outcome: Outcome) => void): (outcome: Outcome) => void {
  let done = false;
  return (outcome) => {
    if (!done) settle(outcome);
    done = true;
  };
}
