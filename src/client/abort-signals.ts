// Listens to the signals of calls: once to each, however many calls share it, because Node takes more than ten
// listeners for a leak and says so.

interface Watched<T> {
  readonly calls: Set<T>;
  readonly aborted: () => void;
}

export class AbortSignals<T> {
  readonly #watched = new Map<AbortSignal, Watched<T>>();
  readonly #aborted: (call: T, reason: unknown) => void;

  constructor(aborted: (call: T, reason: unknown) => void) {
    this.#aborted = aborted;
  }

  watch(signal: AbortSignal, call: T): void {
    let watched = this.#watched.get(signal);
    if (watched === undefined) {
      const calls = new Set<T>();
      const aborted = (): void => {
        for (const one of [...calls]) this.#aborted(one, signal.reason);
      };
      watched = { calls, aborted };
      this.#watched.set(signal, watched);
      signal.addEventListener("abort", aborted, { once: true });
    }
    watched.calls.add(call);
  }

  forget(signal: AbortSignal, call: T): void {
    const watched = this.#watched.get(signal);
    if (watched === undefined) return;
    watched.calls.delete(call);
    if (watched.calls.size > 0) return;
    this.#watched.delete(signal);
    signal.removeEventListener("abort", watched.aborted);
  }
}
