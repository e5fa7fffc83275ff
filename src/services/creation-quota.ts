// How many of a kind an application may have (PROTOCOL §4, `quotas`). The store tells what is there; what this node is
// creating stands there a little later, so it is counted beside. Other nodes' creates are not seen.
import type { Store } from "../store/store.ts";

interface Waiting {
  readonly max: number;
  settle(admitted: boolean): void;
  fail(error: unknown): void;
}

/** One application's creates on this node. */
interface Creations {
  running: number;
  /** Of all time: tells what ended while the store was counting. */
  ended: number;
  /** In order; requests in flight are limited, and so are these. */
  readonly waiting: Waiting[];
  admitting: boolean;
  /** Waits for the end of one that runs. */
  wake: () => void;
}

export class CreationQuota {
  readonly #store: Pick<Store, "countTag">;
  readonly #list: string;
  readonly #applications = new Map<string, Creations>();

  /** @param list the tag under which all of the kind stand */
  constructor(store: Pick<Store, "countTag">, list: string) {
    this.#store = store;
    this.#list = list;
  }

  /**
   * Runs `create` if there is room, which may depend on creates under way; undefined: there is none. What `create` made
   * should stand in the list when it ends: from then on only the store counts it.
   * @param max null: no quota
   */
  async within<T>(applicationId: string, max: number | null, create: () => Promise<T>): Promise<T | undefined> {
    if (max === null) return create();
    const creations = this.#of(applicationId);
    const admitted = await new Promise<boolean>((settle, fail) => {
      creations.waiting.push({ max, settle, fail });
      if (!creations.admitting) void this.#admit(applicationId, creations);
    });
    if (!admitted) return undefined;
    try {
      return await create();
    } finally {
      creations.running -= 1;
      creations.ended += 1;
      creations.wake();
      this.#forgetIdle(applicationId, creations);
    }
  }

  /** Lets in, refuses or fails all who wait: one count serves many of them. */
  async #admit(applicationId: string, creations: Creations): Promise<void> {
    const { waiting } = creations;
    creations.admitting = true;
    while (waiting.length > 0) {
      const asked = waiting.length;
      const endedBefore = creations.ended;
      try {
        const stored = await this.#store.countTag(applicationId, this.#list);
        letIn(creations, stored, endedBefore);
        // Who came after the count began may come after a delete that it does not know of.
        for (const one of waiting.slice(0, asked).filter(({ max }) => stored >= max)) {
          waiting.splice(waiting.indexOf(one), 1);
          one.settle(false);
        }
      } catch (error) {
        for (const one of waiting.splice(0, asked)) one.fail(error);
        continue;
      }
      if (waiting.length > 0 && creations.running > 0 && creations.ended === endedBefore) {
        await new Promise<void>((resolve) => (creations.wake = resolve));
      }
    }
    creations.admitting = false;
    this.#forgetIdle(applicationId, creations);
  }

  #of(applicationId: string): Creations {
    const known = this.#applications.get(applicationId);
    if (known !== undefined) return known;
    const creations = { running: 0, ended: 0, waiting: [], admitting: false, wake: () => undefined };
    this.#applications.set(applicationId, creations);
    return creations;
  }

  #forgetIdle(applicationId: string, { running, waiting, admitting }: Creations): void {
    if (running === 0 && waiting.length === 0 && !admitting) this.#applications.delete(applicationId);
  }
}

/** What ran at any time of the count may be in it or not: it is counted once more rather than missed. */
function letIn(creations: Creations, stored: number, endedBefore: number): void {
  const { waiting } = creations;
  const counted = () => stored + creations.running + (creations.ended - endedBefore);
  for (let [first] = waiting; first !== undefined && counted() < first.max; [first] = waiting) {
    waiting.shift();
    creations.running += 1;
    first.settle(true);
  }
}
