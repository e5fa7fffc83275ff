// Keeps the log readable while something goes wrong again and again. Decides what is said, never what is counted.

/** Of what may come in thousands, one of each kind is logged in so long, with how many were not. */
const SELDOM_MS = 10_000;

export class Seldom {
  readonly #kinds = new Map<number, { readonly saidMs: number; readonly unsaid: number }>();

  /** How many of its kind were not said since the last that was; undefined: nor is this one. */
  due(kind: number): number | undefined {
    const nowMs = performance.now();
    const { saidMs = -Infinity, unsaid = 0 } = this.#kinds.get(kind) ?? {};
    const isDue = nowMs - saidMs >= SELDOM_MS;
    this.#kinds.set(kind, isDue ? { saidMs: nowMs, unsaid: 0 } : { saidMs, unsaid: unsaid + 1 });
    return isDue ? unsaid : undefined;
  }
}
