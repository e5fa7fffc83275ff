// Long work in small steps: a generator that yields now and then. Who runs it decides whether others get a turn.

export type Work<T> = Generator<undefined, T, undefined>;

/** Resolves when others have had their turn; `setImmediate` as a promise, say. */
export type Pause = () => Promise<void>;

/** Units of work (a node, a leaf, a proposal) between two yields: a few milliseconds at most. */
export const UNITS_PER_STEP = 128;

/** Runs work to its end at once. */
export function finish<T>(work: Work<T>): T {
  for (;;) {
    const step = work.next();
    if (step.done === true) return step.value;
  }
}

/** Runs work to its end, pausing at every yield. */
export async function finishInSteps<T>(work: Work<T>, pause: Pause): Promise<T> {
  for (;;) {
    const step = work.next();
    if (step.done === true) return step.value;
    await pause();
  }
}

/** Runs in steps where there is a pause to make, else at once. */
export function finishWith<T>(work: Work<T>, pause: Pause | undefined): Promise<T> {
  return pause === undefined ? Promise.resolve(finish(work)) : finishInSteps(work, pause);
}
