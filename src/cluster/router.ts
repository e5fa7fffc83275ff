// Finds the owner of an actor's shard and takes the call there: here, or over the link to another node. While a shard
// moves, calls that were certainly not applied wait and go again, never past their deadline (G6).
import type { ActorPort, Call, Outcome, Refused } from "../actors/actor-port.ts";
import { actorKey, shardOf } from "../actors/actor-address.ts";
import { refuse } from "../protocol/errors.ts";
import type { RunQueue } from "../run-queue.ts";
import type { Fence, Shard, ShardMark, Store } from "../store/store.ts";
import { NotSent } from "./peer-link.ts";
import type { CallAnswer, PeerAnswer, PeerRequest } from "./peer-frames.ts";

export interface RouterLimits {
  /** Calls that wait for a shard on its way to another node. */
  readonly movingCallsMax: number;
}

export interface RouterOptions {
  readonly store: Pick<Store, "shardCount" | "readOwner">;
  readonly local: ActorPort;
  readonly limits: RouterLimits;
  /** In whose turns calls go on that waited. */
  readonly runQueue: Pick<RunQueue, "turn">;
  fenceOf(shard: Shard): Fence | undefined;
  nodeId(): string;
  isMember(nodeId: string): boolean;
  /** Where the members' view places the shard. */
  placedOn(shard: Shard): string | undefined;
  request(nodeId: string, request: PeerRequest, ttlMs: number): Promise<PeerAnswer>;
  forwarded(): void;
  /** The owner said how far the shard's history goes. */
  marked(shard: Shard, mark: ShardMark): void;
}

interface WaitingCall {
  readonly number: number;
  readonly call: Call;
  /** Rings when its time is up while it waits. */
  readonly alarm: NodeJS.Timeout;
  resolve(outcome: Outcome): void;
}

const WAIT_MIN_MS = 5;
const WAIT_MAX_MS = 100;
/** What is left of a deadline when the other node begins: the way back. */
const WAY_BACK_MS = 10;

export class Router implements ActorPort {
  readonly #options: RouterOptions;
  /** Owners as last heard; the placement stands in for those never heard of. */
  readonly #owners: (string | undefined)[];
  /** Calls that wait for a shard on its way, in the order of their arrival. */
  readonly #moving = new Map<Shard, WaitingCall[]>();
  #waitingCalls = 0;
  #arrived = 0;

  constructor(options: RouterOptions) {
    this.#options = options;
    this.#owners = new Array<string | undefined>(options.store.shardCount).fill(undefined);
  }

