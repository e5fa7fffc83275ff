// A store behind a gate that the test holds: every call goes to the real store beneath, but a commit may
// wait, be lost before it arrives, be applied without an answer, or be answered "fenced". Never invents data.
import {
  Fenced,
  StoreUnavailable,
  StoreUnreached,
  type ActorKey,
  type Claimant,
  type ClaimOutcome,
  type CommitOutcome,
  type Fence,
  type Hold,
  type LoadedActor,
  type Mark,
  type NodeRecord,
  type Operation,
  type OutboxEntry,
  type OwnerRecord,
  type Shard,
  type Store,
  type TagEntry,
  type TagWrite,
  type Timer,
} from "../../src/store/store.ts";

/**
 * `before`: never arrived, which nobody knows; `unsent`: the same, and known; `after`: applied, but nobody heard;
 * `fenced`: answered so, not applied; number: late by as many ms; a promise: fails once it has resolved.
 */
export type Fault = "before" | "unsent" | "after" | "fenced" | number | { readonly after: Promise<void> };

/** Store calls that a test may disturb. */
export type FaultyCall =
  "commit" | "check" | "claim" | "load" | "readMarksFenced" | "readOutbox" | "readTimers" | "writeTags";

export interface CommitSeen {
  readonly shard: Shard;
  readonly fence: Fence;
  readonly sequence: number;
  readonly operations: readonly Operation[];
}

export class FaultyStore implements Store {
  readonly shardCount: number;
  readonly deploymentId: string;
  /** Chooses what befalls a call; nothing by default. */
  fault: (call: FaultyCall, shard: Shard, operations: readonly Operation[]) => Fault | undefined = () => undefined;
  /** Commits and checks that were sent, in order. */
  readonly commits: CommitSeen[] = [];
  checks = 0;
  /** Calls that wait for a fault to come late. */
  delayed = 0;
  readonly #store: Store;
  #gate: Promise<void> | undefined;
  #open: () => void = () => undefined;
  #waiting = 0;
  #killed = false;

  constructor(store: Store) {
    this.#store = store;
    this.shardCount = store.shardCount;
    this.deploymentId = store.deploymentId;
  }

  /** The node that holds this view of the store is dead: nothing it sends arrives, no answer reaches it. */
  kill(): void {
    this.#killed = true;
    this.release();
  }

