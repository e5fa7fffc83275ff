// The durable timers of one shard, the soonest few in memory with one clock alarm for the first.
// The store keeps them all; this never decides what a timer means.
import type { ActorKey, Timer } from "../store/store.ts";
import type { Clock } from "./store-clock.ts";

export interface ShardTimersOptions {
  readonly clock: Clock;
  /** Timers held in memory; later ones stay in the store until these have fired. */
  readonly timersMax: number;
  /** Hands a due timer to its actor; the timer is kept in the store until that turn is durable. */
  fire(timer: Timer): void;
  /** Asks for the soonest timers of the shard again. */
  reload(): void;
}

const ALARM_MS_MAX = 60_000;

export class ShardTimers {
  readonly #options: ShardTimersOptions;
  readonly #timers = new Map<string, Timer>();
  /** Timers at or after this time may exist in the store only. */
  #horizonMs = Number.POSITIVE_INFINITY;
  #alarm: NodeJS.Timeout | undefined;

  constructor(options: ShardTimersOptions) {
    this.#options = options;
  }

  /** @param soonest the shard's soonest timers; `timersMax` of them mean that there may be more */
  load(soonest: readonly Timer[]): void {
    this.#timers.clear();
    for (const timer of soonest) this.#timers.set(nameOf(timer.actor, timer.name), timer);
    const last = soonest.at(-1);
    this.#horizonMs =
      soonest.length < this.#options.timersMax || last === undefined ? Number.POSITIVE_INFINITY : last.at;
    this.#arm();
  }

  set(timer: Timer): void {
    const name = nameOf(timer.actor, timer.name);
    if (timer.at >= this.#horizonMs) {
      this.#timers.delete(name);
      return;
    }
    this.#timers.set(name, timer);
    if (this.#timers.size > this.#options.timersMax) this.#dropLatest();
    this.#arm();
  }

  clear(actor: ActorKey, name: string): void {
    this.#timers.delete(nameOf(actor, name));
  }

  stop(): void {
    clearTimeout(this.#alarm);
    this.#alarm = undefined;
    this.#timers.clear();
  }

  #dropLatest(): void {
    let latest: Timer | undefined;
    for (const timer of this.#timers.values()) if (latest === undefined || timer.at > latest.at) latest = timer;
    if (latest === undefined) return;
    this.#timers.delete(nameOf(latest.actor, latest.name));
    this.#horizonMs = Math.min(this.#horizonMs, latest.at);
  }

  #arm(): void {
    clearTimeout(this.#alarm);
    this.#alarm = undefined;
    let soonest = this.#horizonMs;
    for (const timer of this.#timers.values()) soonest = Math.min(soonest, timer.at);
    if (soonest === Number.POSITIVE_INFINITY) return;
    const waitMs = Math.min(Math.max(soonest - this.#options.clock.now(), 1), ALARM_MS_MAX);
    this.#alarm = setTimeout(() => {
      this.#due();
    }, waitMs);
    this.#alarm.unref();
  }

  #due(): void {
    const now = this.#options.clock.now();
    for (const [name, timer] of this.#timers) {
      if (timer.at > now) continue;
      this.#timers.delete(name);
      this.#options.fire(timer);
    }
    if (this.#timers.size === 0 && this.#horizonMs !== Number.POSITIVE_INFINITY) this.#options.reload();
    else this.#arm();
  }
}

function nameOf(actor: ActorKey, name: string): string {
  return `${actor}\n${name}`;
}
