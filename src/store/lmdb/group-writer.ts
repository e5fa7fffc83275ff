// Lets the writes of many shards share one transaction and one disk sync (group commit).
// Must never resolve a write before its transaction is as safe as the durability level says (P4).
import { StoreUnavailable, StoreUnreached } from "../store.ts";
import type { Database } from "./database.ts";

interface Job {
  readonly run: () => unknown;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

export interface GroupWriterOptions {
  /** Writes waiting at once; more are turned away. */
  readonly jobsMax: number;
  /** How long one group may hold the event loop. */
  readonly groupMs: number;
}

export class GroupWriter {
  readonly #database: Database;
  readonly #options: GroupWriterOptions;
  #waiting: Job[] = [];
  #scheduled = false;
  #closed = false;
  #failing = false;
  readonly #running = new Set<Promise<void>>();

  constructor(database: Database, options: GroupWriterOptions) {
    this.#database = database;
    this.#options = options;
  }

  /** The last group could not be written: the disk is full, say. */
  get failing(): boolean {
    return this.#failing;
  }

  /**
   * Runs `write` inside a transaction and answers what it returned once that is safe. It must decide
   * and validate before its first put; what it throws rolls back all that it did.
   * @throws StoreUnavailable
   */
  write<T>(write: () => T): Promise<T> {
    if (this.#closed) return Promise.reject(new StoreUnreached("the store is closed"));
    if (this.#waiting.length >= this.#options.jobsMax) {
      return Promise.reject(new StoreUnreached("too many writes are waiting"));
    }
    return new Promise<T>((resolve, reject) => {
      this.#waiting.push({ run: write, resolve: resolve as (value: unknown) => void, reject });
      this.#schedule();
    });
  }

  /** Resolves when all that was asked for has ended. */
  async close(): Promise<void> {
    this.#closed = true;
    while (this.#running.size > 0) await Promise.all(this.#running);
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    const running: Promise<void> = this.#runGroup().finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  async #runGroup(): Promise<void> {
    const done: { job: Job; value: unknown }[] = [];
    let failedInside = false;
    try {
      await this.#database.transaction(() => {
        const end = performance.now() + this.#options.groupMs;
        let taken = 0;
        this.#scheduled = false;
        try {
          while (taken < this.#waiting.length && (taken === 0 || performance.now() < end)) {
            const job = this.#waiting[taken] as Job;
            taken += 1;
            done.push({ job, value: undefined });
            (done[taken - 1] as { value: unknown }).value = job.run();
          }
        } catch (error) {
          failedInside = true;
          throw error;
        } finally {
          this.#waiting.splice(0, taken);
        }
      });
      this.#failing = false;
      for (const { job, value } of done) job.resolve(value);
    } catch (error) {
      this.#failing = !failedInside;
      await this.#afterFailure(
        done.map(({ job }) => job),
        failedInside,
        error,
      );
    }
    if (this.#waiting.length > 0) this.#schedule();
  }

  /** A group rolled back by one of its members is run again one by one: neighbours do not suffer for it. */
  async #afterFailure(jobs: readonly Job[], failedInside: boolean, error: unknown): Promise<void> {
    silenceCommitError(error);
    if (jobs.length === 0) {
      // The transaction never began: nobody's write was tried.
      this.#scheduled = false;
      const waiting = this.#waiting;
      this.#waiting = [];
      for (const job of waiting) job.reject(unavailable(error));
      return;
    }
    if (!failedInside || jobs.length === 1) {
      for (const job of jobs) job.reject(unavailable(error));
      return;
    }
    for (const job of jobs) {
      try {
        let value: unknown;
        await this.#database.transaction(() => {
          value = job.run();
        });
        job.resolve(value);
      } catch (alone) {
        silenceCommitError(alone);
        job.reject(unavailable(alone));
      }
    }
  }
}

function unavailable(cause: unknown): StoreUnavailable {
  return new StoreUnavailable("the data folder could not be written", { cause });
}

/** The library hangs a second promise on a failed commit's error; its rejection has no other listener. */
function silenceCommitError(error: unknown): void {
  const detail = (error as { readonly commitError?: Promise<unknown> } | undefined)?.commitError;
  detail?.catch(() => undefined);
}
