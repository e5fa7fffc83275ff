// The one place that speaks to the lmdb library: open, get, put, remove, ranges, transactions.
// Knows nothing of shards or actors. Values that it hands out are copies owned by the caller.
import { chmodSync, closeSync, fsyncSync, openSync, statSync } from "node:fs";
import { join } from "node:path";
import { open, type RootDatabase } from "lmdb";
import { StoreUnavailable } from "../store.ts";
import { checkDataFileBegins, checkLiveDataFile, checkWholeDataFile } from "./data-file.ts";
import type { KeyRange } from "./keys.ts";

export interface DatabaseOptions {
  readonly path: string;
  /** A commit waits for the disk. */
  readonly synced: boolean;
  /** Sabotage: never sync at all. */
  readonly syncOff?: boolean;
  /** Beside the process that writes; creates nothing. */
  readonly readOnly?: boolean;
}

export class Database {
  readonly #env: RootDatabase<Buffer, Buffer>;

  constructor(options: DatabaseOptions) {
    const file = join(options.path, "data.mdb");
    if (options.readOnly === true) checkDataFileBegins(file);
    else {
      createPrivately(options.path);
      if (statSync(file).size > 0) checkWholeDataFile(file, options.synced);
    }
    this.#env = open<Buffer, Buffer>({
      path: options.path,
      noSubdir: false,
      keyEncoding: "binary",
      encoding: "binary",
      // Without it a commit's promise waits for fdatasync of the data and the synced write of the meta page.
      // With it (level memory) the sync follows later, and a crash of the host falls back to the last synced commit.
      overlappingSync: !options.synced && options.syncOff !== true,
      // Ours are whole transactions, gathered by GroupWriter. With it the library makes a promise of its own for each,
      // which nobody can catch: a commit that fails would end the process.
      eventTurnBatching: false,
      readOnly: options.readOnly === true,
      noSync: options.syncOff === true,
    });
    if (options.readOnly === true) this.#checkLive(file);
  }

  /** @throws StoreRefused for a file that was cut: reading past its end ends the process */
  #checkLive(file: string): void {
    const snapshot = this.#env.useReadTransaction();
    try {
      checkLiveDataFile(file);
    } finally {
      snapshot.done();
    }
  }

  get(key: Buffer): Buffer | undefined {
    return this.#env.getBinary(key);
  }

  getBytes(key: Buffer): Uint8Array | undefined {
    const bytes = this.#env.getBinary(key);
    return bytes === undefined ? undefined : new Uint8Array(bytes.subarray(0, bytes.length));
  }

  has(key: Buffer): boolean {
    return this.#env.getBinaryFast(key) !== undefined;
  }

  /** Inside a transaction only. */
  put(key: Buffer, value: Uint8Array): void {
    this.#env.putSync(key, value as Buffer);
  }

  /** Inside a transaction only. */
  remove(key: Buffer): void {
    this.#env.removeSync(key);
  }

  *entries(range: KeyRange, limit?: number): Generator<{ readonly key: Buffer; readonly value: Buffer }> {
    for (const { key, value } of this.#env.getRange({ ...range, ...(limit === undefined ? {} : { limit }) })) {
      yield { key: Buffer.from(key), value: Buffer.from(value) };
    }
  }

  keys(range: KeyRange, limit?: number): Buffer[] {
    const keys: Buffer[] = [];
    for (const key of this.#env.getKeys({ ...range, ...(limit === undefined ? {} : { limit }) })) {
      keys.push(Buffer.from(key));
    }
    return keys;
  }

  /** Inside a transaction only. Answers how many it removed. */
  removeRange(range: KeyRange, limit?: number): number {
    // Collected first: a cursor must not walk over what is being removed under it.
    const keys = this.keys(range, limit);
    for (const key of keys) this.remove(key);
    return keys.length;
  }

  /**
   * Runs `action` in a write transaction of its own. What it throws rolls the transaction back: the
   * library's plain asynchronous transactions would keep the writes made before the exception.
   */
  transaction<T>(action: () => T): Promise<T> {
    return this.#env.childTransaction(action);
  }

  transactionSync<T>(action: () => T): T {
    return this.#env.transactionSync(action);
  }

  /** Puts a consistent copy into an empty folder while another process reads and writes. @throws StoreUnavailable */
  async copyTo(folder: string): Promise<void> {
    try {
      await this.#env.backup(folder, true);
    } catch (error) {
      throw new StoreUnavailable(`the copy could not be written: ${(error as Error).message}`, { cause: error });
    }
  }

  close(): Promise<void> {
    return this.#env.close();
  }
}

/** Creates the files before the library does, so that nobody else may ever read them. */
function createPrivately(path: string): void {
  chmodSync(path, 0o700);
  for (const name of ["data.mdb", "lock.mdb"]) {
    const file = openSync(join(path, name), "a", 0o600);
    fsyncSync(file);
    closeSync(file);
    chmodSync(join(path, name), 0o600);
  }
  const folder = openSync(path, "r");
  fsyncSync(folder);
  closeSync(folder);
}