  async call(call: Call): Promise<Outcome> {
    const shard = shardOf(actorKey(call.to), this.#options.store.shardCount);
    const number = (this.#arrived += 1);
    // Behind those that wait already: calls of one caller keep their order while a shard moves.
    if (!this.#moving.has(shard)) {
      const outcome = await this.#tryOnce(shard, call);
      if (!isElsewhere(outcome)) return outcome;
    }
    if (this.#waitingCalls >= this.#options.limits.movingCallsMax) return notApplied();
    return new Promise((resolve) => this.#wait(shard, { number, call, resolve }));
  }

  #wait(shard: Shard, waiting: Omit<WaitingCall, "alarm">): void {
    const queue = this.#moving.get(shard) ?? [];
    const entry: WaitingCall = {
      ...waiting,
      alarm: setTimeout(
        () => {
          this.#leave(queue, entry);
          entry.resolve(notApplied());
        },
        Math.max(waiting.call.deadline - performance.now() - WAIT_MIN_MS, 0),
      ),
    };
    queue.splice(queue.findLastIndex(({ number }) => number < entry.number) + 1, 0, entry);
    this.#waitingCalls += 1;
    if (this.#moving.has(shard)) return;
    this.#moving.set(shard, queue);
    void this.#probe(shard, queue);
  }

  #leave(queue: WaitingCall[], entry: WaitingCall): void {
    clearTimeout(entry.alarm);
    queue.splice(queue.indexOf(entry), 1);
    this.#waitingCalls -= 1;
  }

  /** The first that waits asks again until somebody owns the shard; then all go, in their order. */
  async #probe(shard: Shard, queue: WaitingCall[]): Promise<void> {
    for (let waitMs = WAIT_MIN_MS; ; waitMs = Math.min(waitMs * 2, WAIT_MAX_MS)) {
      await new Promise((resolve) => setTimeout(resolve, waitMs));
      const [first] = queue;
      if (first === undefined) break;
      // Out of the queue while it asks: nobody can say then that it was not applied.
      this.#leave(queue, first);
      if (!(await this.#asked(shard, first))) continue;
      if (await this.#askAll(shard, queue)) return;
      waitMs = WAIT_MIN_MS;
    }
    this.#moving.delete(shard);
  }

  /** False: the shard has gone on, and what is left waits for it again. */
  async #askAll(shard: Shard, queue: WaitingCall[]): Promise<boolean> {
    let isElsewhere = false;
    for (;;) {
      // Calls for many shards go on at once when a node was lost.
      await this.#options.runQueue.turn();
      if (isElsewhere) return false;
      const [next] = queue;
      if (next === undefined) {
        this.#moving.delete(shard);
        return true;
      }
      this.#leave(queue, next);
      void this.#asked(shard, next).then((isHere) => (isElsewhere ||= !isHere));
    }
  }

  /** False: the shard is still on its way, and the call waits again unless its time is up. */
  async #asked(shard: Shard, { number, call, resolve }: WaitingCall): Promise<boolean> {
    const outcome = await this.#tryOnce(shard, call);
    if (!isElsewhere(outcome)) {
      resolve(outcome);
      return true;
    }
    this.#wait(shard, { number, call, resolve });
    return false;
  }

  /** Who owns the shard, as far as this node knows. */
  ownerOf(shard: Shard): string | undefined {
    const { fenceOf, nodeId, isMember, placedOn } = this.#options;
    if (fenceOf(shard) !== undefined) return nodeId();
    const heard = this.#owners[shard];
    return heard !== undefined && heard !== nodeId() && isMember(heard) ? heard : placedOn(shard);
  }

  /** Somebody who should know has said whose the shard is; undefined: not theirs. */
  heard(shard: Shard, owner: string | undefined): void {
    this.#owners[shard] = owner;
  }

  async #tryOnce(shard: Shard, call: Call): Promise<Outcome> {
    if (call.cancellation?.cancelled === true) return { kind: "refused", refusal: refuse("CANCELLED") };
    const owner = this.ownerOf(shard);
    if (owner === undefined) return notApplied();
    if (owner === this.#options.nodeId()) {
      const outcome = await this.#options.local.call(call);
      if (isElsewhere(outcome)) await this.#lookUp(shard, owner);
      return outcome;
    }
    return this.#forward(shard, owner, call);
  }

  async #forward(shard: Shard, owner: string, call: Call): Promise<Outcome> {
    const { deadline, cancellation: _, ...rest } = call;
    const ttlMs = deadline - performance.now();
    if (ttlMs <= 0) return { kind: "refused", refusal: refuse("DEADLINE_EXCEEDED") };
    this.#options.forwarded();
    try {
      const request: PeerRequest = { kind: "call", shard, call: rest };
      const { value, settled } = await this.#options.request(owner, request, ttlMs);
      const { outcome, owner: hint, mark } = value as CallAnswer;
      if (mark !== undefined) this.#options.marked(shard, mark);
      if (outcome.kind === "applied") {
        this.#owners[shard] = owner;
        return { ...outcome, settled };
      }
      if (isElsewhere(outcome)) {
        if (hint !== undefined && hint !== owner) this.#owners[shard] = hint;
        else await this.#lookUp(shard, owner);
      }
      return outcome;
    } catch (error) {
      // Whatever went wrong over there, it may have gone wrong behind the turn (E5).
      if (!(error instanceof NotSent)) return { kind: "refused", refusal: refuse("OUTCOME_UNKNOWN") };
      await this.#lookUp(shard, owner);
      return notApplied();
    }
  }

  /** `notThis` does not own it: the store knows who has claimed it last. */
  async #lookUp(shard: Shard, notThis: string): Promise<void> {
    try {
      const owner = (await this.#options.store.readOwner(shard))?.owner;
      this.#owners[shard] = owner === notThis ? undefined : owner;
    } catch {
      // Nobody can be asked now; a store that refuses or is away is noticed by those who claim and beat.
      this.#owners[shard] = undefined;
    }
  }
}

/** The time that a forwarded call may take at its owner's. */
export function remoteDeadline(ttlMs: number): number {
  return performance.now() + Math.max(ttlMs - WAY_BACK_MS, 1);
}

function isElsewhere(outcome: { readonly kind: string; readonly refusal?: { readonly reason: string } }): boolean {
  return outcome.kind === "refused" && outcome.refusal?.reason === "NOT_OWNER";
}

function notApplied(): Refused {
  return { kind: "refused", refusal: refuse("NOT_OWNER") };
}