  /** From now on commits and checks wait until `release`. */
  hold(): void {
    if (this.#gate !== undefined) return;
    this.#gate = new Promise((resolve) => {
      this.#open = resolve;
    });
  }

  release(): void {
    this.#gate = undefined;
    this.#open();
  }

  /** Commits and checks that wait at the gate. */
  get held(): number {
    return this.#waiting;
  }

  async commit(shard: Shard, fence: Fence, sequence: number, operations: readonly Operation[]): Promise<CommitOutcome> {
    this.commits.push({ shard, fence, sequence, operations });
    await this.#pass();
    const run = () => this.#store.commit(shard, fence, sequence, operations);
    return this.#suffer("commit", shard, run, { kind: "fenced" }, operations);
  }

  async check(shard: Shard, hold: Hold): Promise<boolean> {
    this.checks += 1;
    await this.#pass();
    return this.#suffer("check", shard, () => this.#store.check(shard, hold), false);
  }

  claim(shard: Shard, seen: Fence | undefined, claimant: Claimant): Promise<ClaimOutcome> {
    return this.#suffer("claim", shard, () => this.#store.claim(shard, seen, claimant), {
      kind: "lost",
      record: undefined,
    });
  }

  load(shard: Shard, hold: Hold, actor: ActorKey, prefixes: readonly string[]): Promise<LoadedActor> {
    return this.#suffer("load", shard, () => this.#store.load(shard, hold, actor, prefixes));
  }

  readMarksFenced(shard: Shard, hold: Hold, actor: ActorKey, names: readonly string[]): Promise<(Mark | undefined)[]> {
    return this.#suffer("readMarksFenced", shard, () => this.#store.readMarksFenced(shard, hold, actor, names));
  }

  readOutbox(shard: Shard, hold: Hold, after: string, limit: number): Promise<OutboxEntry[]> {
    return this.#suffer("readOutbox", shard, () => this.#store.readOutbox(shard, hold, after, limit));
  }

  readTimers(shard: Shard, hold: Hold, limit: number): Promise<Timer[]> {
    return this.#suffer("readTimers", shard, () => this.#store.readTimers(shard, hold, limit));
  }

  writeTags(write: TagWrite): Promise<void> {
    return this.#suffer("writeTags", 0, () => this.#store.writeTags(write));
  }

  async #pass(): Promise<void> {
    this.#waiting += 1;
    while (this.#gate !== undefined) await this.#gate;
    this.#waiting -= 1;
  }

  /** @param fenced the answer of a store in which the caller is no owner; none: it throws Fenced */
  async #suffer<T>(
    call: FaultyCall,
    shard: Shard,
    run: () => Promise<T>,
    fenced?: T,
    operations: readonly Operation[] = [],
  ): Promise<T> {
    const fault = this.fault(call, shard, operations);
    if (fault === "unsent") throw new StoreUnreached("a fault before anything was sent");
    if (typeof fault === "object") {
      this.delayed += 1;
      await fault.after;
      throw new StoreUnavailable("a fault that came late");
    }
    if (fault === "before" || this.#killed) throw new StoreUnavailable("a fault before the store");
    if (fault === "fenced") {
      if (fenced === undefined) throw new Fenced("a fault that says fenced");
      return fenced;
    }
    if (typeof fault === "number") await new Promise((resolve) => setTimeout(resolve, fault));
    const answer = await run();
    if (fault === "after" || this.#killed) throw new StoreUnavailable("a fault behind the store");
    return answer;
  }

  // Undisturbed.
  time(): Promise<number> {
    return this.#store.time();
  }
  readOwner(shard: Shard): Promise<OwnerRecord | undefined> {
    if (this.#killed) return Promise.reject(new StoreUnavailable("this node is dead"));
    return this.#store.readOwner(shard);
  }
  renewLineage(shard: Shard, fence: Fence, beyond?: number): ReturnType<Store["renewLineage"]> {
    return this.#store.renewLineage(shard, fence, beyond);
  }
  readSnapshots(...args: Parameters<Store["readSnapshots"]>): ReturnType<Store["readSnapshots"]> {
    return this.#store.readSnapshots(...args);
  }
  readParts(...args: Parameters<Store["readParts"]>): ReturnType<Store["readParts"]> {
    return this.#store.readParts(...args);
  }
  listParts(...args: Parameters<Store["listParts"]>): ReturnType<Store["listParts"]> {
    return this.#store.listParts(...args);
  }
  readMarks(...args: Parameters<Store["readMarks"]>): ReturnType<Store["readMarks"]> {
    return this.#store.readMarks(...args);
  }
  readStream(...args: Parameters<Store["readStream"]>): ReturnType<Store["readStream"]> {
    return this.#store.readStream(...args);
  }
  readStreamHead(...args: Parameters<Store["readStreamHead"]>): ReturnType<Store["readStreamHead"]> {
    return this.#store.readStreamHead(...args);
  }
  readTag(applicationId: string, tag: string, after: string, limit: number): Promise<TagEntry[]> {
    return this.#store.readTag(applicationId, tag, after, limit);
  }
  countTag(applicationId: string, tag: string): Promise<number> {
    return this.#store.countTag(applicationId, tag);
  }
  purgeApplication(applicationId: string): Promise<void> {
    return this.#store.purgeApplication(applicationId);
  }
  heartbeat(node: NodeRecord): Promise<NodeRecord[]> {
    return this.#store.heartbeat(node);
  }
  readNodes(): Promise<NodeRecord[]> {
    return this.#store.readNodes();
  }
  removeNode(nodeId: string): Promise<void> {
    return this.#store.removeNode(nodeId);
  }
  healthy(): Promise<boolean> {
    return this.#store.healthy();
  }
  close(): Promise<void> {
    return this.#store.close();
  }
}
