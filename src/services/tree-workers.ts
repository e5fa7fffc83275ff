// A few worker threads that judge whole trees, so that the event loop does nothing that costs O(members) (PROTOCOL M9).
// A thread takes one tree at a time; what waits is bounded, and the applications take turns. A thread that ends takes its
// tree with it and nothing else: that request may be tried again, the next one gets a new thread.
import path from "node:path";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import type { Refused } from "../actors/actor-port.ts";
import type { WholeTree, WholeTreeRefusal, WholeTreeTask } from "../mls/whole-tree.ts";
import { FairQueue } from "./fair-queue.ts";
import { refused } from "./service-ports.ts";

export interface TreeWorkerLimits {
  /** Threads at once; they start when they are needed. */
  readonly treeWorkers: number;
  /** Trees that wait for a thread. */
  readonly treesWaitingMax: number;
  /** Heap of one thread; a tree that needs more ends it. */
  readonly treeWorkerMebibytes: number;
}

type Verdict = WholeTree | WholeTreeRefusal;

interface Job {
  readonly task: WholeTreeTask;
  /** By the monotonic clock, milliseconds. */
  readonly deadline: number;
  readonly answer: (verdict: Verdict | Refused) => void;
}

/** Beside this file's folder, compiled or not. */
const ENTRY = new URL(`../mls/tree-worker${path.extname(fileURLToPath(import.meta.url))}`, import.meta.url);
const RETRY_AFTER_MS = 1000;

export class TreeWorkers {
  readonly #limits: TreeWorkerLimits;
  readonly #lost: (error: unknown) => void;
  readonly #entry: URL;
  readonly #idle: Worker[] = [];
  readonly #busy = new Map<Worker, Job>();
  readonly #waiting: FairQueue<Job>;
  #closed = false;

  /** @param lost told of a thread that ended by itself */
  constructor(limits: TreeWorkerLimits, lost: (error: unknown) => void, entry: URL = ENTRY) {
    this.#limits = limits;
    this.#lost = lost;
    this.#entry = entry;
    this.#waiting = new FairQueue(limits.treesWaitingMax);
  }

  /** Never rejects. Refusals of the service kind have a `refusal` and may be tried again. */
  judge(applicationId: string, task: WholeTreeTask, deadline: number): Promise<Verdict | Refused> {
    if (this.#closed) return Promise.resolve(refused("DRAINING"));
    return new Promise((answer) => {
      const gone = this.#waiting.add(applicationId, { task, deadline, answer });
      gone?.answer(refused("TREES_WAITING", { retryAfterMs: RETRY_AFTER_MS }));
      this.#run();
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (let job = this.#waiting.take(); job !== undefined; job = this.#waiting.take()) job.answer(refused("DRAINING"));
    await Promise.all([...this.#idle, ...this.#busy.keys()].map((worker) => worker.terminate()));
  }

  #run(): void {
    while (this.#waiting.size > 0) {
      const worker = this.#idle.pop() ?? this.#start();
      if (worker === undefined) return;
      const job = this.#waiting.take() as Job;
      if (performance.now() >= job.deadline) {
        this.#idle.push(worker);
        job.answer(refused("DEADLINE_EXCEEDED"));
        continue;
      }
      this.#busy.set(worker, job);
      worker.ref();
      const { task, moved } = owned(job.task);
      worker.postMessage(task, moved);
    }
  }

  /** Undefined: there are as many threads as there may be. */
  #start(): Worker | undefined {
    if (this.#busy.size + this.#idle.length >= this.#limits.treeWorkers) return undefined;
    const worker = new Worker(this.#entry, {
      name: "aegis-tree",
      resourceLimits: { maxOldGenerationSizeMb: this.#limits.treeWorkerMebibytes },
    });
    worker.unref();
    worker.on("message", (verdict: Verdict) => {
      const job = this.#busy.get(worker);
      this.#busy.delete(worker);
      this.#idle.push(worker);
      worker.unref();
      job?.answer(verdict);
      this.#run();
    });
    worker.on("error", this.#lost);
    worker.on("exit", () => {
      this.#forget(worker);
    });
    return worker;
  }

  #forget(worker: Worker): void {
    const at = this.#idle.indexOf(worker);
    if (at >= 0) this.#idle.splice(at, 1);
    const job = this.#busy.get(worker);
    this.#busy.delete(worker);
    job?.answer(refused(this.#closed ? "DRAINING" : "TREE_WORKER_LOST"));
    if (!this.#closed) this.#run();
  }
}

/** In buffers of its own, which are handed over: what is sent along with a view is all that it is a view on. */
function owned(task: WholeTreeTask): { readonly task: WholeTreeTask; readonly moved: ArrayBuffer[] } {
  const groupInfo = Uint8Array.from(task.groupInfo);
  const ratchetTree = task.ratchetTree && Uint8Array.from(task.ratchetTree);
  const moved = [groupInfo.buffer, ...(ratchetTree === undefined ? [] : [ratchetTree.buffer])];
  return { task: { ...task, groupInfo, ratchetTree }, moved };
}
