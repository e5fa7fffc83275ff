// Who is in the cluster, as this node sees it: beats in the store, watches the others' counters by its own
// monotonic clock, expels who has gone, and knows when it may not trust itself (GUARANTEES, Timings). Decides
// only who should try to own a shard, never who may write it.
import { randomUUID } from "node:crypto";
import type { NodeRecord, Shard, Store } from "../store/store.ts";
import type { SeenNode } from "./oversight.ts";
import { toExpel, type SeenMember } from "./expulsion.ts";
import type { Taker } from "./placement.ts";

export interface MembershipTimings {
  /** Between two heartbeats. */
  readonly nodeHeartbeatMs: number;
  /** Without a heartbeat of its own in the store for so long, a node takes no more work. */
  readonly selfFenceMs: number;
  /** A member whose heartbeat stands still for so long is expelled. */
  readonly expelMs: number;
  /** With two nodes: the same, when the other's port refuses connections. */
  readonly refusedExpelMs: number;
}

export interface MembershipOptions {
  readonly store: Pick<Store, "heartbeat" | "readNodes" | "removeNode">;
  readonly nodeId: string;
  /** host:port under which other nodes reach this one. */
  address(): string;
  readonly timings: MembershipTimings;
  /** The store has one process (rule 10): whoever else is recorded there is gone. */
  readonly alone: boolean;
  /** Tests only: this node trusts itself whatever becomes of its heartbeat. */
  readonly selfFenceOff?: boolean;
  readonly events: MembershipEvents;
  /** Members have come, gone or changed what they say. */
  changed(): void;
  /** This node has not renewed in time, or was expelled: nothing may go on under its claims. */
  distrusted(cause: string): void;
}

/** A member, and the address that it advertises: an operator knows a node by that. */
export type NodeAt = Pick<NodeRecord, "nodeId" | "address">;

export interface MembershipEvents {
  memberJoined(member: NodeAt): void;
  memberGone(member: NodeAt, expelled: boolean): void;
  /** The link to the member stands again. */
  memberReached(member: NodeAt): void;
  /** Links to the member fail. */
  memberUnreached(member: NodeAt, why: string): void;
  heartbeatFailed(error: unknown): void;
  /** It was expelled and comes back under this id. */
  rejoined(nodeId: string): void;
}

interface Seen {
  record: NodeRecord;
  silentMs: number;
}

/** Silence counts only while this node looks: a pause of its own is nobody else's. */
const WATCH_STEPS_MAX = 1.5;
/** A node that is expelled again within this time of its return stays away longer each time. */
const CALM_MS = 10_000;
const AWAY_MIN_MS = 500;
const AWAY_MAX_MS = 5_000;
/** Somebody can't be reached, or the last beat did not arrive: the next comes so many times sooner. */
const HURRY = 5;

export class Membership {
  readonly #options: MembershipOptions;
  readonly #seen = new Map<string, Seen>();
  readonly #unreachable = new Set<string>();
  /** For as long as this process lives: its machines get no newer. */
  readonly #tooNew = new Set<Shard>();
  #nodeId: string;
  #counter = 0;
  #leaving = false;
  #stopped = false;
  #renewedMs = Number.NEGATIVE_INFINITY;
  #watchedMs = 0;
  #trusted = false;
  #beatFailed = false;
  /** It was expelled and is not back yet. */
  #away = false;
  #awayUntilMs = Number.NEGATIVE_INFINITY;
  #returnedMs = Number.NEGATIVE_INFINITY;
  /** Expulsions that followed one another closely. */
  #expulsions = 0;
  #timer: NodeJS.Timeout | undefined;
  #fence: NodeJS.Timeout | undefined;
  #beating: Promise<void> | undefined;

  constructor(options: MembershipOptions) {
    this.#options = options;
    this.#nodeId = options.nodeId;
  }

  /** Joins; from now on others count on this node. @throws StoreUnavailable, StoreRefused */
  async start(): Promise<void> {
    const { store, alone, timings } = this.#options;
    if (alone) for (const { nodeId } of await store.readNodes()) await store.removeNode(nodeId);
    await this.#exchange();
    this.#schedule();
    this.#fence = setInterval(() => this.#judgeSelf(), timings.nodeHeartbeatMs / 4);
    this.#fence.unref();
  }

  /** This node's id: another after it was expelled. */
  get nodeId(): string {
    return this.#nodeId;
  }

