// The embedded store: one data folder, one process, one node. Puts the driver's pieces behind the port.
// Must never answer from a transaction that is not yet as safe as the durability level says.
import { digestOf } from "../operation-digest.ts";
import { flawOfBatch } from "../operation-rules.ts";
import { NO_SABOTAGE, type SabotageSwitches } from "../sabotage.ts";
import {
  type ActorKey,
  type Claimant,
  type ClaimOutcome,
  type CommitOutcome,
  type Durability,
  type Fence,
  Fenced,
  type Hold,
  type LoadedActor,
  type Mark,
  type NodeRecord,
  type Operation,
  type OutboxEntry,
  type OwnerRecord,
  type Shard,
  type Store,
  StoreUnavailable,
  type TagWrite,
  type Timer,
} from "../store.ts";
import { holdStands } from "../batch-judgement.ts";
import { Database } from "./database.ts";
import { type FolderLock, lockFolder } from "./folder-lock.ts";
import { GroupWriter } from "./group-writer.ts";
import { LmdbReader, readMarksOf } from "./lmdb-reader.ts";
import { nameOf, nodeKey, outboxRange, partsUnder, snapshotKey, timerOf, timersRange } from "./keys.ts";
import { emptySome, rangesOfApplication, SWEEP_KEYS_MAX, sweepExpired } from "./maintenance.ts";
import { openMeta } from "./meta.ts";
import { claimShard, commitBatch, readOwner, renewLineage } from "./ownership.ts";
import { encodeNode } from "./records.ts";
import { writeTags } from "./tag-index.ts";

export interface LmdbStoreOptions {
  readonly path: string;
  readonly durability: Durability;
  /** 1 … 16,384; fixed at the first open. */
  readonly shardCount: number;
  /** What the configuration says that this deployment is; another than at the first open is refused (F18). */
  readonly deployment?: string;
  /** How often expired marks are removed. Default 5,000. */
  readonly sweepMs?: number;
  /** Writes waiting for a transaction. Default 65,536. */
  readonly waitingWritesMax?: number;
  /** Tests only. */
  readonly sabotage?: SabotageSwitches;
}

/** @throws StoreRefused when the folder is held by another process or was made for another deployment. */
export async function openLmdbStore(options: LmdbStoreOptions): Promise<Store> {
  const lock = lockFolder(options.path);
  try {
    const database = new Database({
      path: options.path,
      synced: options.durability === "fsync",
      syncOff: options.sabotage?.has("syncOff") === true,
    });
    try {
      const meta = openMeta(database, options);
      return new LmdbStore(database, lock, options, meta.deploymentId);
    } catch (error) {
      await database.close();
      throw error;
    }
  } catch (error) {
    lock.release();
    throw error;
  }
}

export class LmdbStore extends LmdbReader implements Store {
  readonly shardCount: number;
  readonly deploymentId: string;
  readonly #writer: GroupWriter;
  readonly #lock: FolderLock;
  readonly #sabotage: SabotageSwitches;
  readonly #sweeper: NodeJS.Timeout;
  #sweeping: Promise<void> = Promise.resolve();

  constructor(database: Database, lock: FolderLock, options: LmdbStoreOptions, deploymentId: string) {
    super(database);
    this.shardCount = options.shardCount;
    this.deploymentId = deploymentId;
    this.#lock = lock;
    this.#sabotage = options.sabotage ?? NO_SABOTAGE;
    this.#writer = new GroupWriter(database, { jobsMax: options.waitingWritesMax ?? 65_536, groupMs: 10 });
    this.#sweeper = setInterval(() => {
      this.#sweeping = this.#sweep();
    }, options.sweepMs ?? 5000).unref();
  }

  async time(): Promise<number> {
    return Date.now();
  }

  async readOwner(shard: Shard): Promise<OwnerRecord | undefined> {
    return readOwner(this.reading(), shard)?.record;
  }

  async claim(shard: Shard, seen: Fence | undefined, claimant: Claimant): Promise<ClaimOutcome> {
    return this.#writer.write(() => claimShard(this.database, shard, seen, claimant));
  }

  async renewLineage(shard: Shard, fence: Fence, beyond = 0): ReturnType<Store["renewLineage"]> {
    const renewed = await this.#writer.write(() =>
      renewLineage(this.database, shard, { fence, beyond }, this.#sabotage),
    );
    if (renewed === undefined) throw new Fenced("the shard has another owner");
    return renewed;
  }

  async check(shard: Shard, hold: Hold): Promise<boolean> {
    return holdStands(readOwner(this.reading(), shard)?.record, hold, this.#sabotage);
  }

  async commit(shard: Shard, fence: Fence, sequence: number, operations: readonly Operation[]): Promise<CommitOutcome> {
    const flaw = flawOfBatch(operations);
    if (flaw !== undefined) return { kind: "invalid", reason: flaw };
    const batch = { fence, sequence, digest: digestOf(operations), operations };
    return this.#writer.write(() => commitBatch(this.database, shard, batch, this.#sabotage));
  }

  async load(shard: Shard, hold: Hold, actor: ActorKey, directoryPrefixes: readonly string[]): Promise<LoadedActor> {
    const database = this.#readingHeld(shard, hold);
    const names = new Set<string>();
    for (const prefix of directoryPrefixes) {
      for (const key of database.keys(partsUnder(shard, actor, prefix))) names.add(nameOf(key));
    }
    return { snapshot: database.getBytes(snapshotKey(shard, actor)), names: [...names].sort() };
  }

  async readMarksFenced(
    shard: Shard,
    hold: Hold,
    actor: ActorKey,
    names: readonly string[],
  ): Promise<(Mark | undefined)[]> {
    return readMarksOf(this.#readingHeld(shard, hold), shard, actor, names);
  }

  async readOutbox(shard: Shard, hold: Hold, after: string, limit: number): Promise<OutboxEntry[]> {
    const found = this.#readingHeld(shard, hold).entries(outboxRange(shard, after), limit);
    return Array.from(found, ({ key, value }) => ({ id: nameOf(key), bytes: new Uint8Array(value) }));
  }

  async readTimers(shard: Shard, hold: Hold, limit: number): Promise<Timer[]> {
    return this.#readingHeld(shard, hold).keys(timersRange(shard), limit).map(timerOf);
  }

  async writeTags(write: TagWrite): Promise<void> {
    await this.#writer.write(() => writeTags(this.database, write, Date.now()));
  }

  async purgeApplication(applicationId: string): Promise<void> {
    for (const { shard, range } of rangesOfApplication(this.shardCount, applicationId)) {
      if (this.reading().keys(range, 1).length === 0) continue;
      while (!(await this.#writer.write(() => emptySome(this.database, shard, range))));
    }
  }

  async heartbeat(node: NodeRecord): Promise<NodeRecord[]> {
    await this.#writer.write(() => {
      const key = nodeKey(node.nodeId);
      if (node.counter === 1 || this.database.getBytes(key) !== undefined) this.database.put(key, encodeNode(node));
    });
    return this.readNodes();
  }

  async removeNode(nodeId: string): Promise<void> {
    await this.#writer.write(() => this.database.remove(nodeKey(nodeId)));
  }

  async healthy(): Promise<boolean> {
    return !this.closed && !this.#writer.failing;
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    clearInterval(this.#sweeper);
    await this.#writer.close();
    await this.#sweeping;
    await this.database.close();
    this.#lock.release();
  }

  #readingHeld(shard: Shard, hold: Hold): Database {
    const database = this.reading();
    if (holdStands(readOwner(database, shard)?.record, hold, this.#sabotage)) return database;
    throw new Fenced("the shard has another owner");
  }

  async #sweep(): Promise<void> {
    let swept = SWEEP_KEYS_MAX;
    try {
      while (swept === SWEEP_KEYS_MAX && !this.closed) {
        swept = await this.#writer.write(() => sweepExpired(this.database, Date.now()));
      }
    } catch (error) {
      // Expired marks are never returned, swept or not: the next sweep tries again.
      if (!(error instanceof StoreUnavailable)) throw error;
    }
  }
}