  /** Everybody who has not gone, this node included. */
  get members(): readonly NodeRecord[] {
    return [...this.#seen.values()].map(({ record }) => record);
  }

  /** The same, with how long each has been silent while this node was watching. */
  get seen(): readonly SeenNode[] {
    return [...this.#seen.values()];
  }

  has(nodeId: string): boolean {
    return this.#seen.has(nodeId);
  }

  /** Members that shards may be placed on. */
  get takers(): readonly Taker[] {
    return this.members.filter(({ leaving }) => !leaving);
  }

  /** False while this node can't know whether it was expelled. */
  get trusted(): boolean {
    if (this.#options.selfFenceOff === true) return true;
    // Nobody else can own what this node owns.
    if (this.#options.alone) return this.#trusted;
    return this.#trusted && performance.now() - this.#renewedMs < this.#options.timings.selfFenceMs;
  }

  /** The link to the member stands. */
  reached(nodeId: string): void {
    const member = this.#seen.get(nodeId);
    if (!this.#unreachable.delete(nodeId) || member === undefined) return;
    this.#options.events.memberReached(member.record);
    void this.look();
  }

  /** A link to the member could not be made. */
  unreached(nodeId: string, why: string): void {
    const member = this.#seen.get(nodeId);
    if (member === undefined || this.#unreachable.has(nodeId)) return;
    this.#unreachable.add(nodeId);
    // One that leaves closes its links, as it should.
    if (!member.record.leaving) this.#options.events.memberUnreached(member.record, why);
    void this.look();
  }

  /** Beats and reads what the others say, now. Never rejects. */
  look(): Promise<void> {
    // A beat after the last one would bring this node back.
    if (this.#stopped) return Promise.resolve();
    this.#beating ??= this.#beat().finally(() => {
      this.#beating = undefined;
      this.#schedule();
    });
    return this.#beating;
  }

  /** Says that this node takes no more shards. */
  leave(): Promise<void> {
    this.#leaving = true;
    return this.#say();
  }

  /** Says that others are to have the shard. False: that was said before. */
  async tooNew(shard: Shard): Promise<boolean> {
    if (this.#tooNew.has(shard)) return false;
    this.#tooNew.add(shard);
    await this.#say();
    return true;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    clearInterval(this.#fence);
    await this.#beating;
    clearTimeout(this.#timer);
    await this.#options.store.removeNode(this.#nodeId);
  }

  /** In a beat that began after this node had it to say. */
  async #say(): Promise<void> {
    await this.#beating;
    await this.look();
  }

  #schedule(): void {
    clearTimeout(this.#timer);
    if (this.#stopped) return;
    const { nodeHeartbeatMs } = this.#options.timings;
    const hurry = this.#beatFailed || [...this.#unreachable].some((nodeId) => this.has(nodeId));
    this.#timer = setTimeout(() => void this.look(), hurry ? nodeHeartbeatMs / HURRY : nodeHeartbeatMs);
  }

  async #beat(): Promise<void> {
    try {
      await this.#exchange();
      this.#beatFailed = false;
    } catch (error) {
      this.#beatFailed = true;
      this.#options.events.heartbeatFailed(error);
    }
  }

  async #exchange(): Promise<void> {
    const { store, address } = this.#options;
    const nodeId = this.#nodeId;
    const sentMs = performance.now();
    if (sentMs < this.#awayUntilMs) return;
    this.#counter += 1;
    const unreachable = [...this.#unreachable].filter((id) => this.has(id));
    const records = await store.heartbeat({
      nodeId,
      address: address(),
      counter: this.#counter,
      leaving: this.#leaving,
      unreachable,
      ...(this.#tooNew.size === 0 ? {} : { tooNew: [...this.#tooNew] }),
    });
    if (!records.some((record) => record.nodeId === nodeId)) {
      if (this.#options.selfFenceOff !== true && !this.#stopped) await this.#rejoin();
      return;
    }
    if (this.#away) {
      this.#away = false;
      this.#returnedMs = sentMs;
      this.#options.events.rejoined(nodeId);
    }
    this.#renewedMs = sentMs;
    this.#trusted = true;
    if (this.#watch(records)) this.#options.changed();
    await this.#expel();
  }

  /** It was expelled: others may own what it owned. It comes back as somebody new. */
  async #rejoin(): Promise<void> {
    this.#distrust("expelled by the other nodes");
    this.#seen.delete(this.#nodeId);
    this.#nodeId = randomUUID();
    this.#counter = 0;
    const nowMs = performance.now();
    this.#expulsions = nowMs - this.#returnedMs < CALM_MS ? this.#expulsions + 1 : 0;
    this.#away = true;
    this.#awayUntilMs =
      this.#expulsions === 0 ? nowMs : nowMs + Math.min(AWAY_MIN_MS * 2 ** (this.#expulsions - 1), AWAY_MAX_MS);
    await this.#exchange();
  }

  /** @returns whether anything has changed that others should look at */
  #watch(records: readonly NodeRecord[]): boolean {
    const { nodeHeartbeatMs } = this.#options.timings;
    const nowMs = performance.now();
    const watchedMs = Math.min(nowMs - this.#watchedMs, nodeHeartbeatMs * WATCH_STEPS_MAX);
    this.#watchedMs = nowMs;
    let changed = false;
    for (const record of records) {
      const before = this.#seen.get(record.nodeId);
      if (before === undefined) {
        this.#seen.set(record.nodeId, { record, silentMs: 0 });
        if (record.nodeId !== this.#nodeId) this.#options.events.memberJoined(record);
        changed = true;
        continue;
      }
      if (before.record.leaving !== record.leaving) changed = true;
      // It only grows.
      if (before.record.tooNew?.length !== record.tooNew?.length) changed = true;
      before.silentMs = before.record.counter === record.counter ? before.silentMs + watchedMs : 0;
      before.record = record;
    }
    for (const nodeId of [...this.#seen.keys()]) {
      if (records.some((record) => record.nodeId === nodeId)) continue;
      this.#remove(nodeId, false);
      changed = true;
    }
    return changed;
  }

  async #expel(): Promise<void> {
    const { store, timings } = this.#options;
    const members: SeenMember[] = Array.from(this.#seen.values(), ({ record, silentMs }) => ({ ...record, silentMs }));
    const gone = toExpel({ self: this.#nodeId, members }, timings);
    for (const nodeId of gone) {
      await store.removeNode(nodeId);
      this.#remove(nodeId, true);
    }
    if (gone.length > 0) this.#options.changed();
  }

  #remove(nodeId: string, expelled: boolean): void {
    const member = this.#seen.get(nodeId);
    if (member === undefined) return;
    this.#seen.delete(nodeId);
    this.#unreachable.delete(nodeId);
    if (nodeId !== this.#nodeId) this.#options.events.memberGone(member.record, expelled);
  }

  #judgeSelf(): void {
    if (this.#trusted && !this.trusted) this.#distrust("no heartbeat reached the store in time");
  }

  #distrust(cause: string): void {
    if (!this.#trusted) return;
    this.#trusted = false;
    this.#options.distrusted(cause);
  }
}
